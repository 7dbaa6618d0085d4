"""The service: streams of events over HTTP and WebSocket, learnt in order and kept in a store.

`docs/ARCHITECTURE.md` shows the packages, who may import whom, and the path of one event. Start reading at
`service/api/app.py`, which puts the parts together, or at `service/streams/service.py`, which does the work.
"""
