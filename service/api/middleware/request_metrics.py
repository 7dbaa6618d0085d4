"""The time that every HTTP request takes."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...observability.metrics import Metrics


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
