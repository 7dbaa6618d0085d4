"""uvicorn's HTTP connection with what it lacks: a limit on their number, and a time limit for what a client owes.

A client owes the head of a request from its first byte on (and the first byte from the connection on), and the rest
of a body that has been answered already. While the application reads the body, the time is `service/body_time.py`'s;
between requests it is uvicorn's `timeout_keep_alive`.
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.admission import SURPLUS

RESERVE = 64
"""Connections above the limit that are let in, a request each, for the sake of the probes. More are closed at once."""
RESERVE_SECONDS = 2.0
"""How long one of them may owe something: soon there is room for the next."""
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
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._owes()

    def on_headers_complete(self) -> None:
        """The application takes over."""
        self._paid()
        before = self.cycle
        super().on_headers_complete()
        if self._surplus and self.cycle is not before:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._paid()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A body that was answered before its end still has to end."""
        super().on_response_complete()
        # With requests in a row `cycle` is the newest, whose body the application may still want.
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._owes()

    def _owes(self) -> None:
        self._paid()
        seconds = RESERVE_SECONDS if self._surplus else self.seconds
        self._owing = self.loop.call_later(seconds, self._due)

    def _due(self) -> None:
        if self.flow.read_paused:  # what is not read may well have been sent
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
