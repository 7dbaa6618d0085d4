"""uvicorn's HTTP connection with the limits that it lacks: on the number of connections, on the size of heads, on the
time that a client may take, and on the time that one connection may keep the event loop.

A timer runs while the client has to send something: the first byte of a connection, the rest of a head that has begun,
the rest of a body that has been answered already. While the application reads a body, the request guard
(`service/api/middleware`) keeps the time; between requests uvicorn's `timeout_keep_alive` does.

Bytes that are not HTTP are answered with a problem. That problem never replaces the answer to another request: an
answer that has begun is cut off, and requests that came whole before are answered first.
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..api.middleware.admission import SURPLUS
from ..errors import BadRequest, HeadTooLarge, ServiceError
from ..timeslice import TimeSlice
from .raw_response import problem_app, response_bytes

RESERVE = 64
"""Connections above the limit that may still make one request each, so that the probes are answered. Any further
connection is closed at once."""
RESERVE_SECONDS = 2.0
"""The timer of a reserve connection: short, so that the next probe finds room."""
MAX_HEAD = 64 * 1024
"""Bytes of a request's address and headers, trailers included; also bytes of framing (chunk sizes and extensions)
without a byte of the body."""
PIECE = 4096
"""Bytes that are parsed between two looks at the clock."""
MAX_UNREAD = 256 * 1024
"""Bytes that may wait to be parsed before reading from the client pauses."""
LINGER_SECONDS = 1.0
"""How long bytes are read and dropped after a refusal. Closing a socket that has unread bytes resets the connection,
and the client would lose the answer."""
OTHER_FILES = 256
"""Open files that the process needs beside its connections: the store's connections, logs, libraries."""


class Connection(HttpToolsProtocol):
    """One connection. `limited` makes a subclass with the limits."""

    max_connections = 0
    seconds = 0.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._surplus = False
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        """Bytes of the current head so far."""
        self._refused = False
        """Whether a refusal was the last answer of this connection."""
        self._in_head = False
        """Whether a head has begun and not ended. A head is bounded, so it is parsed in one go."""
        self._unframed_bytes = 0
        """Bytes since the last header, part of a body or end of a message."""
        self._unread = bytearray()
        """Bytes that have arrived and are not parsed yet."""
        self._next: asyncio.Handle | None = None
        self._held = False
        """Whether reading is paused because `_unread` is too long."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and start its timer."""
        super().connection_made(transport)
        count = len(self.connections)
        if count > self.max_connections + RESERVE:
            transport.abort()
            return
        if count > self.max_connections:
            self._surplus = True
            self.app_state = self.app_state | {SURPLUS: True}
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer and drop unread bytes."""
        self._stop_timer()
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse as much as fits into a time slice; the rest waits."""
        if self._refused:
            return
        self._unread += data
        if self._next is None:
            self._read_slice()
        self._apply_backpressure()

    def _read_slice(self) -> None:
        """Parse for one time slice. Of pipelined requests, those in the next piece are parsed ahead and no more."""
        self._next, time_slice = None, TimeSlice()
        while self._unread and not self.pipeline:
            piece = bytes(self._unread[:PIECE])
            del self._unread[:PIECE]
            self._parse(piece)
            if self._refused or self.transport.is_closing() or self.transport.get_protocol() is not self:
                self._unread.clear()  # bytes after a WebSocket handshake and before its answer are dropped
                break
            if time_slice.expired() and not self._in_head:
                break
        self._schedule_read()
        self._apply_backpressure()

    def _schedule_read(self) -> None:
        if self._unread and self._next is None and not (self.pipeline or self.transport.is_closing()):
            self._next = self.loop.call_soon(self._read_slice)

    def _apply_backpressure(self) -> None:
        """Pause reading while too many bytes wait to be parsed."""
        if len(self._unread) > MAX_UNREAD:
            self._held = True
            self.transport.pause_reading()
        elif self._held:
            self._held = False
            if not self.flow.read_paused:
                self.transport.resume_reading()

    def handle_websocket_upgrade(self) -> None:
        """Hand over to the WebSocket protocol, unless an earlier request is unanswered: its answer would go there."""
        before: RequestResponseCycle | None = self.cycle  # None before the first request
        if before is not None and not before.response_complete:
            self.send_400_response("")
        else:
            super().handle_websocket_upgrade()

    def _parse(self, data: bytes) -> None:
        """Parse bytes; refuse framing that goes on without end."""
        self._unframed_bytes += len(data)
        super().data_received(data)
        if self._unframed_bytes > MAX_HEAD and not (self._refused or self.transport.is_closing()):
            self.send_400_response("")

    def on_url(self, url: bytes) -> None:
        """Count a part of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header or a trailer."""
        self._unframed_bytes = 0
        self._count_head(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._unframed_bytes = 0
        super().on_body(body)

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD:
            raise HeadTooLarge("")  # the parser stops and calls `send_400_response`

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP or have no end; earlier requests are answered first."""
        error: ServiceError = BadRequest("this is not HTTP/1.1 as it should be")
        if max(self._head_bytes, self._unframed_bytes) > MAX_HEAD:
            error = HeadTooLarge(f"the address and the headers of a request may have at most {MAX_HEAD} bytes")
        path = getattr(self, "url", b"").partition(b"?")[0].decode("latin-1")
        cycle: RequestResponseCycle | None = getattr(self, "cycle", None)  # None before the first request
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body or self.pipeline:
                cycle.keep_alive = False
                if cycle.more_body:  # the refused request waits behind others; its answer keeps the order
                    self.pipeline[0] = (cycle, problem_app(error, path))  # type: ignore[assignment] # Starlette's words for ASGI
                self._refused = True
                self.flow.pause_reading()
                return
            if cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True  # the application's answer to this request is dropped
            cycle.message_event.set()
        self.transport.write(response_bytes(error, path))
        self._refused = True
        self._unread.clear()
        self.transport.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """Start counting a head, with the timer."""
        self._head_bytes = self._unframed_bytes = 0
        self._in_head = True
        super().on_message_begin()
        self._start_timer()

    def on_headers_complete(self) -> None:
        """Stop the timer: the application reads the body and keeps its time."""
        self._stop_timer()
        self._in_head = False
        self._unframed_bytes = 0
        before = self.cycle
        super().on_headers_complete()
        if self._surplus and self.cycle is not before:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Stop the timer: the request is whole."""
        self._stop_timer()
        self._unframed_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the timer when the body of an answered request has not ended."""
        super().on_response_complete()
        self._schedule_read()
        # With pipelining `cycle` is the newest request; the application may still read its body.
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        seconds = RESERVE_SECONDS if self._surplus else self.seconds
        self._timer = self.loop.call_later(seconds, self._timed_out)

    def _timed_out(self) -> None:
        if self.flow.read_paused or self._unread:  # the client may have sent the bytes that we did not read
            self._start_timer()
        else:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def limited(max_connections: int, seconds: float) -> type[Connection]:
    """A subclass of Connection with these limits, as uvicorn takes a class."""
    return type("LimitedConnection", (Connection,), {"max_connections": max_connections, "seconds": seconds})


def make_room(max_connections: int) -> bool:
    """Raise the limit on open files to fit so many connections. Returns whether the system allows it.

    The limit at start is often 1024. A process without free file descriptors cannot answer the probes either.
    """
    needed = max_connections + RESERVE + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft == resource.RLIM_INFINITY or soft >= needed
