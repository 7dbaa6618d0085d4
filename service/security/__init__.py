"""API keys: the file that holds their digests, and the copy of it that a running service follows.

Open `keys.py` first; `keyring.py` reads the file again when it changes.
"""
