"""What a request passes before its route: logs, metrics, origin, keys, limits, compressed bodies.

Open `_add_guards` in `service/api/app.py` first: it lists them in their order. Each module here has one of them.
"""
