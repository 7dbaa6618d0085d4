"""The client for programs without an event loop. `calls` says what each request is and what its answer means."""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ..schemas import Event, Forecast, Outcome, StreamHead, StreamList, StreamStatus, Value
from . import calls
from .aio import AsyncClient
from .bulk import CHUNK_BYTES, CHUNK_EVENTS, Bulk
from .calls import Answer, Call
from .errors import ApiError, ClientError, Unreachable
from .exchange import Exchange
from .retry import Policy
from .watch import Watch
from .websocket import Connection, connect

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_EVENTS",
    "DEFAULT_URL",
    "Answer",
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Connection",
    "Unreachable",
    "connect",
]

DEFAULT_URL = "http://127.0.0.1:8000"

T = TypeVar("T")


class Client:
    """A connection to a running service. Close it, or use it in a `with` statement.

    >>> with Client(URL) as client:
    ...     status = client.create("orders", targets=["count"], units=8)
    ...     outcomes = [client.observe("orders", {"count": count}) for count in (12, 15, 11)]
    >>> [outcome.version for outcome in outcomes]
    [1, 2, 3]
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 10.0,
        key: str | None = None,
        retries: int = 5,
        deadline: float = 15.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout` in seconds is for each step of a request: connecting, sending, waiting for the next bytes.

        `key` is shown as a bearer token. `retries` and `deadline` are for each thing that is asked for; where an answer
        comes in pieces, for each piece. Raises Unreachable for what is no URL, ValueError for what is no key.
        """
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._policy = Policy(self.url, retries, deadline)
        headers = calls.authorization(key)
        try:
            # The environment's proxies are not meant for a service that is usually on this machine.
            self._http = httpx.Client(base_url=self.url, headers=headers, transport=transport, trust_env=False)
        except httpx.InvalidURL as error:
            raise Unreachable(f"{url} is not a URL: {error}", passing=False) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def create(self, stream: str, config: Mapping[str, Any] | None = None, **fields: Any) -> StreamStatus:
        """Make a stream, or find the same one there. The configuration as a mapping, as keywords, or both.

        >>> client.create("oven", targets=["celsius"], inputs=["burner"]).version
        0
        >>> client.create("oven", targets=["fahrenheit"])
        Traceback (most recent call last):
        nobacktrack.ApiError: The stream exists with another configuration: ...
        """
        return self._ask(calls.create(stream, config, fields))

    def status(self, stream: str) -> StreamStatus:
        """The stream as it is now.

        >>> client.status("nobody")
        Traceback (most recent call last):
        nobacktrack.ApiError: There is no such stream: ...
        """
        return self._ask(calls.status(stream))

    def streams(self) -> list[str]:
        """Names of all streams."""
        return [name for page in self._pages(detail=False) for name in page.streams]

    def heads(self) -> list[StreamHead]:
        """All streams with their versions and targets."""
        return [head for page in self._pages(detail=True) for head in page.heads or []]

    def delete(self, stream: str) -> None:
        """Remove a stream and everything that it has learnt. Asked once: see `calls.delete`.

        >>> _ = client.create("mistake", targets=["y"])
        >>> client.delete("mistake")
        """
        self._ask(calls.delete(stream))

    def observe(
        self,
        stream: str,
        y: Mapping[str, float | str | None],
        x: Mapping[str, float | None] | None = None,
        time: datetime | None = None,
        id: str | None = None,  # noqa: A002 - the name it has on the wire
    ) -> Outcome:
        """Learn one event, and get what the learner thought of it beforehand.

        >>> _ = client.create("tank", targets=["level"], units=8)
        >>> client.observe("tank", {"level": 3.5}, id="first").prediction
        {'level': None}
        >>> client.observe("tank", {"level": 3.5}, id="first").version      # the same event, learnt once
        1
        >>> client.observe("tank", {"level": None}).prediction              # a measurement that is missing
        {'level': 3.5}
        """
        return self._ask(calls.observe(stream, y, x, time, id, make_id=self._policy.retries > 0))

    def observe_many(self, stream: str, events: Iterable[Event]) -> Iterator[Answer]:
        """Learn events in order and yield one answer for each: an outcome, or the problem with that event.

        Takes events as they are needed, a bounded number ahead, so that neither side has to fit into memory. The
        `line` of a problem counts the events from 1. After an outage it goes on with the first event that has no
        answer; without retries, each event that fell into the outage has a problem instead.

        >>> from nobacktrack import Event
        >>> _ = client.create("waves", targets=["height"], units=8)
        >>> events = (Event(y={"height": float(n % 5)}) for n in range(2000))
        >>> [answer.version for answer in client.observe_many("waves", events)][-1]
        2000
        """
        bulk = Bulk(self.url, stream, repeat=self._policy.retries > 0)
        for event in events:
            if bulk.add(event):
                yield from self._exchange(bulk)
        if bulk.flush():
            yield from self._exchange(bulk)

    def predict(
        self,
        stream: str,
        x: Mapping[str, float | None] | None = None,
        time: datetime | None = None,
        id: str | None = None,  # noqa: A002 - the name it has on the wire
    ) -> Outcome:
        """What an event will be whose target is not known yet; `label` says it later, under the outcome's id.

        >>> _ = client.create("orchard", targets=["crop"], inputs=["rain"], units=8)
        >>> asked = client.predict("orchard", {"rain": 31.0}, id="2026")
        >>> asked.pending
        True
        >>> client.label("orchard", "2026", {"crop": 4.2}).version
        1
        """
        return self._ask(calls.predict(stream, x, time, id))

    def label(self, stream: str, id: str, y: Mapping[str, float | str | None]) -> Outcome:  # noqa: A002
        """Learn the event of this id, now that its target is known. See `predict`."""
        return self._ask(calls.label(stream, id, y))

    def watch(self, stream: str, after: int | None = None) -> Generator[Outcome, None, None]:
        """The outcomes of a stream as they come, whoever sends the events; those after version `after` first.

        Ends when the service says so for good. A connection that breaks is opened again, and what came meanwhile is
        there; without retries it ends the iteration. Versions show a gap where the service cannot reach back so far.

        >>> _ = client.create("door", targets=["open"], units=8)
        >>> for opened in (0, 1, 1): _ = client.observe("door", {"open": opened})
        >>> seen = client.watch("door", after=1)
        >>> [next(seen).version, next(seen).version]
        [2, 3]
        >>> seen.close()
        """
        return self._exchange(Watch(stream, after, repeat=self._policy.retries > 0))

    def forecast(self, stream: str, horizon: int = 1, *, x: Sequence[Mapping[str, Value]] | None = None) -> Forecast:
        """The steps to come: `horizon` of them, or one for each of the future inputs `x`. Changes nothing.

        >>> _ = client.create("shop", targets=["sales"], inputs=["promo"], units=8)
        >>> for sales, promo in ((10, 0), (14, 1)): _ = client.observe("shop", {"sales": sales}, {"promo": promo})
        >>> len(client.forecast("shop", x=[{"promo": 1}, {"promo": 0}, {"promo": None}]).steps)
        3
        """
        return self._ask(calls.forecast(stream, horizon, x))

    def ready(self) -> bool:
        """Whether the service is there and takes events.

        >>> client.ready()
        True
        """
        try:
            return calls.is_ready(self._http.send(calls.READY.build(self._http, self._timeout)))
        except httpx.RequestError:
            return False

    def metrics(self) -> str:
        """The service's metrics, in Prometheus' text format."""
        return self._ask(calls.metrics())

    def _pages(self, *, detail: bool) -> Iterator[StreamList]:
        page = self._ask(calls.page(None, detail=detail))
        yield page
        while page.next is not None:
            page = self._ask(calls.page(page.next, detail=detail))
            yield page

    def _ask(self, call: Call[T]) -> T:
        attempts = self._policy.attempts(repeatable=call.repeatable)
        while True:
            with attempts:
                return call.answer(self._http.send(call.build(self._http, attempts.timeout(self._timeout))))
            time.sleep(attempts.pause)

    def _exchange(self, exchange: Exchange[T]) -> Generator[T, None, None]:
        attempts = self._policy.attempts()
        while not exchange.done:
            timeout = httpx.Timeout(self._timeout, read=exchange.idle or self._timeout)
            with (
                attempts,
                closing(self._http.send(exchange.request().build(self._http, timeout), stream=True)) as response,
            ):
                if not response.is_success:
                    response.read()
                    calls.check(response)
                if exchange.opened(response.status_code):
                    attempts.progress()
                for part in response.iter_bytes():
                    for answer in exchange.read(part):
                        yield answer
                        attempts.progress()
                exchange.ended()
            time.sleep(attempts.pause)
