"""The Open Inference Protocol (KServe V2) at /v2: a stream is a model, tensors are events.

Open `routes.py` first; `tensors.py` reads and writes tensors, `events.py` turns them into events and back.
"""
