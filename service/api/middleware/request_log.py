"""Every request has an id, which its answer and the log lines name; a duration in the metrics; a log line on request.

The id is that of the header X-Request-ID, if it has safe characters only, else a new one. The log and the metrics get
the template of the address, and the log the stream's name; nothing else of a request.
"""

import logging
import os
import re
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...observability import logs
from ...observability.metrics import Metrics
from ..problems import DENIAL
from ..scope import PROBES, route_path

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._:+/=@~-]{1,128}")
_STREAM = re.compile(r"/v(?:1/streams|2/models)/([A-Za-z0-9_-]{1,64})(?:/(?s:.*))?")

ANSWERS = frozenset({"http.response.start", f"{DENIAL}.start", "websocket.accept"})
ACCEPTED, REFUSED, BROKEN = 101, 403, 500
"""Statuses for the log where there is none: an accepted WebSocket, one refused without a body, an error."""


class RequestLog:
    """Names and times requests. With `every` each gets a line at level info, else each refused one at debug."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, every: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._every = every
        self._level = logging.INFO if every else logging.DEBUG

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        name = _name(scope)
        stream = _STREAM.fullmatch(route_path(scope))
        logs.begin(**({} if stream is None else {"stream": stream[1]}), request_id=name)
        header = (HEADER.lower().encode(), name.encode())
        status = 0
        start = time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] in ANSWERS:
                status = message.get("status", ACCEPTED)
                message["headers"] = [*message.get("headers", ()), header]
            elif message["type"] == "websocket.close" and not status:
                status = REFUSED
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            self._record(scope, status or BROKEN, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Only templates become labels: an address that was sent would make a new series each time.
        route = getattr(scope.get("route"), "path", "unknown")
        method = "any" if route == "unknown" else scope.get("method", "WEBSOCKET")
        if scope["type"] == "http":
            self._metrics.request_seconds.labels(route, method, str(status)).observe(seconds)
        if status < 400 and (not self._every or route_path(scope) in PROBES):
            return
        if not logger.isEnabledFor(self._level):
            return
        fields = {"method": method, "route": route, "status": status, "seconds": round(seconds, 6)}
        logger.log(self._level, "%s %s: %d", method, route, status, extra={"fields": fields})


def _name(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER)
    return given if given is not None and _GIVEN.fullmatch(given) else os.urandom(8).hex()
