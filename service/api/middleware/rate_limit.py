"""Limits on events per second: for each key, and without keys for each client address. Token buckets keep count.

An event costs a token, and so does any other request to /v1. A request without a token is answered 429 with
Retry-After. A line of NDJSON or a message of a WebSocket is never refused: it is read later, and the connection holds
the sender up, so that the order of events has no hole. `RateLimit` and `RateLimit-Policy` are those of
draft-ietf-httpapi-ratelimit-headers-10: r tokens left, full again in t seconds; q tokens in w seconds.
"""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import LimitReached
from ...observability.metrics import Metrics
from ..problems import refuse
from ..scope import KEY, is_bulk, route_path

LIMITED = "/v1/"
"""Only addresses that begin like this cost tokens; probes and documentation do not."""
SITE_BITS = 64
"""Leading bits of an IPv6 address that identify a client: its owner can choose the others."""


ROUNDING = 1e-9
"""Part of a token that may be missing: times are floats."""


class Buckets:
    """A token bucket for each client. A full bucket equals a new one, so it is dropped.

    A bucket is one number, the time at which it will be full: at the time t it holds burst − rate·(full − t) tokens, at
    most `burst`. A negative number is a debt, which the client pays by waiting.
    """

    def __init__(
        self, rate: float, burst: int = 0, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rate` in tokens per second; `burst` of 0 is a second's worth. Keeps at most `most` buckets."""
        self.rate = rate
        self.burst = burst or max(1, round(rate))
        self._most = most
        self._clock = clock
        self._full: OrderedDict[str, float] = OrderedDict()
        """When each bucket will be full; the client that took a token last is at the end."""

    def tokens(self, client: str) -> float:
        """Tokens left; below zero while somebody waits for reserved ones."""
        now = self._clock()
        return self.burst - self.rate * max(0.0, self._full.get(client, now) - now)

    def take(self, client: str) -> float:
        """Take a token and return 0.0; or take none and return the seconds until there is one."""
        missing = 1.0 - self.tokens(client)
        if missing > ROUNDING:
            return missing / self.rate
        self.reserve(client, 1)
        return 0.0

    def reserve(self, client: str, count: int) -> float:
        """Take so many tokens, there or not; returns the seconds to wait before using them."""
        now = self._clock()
        if count == 0:
            return 0.0
        full = max(now, self._full.pop(client, now)) + count / self.rate
        self._full[client] = full
        while len(self._full) > self._most or next(iter(self._full.values())) <= now:
            self._full.popitem(last=False)
        return max(0.0, full - now - self.burst / self.rate)

    def fill_seconds(self, client: str) -> float:
        """Seconds until the bucket is full."""
        return max(0.0, self._full.get(client, 0.0) - self._clock())


class RateLimit:
    """Takes tokens for requests, lines and messages."""

    def __init__(self, app: ASGIApp, buckets: Buckets, metrics: Metrics) -> None:
        self._app = app
        self._buckets = buckets
        self._metrics = metrics
        self._policy = f'"events";q={buckets.burst};w={math.ceil(buckets.burst / buckets.rate)}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not route_path(scope).startswith(LIMITED):
            await self._app(scope, receive, send)
            return
        who = rate_limit_key(scope)
        if scope["type"] == "websocket":
            await self._app(scope, self._slowed(who, receive), send)
            return

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                left = max(0, math.floor(self._buckets.tokens(who)))
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = self._policy
                headers["RateLimit"] = f'"events";r={left};t={math.ceil(self._buckets.fill_seconds(who))}'
            await send(message)

        if is_bulk(scope):
            await self._app(scope, _Lines(self._buckets, who, receive), write)
        elif (seconds := self._buckets.take(who)) > 0.0:
            error = LimitReached("more events than this key or address may send", retry_after=math.ceil(seconds))
            await refuse(error, self._metrics, scope, receive, write)
        else:
            await self._app(scope, receive, write)

    def _slowed(self, who: str, receive: Receive) -> Receive:
        async def read() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                await _pause(self._buckets.reserve(who, 1))
            return message

        return read


class _Lines:
    """The body of a bulk request, passed on as fast as there are tokens, at most a second's worth at once."""

    def __init__(self, buckets: Buckets, who: str, receive: Receive) -> None:
        self._buckets = buckets
        self._who = who
        self._receive = receive
        self._rest = b""
        self._message: Message = {"type": "http.request", "more_body": True}
        self._open = False
        """Whether the last line has not ended yet; the end of the body ends it."""

    async def __call__(self) -> Message:
        if not self._rest:
            self._message = await self._receive()
            self._rest = self._message.get("body", b"")
        if self._message["type"] != "http.request":
            return self._message
        most = max(1, math.floor(max(self._buckets.rate, self._buckets.tokens(self._who))))
        piece, lines = _cut(self._rest, most)
        self._rest = self._rest[len(piece) :]
        more = bool(self._rest) or self._message.get("more_body", False)
        self._open = not piece.endswith(b"\n") if piece else self._open
        await _pause(self._buckets.reserve(self._who, lines + (self._open and not more)))
        return {"type": "http.request", "body": piece, "more_body": more}


def _cut(body: bytes, most: int) -> tuple[bytes, int]:
    """The beginning of a body with at most `most` ends of lines, and how many it has."""
    at = -1
    for lines in range(most):
        found = body.find(b"\n", at + 1)
        if found < 0:
            return body, lines
        at = found
    return body[: at + 1], most


async def _pause(seconds: float) -> None:
    if seconds > 0.0:
        await asyncio.sleep(seconds)


def rate_limit_key(scope: Scope) -> str:
    """Whose tokens a request takes: those of its key, else of its address; for IPv6, of its network."""
    key = scope.get(KEY)
    if key is not None:
        return str(key.id)
    host = str((scope.get("client") or ("",))[0])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((address, SITE_BITS), strict=False))
