"""Limits on connections and WebSockets. Probes are answered even on a full service: it is not dead.

uvicorn's own limit counts WebSockets as requests and then refuses every request, probes included.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import LimitReached
from ...observability.metrics import Metrics
from ..problems import refuse
from ..scope import PROBES, route_path

SURPLUS = "nobacktrack.surplus"
"""Set in the state of an ASGI scope when the connection is above the limit (`service/server/http_protocol.py`)."""


class Admission:
    """Refuses requests on connections above the limit, and WebSockets above `max_websockets`."""

    def __init__(self, app: ASGIApp, max_websockets: int, metrics: Metrics) -> None:
        self._app = app
        self._max_websockets = max_websockets
        self._metrics = metrics
        self._websockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif scope.get("state", {}).get(SURPLUS) and route_path(scope) not in PROBES:
            error = LimitReached("the service has as many connections as it takes", retry_after=1)
            await refuse(error, self._metrics, scope, receive, send)
        elif scope["type"] == "http":
            await self._app(scope, receive, send)
        elif self._websockets >= self._max_websockets:
            error = LimitReached("the service has as many WebSockets as it takes", retry_after=1)
            await refuse(error, self._metrics, scope, receive, send)
        else:
            self._websockets += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._websockets -= 1
