"""What one can do with a stream: send events, label them, ask for forecasts, watch, take snapshots.

Open `service.py` first: `Streams` has a method for each of them. `worker.py` learns what waits in a stream's queue.
"""
