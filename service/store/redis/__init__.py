"""The store in Redis or Valkey: one server, Sentinels or a cluster.

Open `store.py` first: it lists the keys of a stream. `scripts/commit.lua` is the write that everything rests on.
"""
