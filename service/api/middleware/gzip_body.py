"""Unpacks compressed bodies (`Content-Encoding: gzip`) piece by piece, in bounded memory.

The limits on a body count unpacked bytes, so a small body that unpacks to a large one is refused as too large.
"""

import zlib

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import BadRequest, UnsupportedEncoding
from ...observability.metrics import Metrics
from ...timeslice import TimeSlice
from ..problems import refuse

PIECE = 16 * 1024
"""Most bytes that one step unpacks."""
GZIP = 16 + zlib.MAX_WBITS
"""The `wbits` of zlib for the gzip format."""


class GzipBody:
    """Unpacks the bodies of requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        coding = Headers(scope=scope).get("content-encoding", "identity") if scope["type"] == "http" else "identity"
        match coding.strip().lower():
            case "identity":
                await self._app(scope, receive, send)
            case "gzip" | "x-gzip":
                await self._app(scope, _Unpacking(receive), send)
            case _:
                error = UnsupportedEncoding("send the body as it is, or with Content-Encoding: gzip")
                await refuse(error, self._metrics, scope, receive, send)


class _Unpacking:
    """A request's messages, unpacked. Raises BadRequest for bytes that are not gzip or end too soon."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._packed = b""
        self._more = True
        self._begun = False
        self._unzip = zlib.decompressobj(GZIP)
        self._time_slice = TimeSlice()

    async def __call__(self) -> Message:
        while True:
            if not self._packed and self._more:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._packed, self._more = message.get("body", b""), message.get("more_body", False)
            await self._time_slice.yield_if_expired()
            body = self._piece()
            if body or not (self._packed or self._more):
                return {"type": "http.request", "body": body, "more_body": bool(self._packed or self._more)}

    def _piece(self) -> bytes:
        try:
            if self._packed and self._unzip.eof:
                # A gzip file may have several members, one after the other.
                self._unzip = zlib.decompressobj(GZIP)
            self._begun = self._begun or bool(self._packed)
            body = self._unzip.decompress(self._packed, PIECE)
        except zlib.error:
            raise BadRequest("the body is not gzip, as its Content-Encoding says") from None
        self._packed = self._unzip.unused_data if self._unzip.eof else self._unzip.unconsumed_tail
        if self._begun and not (self._packed or self._more or self._unzip.eof):
            raise BadRequest("the body ends before its gzip does")
        return body
