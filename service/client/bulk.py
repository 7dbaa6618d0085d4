"""Many events in requests of a bounded size (NDJSON), each answered once, in order, whatever breaks in between."""

from collections import deque
from collections.abc import Iterator

from ..schemas import Event, Problem
from .calls import NDJSON, Answer, Request, encode, new_id, path, read_answer
from .errors import PASSING, ApiError, Unreachable

CHUNK_EVENTS = 1000
CHUNK_BYTES = 64 * 1024
"""The most events and bytes of one NDJSON request. A request is sent whole before its answer is read. It has to fit
into the buffers between client and service, because a service whose answers nobody reads stops reading."""


class Bulk:
    """The events of one `observe_many`: those collected for the next request, and those that wait for an answer.

    With `repeat`, every event has an id, and one that was refused because the service was away counts as not answered:
    the next request begins with it. Without, each line of an answer is an answer.
    """

    idle: float | None = None

    def __init__(self, url: str, stream: str, *, repeat: bool) -> None:
        self._url = url
        self._stream = stream
        self._repeat = repeat
        self._collected: list[bytes] = []
        self._size = 0
        self._waiting: deque[bytes] = deque()
        self._sent = 0
        self._answered = 0
        self._rest = b""
        self._outage: Problem | None = None

    def add(self, event: Event) -> bool:
        """Take an event. Returns whether a request is full: it has to be answered before the next `add`."""
        if self._repeat and event.id is None:
            event = event.model_copy(update={"id": new_id()})
        line = encode(event) + b"\n"
        full = len(self._collected) == CHUNK_EVENTS or self._size + len(line) > CHUNK_BYTES
        # A single event may be larger than the bound on bytes: it goes alone.
        full = full and self.flush()
        self._collected.append(line)
        self._size += len(line)
        return full

    def flush(self) -> bool:
        """Make the collected events the next request. Returns whether there are any."""
        assert not self._waiting, "one request after the other"
        self._waiting.extend(self._collected)
        self._sent += len(self._collected)
        self._collected, self._size = [], 0
        return bool(self._waiting)

    @property
    def done(self) -> bool:
        """Whether every event of the request is answered."""
        return not self._waiting

    def request(self) -> Request:
        """The request with the events that have no answer, as they were sent first."""
        self._rest, self._outage = b"", None
        return Request(
            method="POST", path=path(self._stream, "events"), content=b"".join(self._waiting), headers=NDJSON
        )

    def opened(self, status: int) -> bool:
        """False: only answers are progress."""
        return False

    def read(self, part: bytes) -> Iterator[Answer]:
        """The answers in `part`, up to the first event that was refused because the service was away."""
        # Not split by httpx: its lines also end at U+2028, which JSON may contain.
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            if line and self._outage is None:
                yield from self._one(line)

    def ended(self) -> None:
        """Raises the refusal that came for an event, or Unreachable when events have no answer."""
        if self._outage is not None:
            raise ApiError(self._outage)
        if self._waiting:
            raise Unreachable(f"{self._url} answered {self._answered} of {self._sent} events")

    def _one(self, line: bytes) -> Iterator[Answer]:
        if not self._waiting:
            raise Unreachable(f"{self._url} gave more answers than it got events", passing=False)
        answer = read_answer(line)
        if isinstance(answer, Problem):
            # A problem without the number of a line is about the request: the events without an answer were not read.
            about_all = "line" not in (answer.model_extra or {})
            if about_all or (self._repeat and answer.status in PASSING):
                self._outage = answer
                return
            # The service counts the lines of one request; we, the events of all.
            answer = answer.model_copy(update={"line": self._answered + 1})
        self._waiting.popleft()
        self._answered += 1
        yield answer
