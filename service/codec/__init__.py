"""Values to bytes and back: events, outcomes, segments of the log, checkpoints. No input or output.

Open `events.py` first: it turns an event into the numbers that the learner reads.
"""
