"""Where streams are kept: one protocol, two implementations.

Open `base.py` first: it says what a store must do. `memory.py` is the shortest implementation, `redis/` the durable
one, `embedded.py` runs a server for it, and `factory.py` chooses by the settings.
"""
