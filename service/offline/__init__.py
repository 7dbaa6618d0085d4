"""Work on a store without a service: export and import of a stream, and the replay of its log.

Open `replay_log.py` first, or `archive.py` for the format of an exported file.
"""
