"""Typed clients: `Client` and `AsyncClient` for HTTP, `connect` for the WebSocket of one stream.

    from nobacktrack import Client

    with Client("http://127.0.0.1:8000") as client:
        client.create("taxi", targets=["rides"])
        print(client.observe("taxi", {"rides": 10844}).next)

A client sends a request again where that is safe: after no answer, after half an answer, and after a refusal that
passes (status 408, 429, 502, 503, 504). Each pause is longer than the one before, and at least as long as the service
asks for. The client gives up after `retries` further attempts, or when `deadline` seconds have passed. `retries=0`
sends each request once. An event is repeated under its id, so that the service learns it once; the client gives an id
to an event that has none.

Every error is a ClientError: ApiError means that the service refused, Unreachable that it gave no answer or none that
makes sense. Both are raised after the last attempt.

To change this package, open `sync.py` first; `aio.py` is the same with coroutines, and `calls.py` has the requests that
both send. It imports `service/schemas.py` and nothing else of the service, so that it loads neither numpy nor numba.
"""

from .aio import AsyncClient
from .calls import Answer
from .errors import ApiError, ClientError, Unreachable
from .sync import Client
from .websocket import Connection, connect

__all__ = ["Answer", "ApiError", "AsyncClient", "Client", "ClientError", "Connection", "Unreachable", "connect"]

for _public in (ApiError, AsyncClient, Client, ClientError, Connection, Unreachable, connect):
    _public.__module__ = __name__.partition(".")[0]  # where users import it from, in tracebacks and in help()
