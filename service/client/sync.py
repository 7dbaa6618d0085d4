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
        """Make a client; it connects with its first request.

        `url`: address of the service. `timeout`: seconds for each step of a request: connecting, sending, waiting for
        the next bytes. `key`: sent as a bearer token. `retries`: further attempts after the first. `deadline`: seconds
        from the first attempt after which no other begins. Where an answer comes in pieces, `retries` and `deadline`
        hold for each piece. `transport`: replaces httpx's own, for tests.

        Raises Unreachable when `url` is not a URL, ValueError when `key` cannot be a key.
        """
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._policy = Policy(self.url, retries, deadline)
        headers = calls.authorization(key)
        try:
            # Proxies of the environment are ignored: the service is usually on this machine.
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
        """Close the connections."""
        self._http.close()

    def create(self, stream: str, config: Mapping[str, Any] | None = None, **fields: Any) -> StreamStatus:
        """Create a stream; a stream that exists with the same configuration is left as it is.

        The configuration is a mapping, keywords, or both: `targets` (names), `inputs` (names), `units`, and the other
        fields of `nobacktrack.Config`. Raises ApiError: 409 when the stream has another configuration, 422 when no
        learner can have this one.

        >>> client.create("oven", targets=["celsius"], inputs=["burner"]).version
        0
        >>> client.create("oven", targets=["fahrenheit"])
        Traceback (most recent call last):
        nobacktrack.ApiError: The stream exists with another configuration: ...
        """
        return self._ask(calls.create(stream, config, fields))

    def status(self, stream: str) -> StreamStatus:
        """The status of a stream: its version, configuration, recent losses. Raises ApiError: 404 for no such stream.

        >>> client.status("nobody")
        Traceback (most recent call last):
        nobacktrack.ApiError: There is no such stream: ...
        """
        return self._ask(calls.status(stream))

    def streams(self) -> list[str]:
        """The names of all streams that the key may read."""
        return [name for page in self._pages(detail=False) for name in page.streams]

    def heads(self) -> list[StreamHead]:
        """The names, versions and targets of all streams that the key may read."""
        return [head for page in self._pages(detail=True) for head in page.heads or []]

    def delete(self, stream: str) -> None:
        """Delete a stream and everything that it has learnt.

        Never sent twice: another stream of this name may have been created meanwhile. Raises ApiError: 404 for no such
        stream.

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
        """Learn one event; return what was predicted before the event was known.

        `y`: a value for each target, None where the measurement is missing, a symbol for a stream with an alphabet.
        `x`: a value for each input. `time`: when the event was, with a time zone. `id`: makes the event safe to repeat.
        Values are in the units that the stream is fed with. `loss` has no unit: 1 is the usual change of the series.
        Raises ApiError: 404 for no such stream, 409 when another event has the id, 422 when the event does not fit.

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
        """Learn events in order and yield one answer for each: an Outcome, or the Problem with that event.

        Events are taken as they are needed, a bounded number ahead, so neither events nor answers have to fit into
        memory. The `line` of a Problem counts the events from 1. After an outage, the client continues with the first
        event that has no answer; without retries, each event of the outage is answered by a Problem. Raises ApiError
        when the request as a whole is refused, Unreachable when events have no answer after the last attempt.

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
        """Predict an event whose targets are not known yet. `label` sends them later, under the id of the outcome.

        `x`, `time` and `id` are as in `observe`. Later events wait until this one has its label.

        >>> _ = client.create("orchard", targets=["crop"], inputs=["rain"], units=8)
        >>> asked = client.predict("orchard", {"rain": 31.0}, id="2026")
        >>> asked.pending
        True
        >>> client.label("orchard", "2026", {"crop": 4.2}).version
        1
        """
        return self._ask(calls.predict(stream, x, time, id))

    def label(self, stream: str, id: str, y: Mapping[str, float | str | None]) -> Outcome:  # noqa: A002
        """Learn the event with this id, now that its targets `y` are known. Raises ApiError: 404 for no such event."""
        return self._ask(calls.label(stream, id, y))

    def watch(self, stream: str, after: int | None = None) -> Generator[Outcome, None, None]:
        """Yield the outcomes of a stream as they come, whoever sends the events; those after version `after` first.

        The iteration ends when the service ends it for good. A connection that breaks is opened again, and the outcomes
        of the meantime follow; without retries, it ends the iteration. Versions have a gap where the log of the service
        does not reach back far enough. Raises ApiError: 404 for no such stream, or the Problem that ended the watch.

        >>> _ = client.create("door", targets=["open"], units=8)
        >>> for opened in (0, 1, 1): _ = client.observe("door", {"open": opened})
        >>> seen = client.watch("door", after=1)
        >>> [next(seen).version, next(seen).version]
        [2, 3]
        >>> seen.close()
        """
        return self._exchange(Watch(stream, after, repeat=self._policy.retries > 0))

    def forecast(self, stream: str, horizon: int = 1, *, x: Sequence[Mapping[str, Value]] | None = None) -> Forecast:
        """Forecast `horizon` steps, or one step for each of the future inputs `x`. Changes nothing.

        `steps` of the result has the nearest step first, each with `mean` and the ends `lower` and `upper` of a 90 %
        interval, by target and in its units. Raises ApiError: 404 for no such stream, 422 where `x` does not fit.

        >>> _ = client.create("shop", targets=["sales"], inputs=["promo"], units=8)
        >>> for sales, promo in ((10, 0), (14, 1)): _ = client.observe("shop", {"sales": sales}, {"promo": promo})
        >>> len(client.forecast("shop", x=[{"promo": 1}, {"promo": 0}, {"promo": None}]).steps)
        3
        """
        return self._ask(calls.forecast(stream, horizon, x))

    def ready(self) -> bool:
        """Whether the service answers and takes events. Sent once.

        >>> client.ready()
        True
        """
        try:
            return calls.is_ready(self._http.send(calls.READY.build(self._http, self._timeout)))
        except httpx.RequestError:
            return False

    def metrics(self) -> str:
        """The metrics of the service, in Prometheus' text format."""
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
