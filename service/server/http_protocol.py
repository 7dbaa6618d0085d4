"""uvicorn's HTTP connection with what it lacks: limits on their number, on heads, and on the time of what is owed; and
turns, as what arrives at once can be 40,000 chunks of a byte.

A client owes the head of a request from its first byte on (and the first byte from the connection on), and the rest
of a body that has been answered already. While the application reads the body, `service/api/middleware/body_limits.py`
keeps the time; between requests it is uvicorn's `timeout_keep_alive`.

What is not HTTP is answered with a problem as all that is refused, but never in the place of the answer to something
else: an answer that has begun is cut off, and requests that came whole before it get theirs first.
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..api.middleware.admission import SURPLUS
from ..errors import BadRequest, HeadTooLarge, ServiceError
from ..timeslice import TimeSlice
from .raw_response import answer, refusal

RESERVE = 64
"""Connections above the limit that are let in, a request each, for the sake of the probes. More are closed at once."""
RESERVE_SECONDS = 2.0
"""How long one of them may owe something: soon there is room for the next."""
MAX_HEAD = 64 * 1024
"""Bytes of a request's address and headers, those that follow its body included; and of anything else around a body,
as what a chunk says of itself."""
PIECE = 4096
"""Bytes that are read before the clock is looked at."""
MAX_UNREAD = 256 * 1024
"""Bytes that may have arrived and wait for their turn."""
LINGER_SECONDS = 1.0
"""How long what still comes is thrown away after a refusal: to close a connection on which something has not been taken
in destroys the answer."""
OTHER_FILES = 256
"""Files that the process needs beside its connections: those to the store, its log, libraries."""


class Connection(HttpToolsProtocol):
    """One connection. `limited` makes a subclass with the limits."""

    max_connections = 0
    seconds = 0.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._surplus = False
        self._owing: asyncio.TimerHandle | None = None
        self._head = 0
        """Bytes of the head so far;"""
        self._refused = False
        """Whether that was the last answer."""
        self._in_head = False
        """Whether it has begun and not ended: a head is bounded, and read in one go;"""
        self._loose = 0
        """and bytes since anything came whole."""
        self._unread = bytearray()
        """What has arrived and waits for its turn."""
        self._next: asyncio.Handle | None = None
        self._held = False
        """Whether too much waits for more to be taken in."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it."""
        super().connection_made(transport)
        count = len(self.connections)
        if count > self.max_connections + RESERVE:
            transport.abort()
            return
        if count > self.max_connections:
            self._surplus = True
            self.app_state = self.app_state | {SURPLUS: True}
        self._owes()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody owes anything any more."""
        self._paid()
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read as much as there is time for."""
        if self._refused:
            return
        self._unread += data
        if self._next is None:
            self._go_on()
        self._hold()

    def _go_on(self) -> None:
        """Read for a turn. Of requests in a row those in the next piece are read ahead, and no more."""
        self._next, turn = None, TimeSlice()
        while self._unread and not self.pipeline:
            piece = bytes(self._unread[:PIECE])
            del self._unread[:PIECE]
            self._read(piece)
            if self._refused or self.transport.is_closing() or self.transport.get_protocol() is not self:
                self._unread.clear()  # what follows a request for a WebSocket before its answer is not read
                break
            if turn.over() and not self._in_head:
                break
        self._soon()
        self._hold()

    def _soon(self) -> None:
        if self._unread and self._next is None and not (self.pipeline or self.transport.is_closing()):
            self._next = self.loop.call_soon(self._go_on)

    def _hold(self) -> None:
        """Take in no more while too much waits."""
        if len(self._unread) > MAX_UNREAD:
            self._held = True
            self.transport.pause_reading()
        elif self._held:
            self._held = False
            if not self.flow.read_paused:
                self.transport.resume_reading()

    def handle_websocket_upgrade(self) -> None:
        """Hand over, unless a request before is not answered: its answer would end up in the WebSocket."""
        before: RequestResponseCycle | None = self.cycle  # None before the first request
        if before is not None and not before.response_complete:
            self.send_400_response("")
        else:
            super().handle_websocket_upgrade()

    def _read(self, data: bytes) -> None:
        """Read it, unless it has no end."""
        self._loose += len(data)
        super().data_received(data)
        if self._loose > MAX_HEAD and not (self._refused or self.transport.is_closing()):
            self.send_400_response("")

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._grows(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or one that follows the body."""
        self._loose = 0
        self._grows(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._loose = 0
        super().on_body(body)

    def _grows(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            raise HeadTooLarge("")  # the parser stops, and calls it an error of its own

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has no end; requests before it are answered first."""
        error: ServiceError = BadRequest("this is not HTTP/1.1 as it should be")
        if max(self._head, self._loose) > MAX_HEAD:
            error = HeadTooLarge(f"the address and the headers of a request may have at most {MAX_HEAD} bytes")
        cycle: RequestResponseCycle | None = getattr(self, "cycle", None)  # None before the first request
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body or self.pipeline:
                cycle.keep_alive = False
                if cycle.more_body:  # it waits behind others, and is answered by its refusal when it is its turn
                    self.pipeline[0] = (cycle, refusal(error))  # type: ignore[assignment] # Starlette's words for ASGI
                self._refused = True
                self.flow.pause_reading()
                return
            if cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True  # whatever the application still says of it is not sent
            cycle.message_event.set()
        self.transport.write(answer(error))
        self._refused = True
        self._unread.clear()
        self.transport.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._head = self._loose = 0
        self._in_head = True
        super().on_message_begin()
        self._owes()

    def on_headers_complete(self) -> None:
        """The application takes over."""
        self._paid()
        self._in_head = False
        self._loose = 0
        before = self.cycle
        super().on_headers_complete()
        if self._surplus and self.cycle is not before:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._paid()
        self._loose = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A body that was answered before its end still has to end."""
        super().on_response_complete()
        self._soon()
        # With requests in a row `cycle` is the newest, whose body the application may still want.
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._owes()

    def _owes(self) -> None:
        self._paid()
        seconds = RESERVE_SECONDS if self._surplus else self.seconds
        self._owing = self.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        if self.flow.read_paused or self._unread:  # what is not read may well have been sent
            self._owes()
        else:
            self.transport.abort()

    def _paid(self) -> None:
        if self._owing is not None:
            self._owing.cancel()
            self._owing = None


def limited(max_connections: int, seconds: float) -> type[Connection]:
    """The class of connections with these limits, as uvicorn takes it."""
    return type("LimitedConnection", (Connection,), {"max_connections": max_connections, "seconds": seconds})


def make_room(max_connections: int) -> bool:
    """Let the process open as many files as that takes; whether the system allows it.

    The limit that a process starts with is often 1024. One that runs out of files cannot answer the probes either.
    """
    needed = max_connections + RESERVE + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft == resource.RLIM_INFINITY or soft >= needed
