"""Every request and every WebSocket has an id, which its answer and the lines of the log name; and a line, if wanted.

The id is the one of the header X-Request-ID where that is of a kind that may be repeated, else a new one. Of the
address the log gets its template and the stream's name; of the rest of a request nothing.
"""

import logging
import os
import re
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...observability import logs
from ..problems import DENIAL
from ..scope import PROBES, route_path

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._:+/=@~-]{1,128}")
_STREAM = re.compile(r"/v(?:1/streams|2/models)/([A-Za-z0-9_-]{1,64})(?:/(?s:.*))?")

ANSWERS = frozenset({"http.response.start", f"{DENIAL}.start", "websocket.accept"})
ACCEPTED, REFUSED, BROKEN = 101, 403, 500
"""What has no status of its own: a WebSocket that is accepted, one that is refused without a word, an error."""


class RequestLog:
    """Names requests. A line for each, at level info, when `every`; else one for each that is refused, at debug."""

    def __init__(self, app: ASGIApp, *, every: bool) -> None:
        self._app = app
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
            if logger.isEnabledFor(self._level):
                self._write(scope, status or BROKEN, time.perf_counter() - start)

    def _write(self, scope: Scope, status: int, seconds: float) -> None:
        if status < 400 and (not self._every or route_path(scope) in PROBES):
            return
        method = scope.get("method", "WEBSOCKET") if scope.get("route") is not None else "any"
        route = getattr(scope.get("route"), "path", "unknown")
        fields = {"method": method, "route": route, "status": status, "seconds": round(seconds, 6)}
        logger.log(self._level, "%s %s: %d", method, route, status, extra={"fields": fields})


def _name(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER)
    return given if given is not None and _GIVEN.fullmatch(given) else os.urandom(8).hex()
