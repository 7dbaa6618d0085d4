"""What every HTTP request passes through: the limit on its body, and the clock."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.bulk import NDJSON, is_bulk
from service.errors import TooLarge
from service.metrics import Metrics


class BodyLimit:
    """Refuse a body of more than `limit` bytes while it comes in, whatever its headers say.

    A bulk request has no such limit, as it is read line by line; each line has.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_bulk(scope):
            await self._app(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise TooLarge(f"a body may have at most {self._limit} bytes; send many events as {NDJSON}")
            return message

        await self._app(scope, limited, send)


class RequestMetrics:
    """Times every HTTP request until its last byte, by route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        start = time.perf_counter()

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            # Only templates become labels: an address that was sent would make a new series each time.
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if route != "unknown" else "any"
            seconds = self._metrics.request_seconds.labels(route, method, str(status))
            seconds.observe(time.perf_counter() - start)
