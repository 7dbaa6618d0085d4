"""The outcomes of a stream as they come (server-sent events), continued where the connection broke."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..schemas import Outcome
from .calls import Request, path, read_answer
from .errors import ApiError, Unreachable

IDLE_SECONDS = 60.0
"""Seconds that a connection may be silent. A service without outcomes sends a comment every 15 seconds."""
NO_CONTENT = 204
"""The status that asks a client not to connect again (WHATWG HTML, Server-sent events)."""

_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""The end of a line. A carriage return at the end of a piece may be half of one."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    kind: str
    """The type of the event; `message` where the service names none."""
    data: str
    id: str | None
    """The newest id of the connection so far."""


class ServerEvents:
    """Turns bytes into server-sent events; a piece of bytes may end anywhere (WHATWG HTML, 9.2.6)."""

    def __init__(self) -> None:
        self._rest = b""
        self._first = True
        self._kind = ""
        self._data: list[str] = []
        self._id: str | None = None

    def read(self, part: bytes) -> Iterator[ServerEvent]:
        """The events that this piece completes."""
        *lines, self._rest = _LINE_END.split(self._rest + part)
        for line in lines:
            text = line.decode(errors="replace")
            if self._first:
                text, self._first = text.removeprefix("\ufeff"), False
            if text:
                self._field(text)
            elif self._data:
                yield ServerEvent(self._kind or "message", "\n".join(self._data), self._id)
                self._kind, self._data = "", []
            else:
                self._kind = ""

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        # A comment has no name. Other fields concern browsers only.


class Watch:
    """The outcomes of a stream from now on, or those after the version `after`.

    With `repeat` a connection that ends is opened again, with the id of the last outcome that was read.
    """

    idle: float | None = IDLE_SECONDS

    def __init__(self, stream: str, after: int | None, *, repeat: bool) -> None:
        self._stream = stream
        self._last = None if after is None else str(after)
        self._repeat = repeat
        self._events = ServerEvents()
        self.done = False
        """Whether the service has ended the watch for good."""

    def request(self) -> Request:
        """The request for the outcomes after the last one read."""
        self._events = ServerEvents()
        headers = {"accept": "text/event-stream"}
        if self._last:
            headers["last-event-id"] = self._last
        return Request(method="GET", path=path(self._stream, "live"), headers=headers)

    def opened(self, status: int) -> bool:
        """True: on a quiet stream, being connected is all the progress there is."""
        self.done = status == NO_CONTENT
        return True

    def read(self, part: bytes) -> Iterator[Outcome]:
        """The outcomes that a piece completes. Raises ApiError for a problem that the service sends instead."""
        for event in self._events.read(part):
            self._last = event.id if event.id is not None else self._last
            try:
                answer = read_answer(event.data)
            except Unreachable:
                if event.kind == "message":
                    raise
                continue  # a type of event that only newer clients know
            if not isinstance(answer, Outcome):
                raise ApiError(answer)
            yield answer

    def ended(self) -> None:
        """Raises Unreachable, unless the end was expected."""
        if not self._repeat:
            self.done = True
        if not self.done:
            raise Unreachable("the service closed the connection")
