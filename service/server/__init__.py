"""The process: sockets, signals, shutdown, and uvicorn's connections with limits that uvicorn lacks.

Open `run.py` first. `docs/decisions/0005-uvicorn-subclasses.md` says why `http_protocol.py` and
`websocket_protocol.py` exist.
"""
