"""The client for programs that run in an event loop. `calls` says what each request is and what its answer means."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from ..schemas import Event, Forecast, Outcome, StreamHead, StreamList, StreamStatus, Value
from . import calls
from .bulk import Bulk
from .calls import Answer, Call
from .errors import Unreachable
from .exchange import Exchange
from .retry import Policy
from .watch import Watch

T = TypeVar("T")


class AsyncClient:
    """`Client` with coroutines: the same methods and arguments, the same answers and errors.

    >>> import asyncio
    >>> from nobacktrack import Event
    >>> async def main():
    ...     async with AsyncClient(URL) as client:
    ...         await client.create("steps", targets=["count"], units=8)
    ...         first = await client.observe("steps", {"count": 7})
    ...         async def events():
    ...             for count in (8, 9):
    ...                 yield Event(y={"count": count})
    ...         rest = [answer.version async for answer in client.observe_many("steps", events())]
    ...         return [first.version, *rest]
    >>> asyncio.run(main())
    [1, 2, 3]
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        timeout: float = 10.0,
        key: str | None = None,
        retries: int = 5,
        deadline: float = 15.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `Client.__init__`."""
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._policy = Policy(self.url, retries, deadline)
        headers = calls.authorization(key)
        try:
            self._http = httpx.AsyncClient(base_url=self.url, headers=headers, transport=transport, trust_env=False)
        except httpx.InvalidURL as error:
            raise Unreachable(f"{url} is not a URL: {error}", passing=False) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def create(self, stream: str, config: Mapping[str, Any] | None = None, **fields: Any) -> StreamStatus:
        """Create a stream; see `Client.create`."""
        return await self._ask(calls.create(stream, config, fields))

    async def status(self, stream: str) -> StreamStatus:
        """The status of a stream; see `Client.status`."""
        return await self._ask(calls.status(stream))

    async def streams(self) -> list[str]:
        """The names of all streams that the key may read."""
        return [name async for page in self._pages(detail=False) for name in page.streams]

    async def heads(self) -> list[StreamHead]:
        """The names, versions and targets of all streams that the key may read."""
        return [head async for page in self._pages(detail=True) for head in page.heads or []]

    async def delete(self, stream: str) -> None:
        """Delete a stream; see `Client.delete`."""
        await self._ask(calls.delete(stream))

    async def observe(
        self,
        stream: str,
        y: Mapping[str, float | str | None],
        x: Mapping[str, float | None] | None = None,
        time: datetime | None = None,
        id: str | None = None,  # noqa: A002 - the name it has on the wire
    ) -> Outcome:
        """Learn one event; return what was predicted before the event was known. See `Client.observe`."""
        return await self._ask(calls.observe(stream, y, x, time, id, make_id=self._policy.retries > 0))

    async def observe_many(self, stream: str, events: AsyncIterable[Event] | Iterable[Event]) -> AsyncIterator[Answer]:
        """Learn events in order and yield one answer for each; see `Client.observe_many`.

        The events may also come from an asynchronous generator.
        """
        bulk = Bulk(self.url, stream, repeat=self._policy.retries > 0)
        async for event in _each(events):
            if bulk.add(event):
                async for answer in self._exchange(bulk):
                    yield answer
        if bulk.flush():
            async for answer in self._exchange(bulk):
                yield answer

    async def predict(
        self,
        stream: str,
        x: Mapping[str, float | None] | None = None,
        time: datetime | None = None,
        id: str | None = None,  # noqa: A002 - the name it has on the wire
    ) -> Outcome:
        """Predict an event whose targets are not known yet; see `Client.predict`."""
        return await self._ask(calls.predict(stream, x, time, id))

    async def label(self, stream: str, id: str, y: Mapping[str, float | str | None]) -> Outcome:  # noqa: A002
        """Learn the event with this id, now that its targets `y` are known; see `Client.label`."""
        return await self._ask(calls.label(stream, id, y))

    def watch(self, stream: str, after: int | None = None) -> AsyncGenerator[Outcome, None]:
        """Yield the outcomes of a stream as they come; see `Client.watch`.

        The connection ends with the generator. Use `contextlib.aclosing` to leave a generator that has not ended.
        """
        return self._exchange(Watch(stream, after, repeat=self._policy.retries > 0))

    async def forecast(
        self, stream: str, horizon: int = 1, *, x: Sequence[Mapping[str, Value]] | None = None
    ) -> Forecast:
        """Forecast `horizon` steps, or one step for each of the future inputs `x`; see `Client.forecast`."""
        return await self._ask(calls.forecast(stream, horizon, x))

    async def ready(self) -> bool:
        """Whether the service answers and takes events. Sent once."""
        try:
            return calls.is_ready(await self._http.send(calls.READY.build(self._http, self._timeout)))
        except httpx.RequestError:
            return False

    async def metrics(self) -> str:
        """The metrics of the service, in Prometheus' text format."""
        return await self._ask(calls.metrics())

    async def _pages(self, *, detail: bool) -> AsyncIterator[StreamList]:
        page = await self._ask(calls.page(None, detail=detail))
        yield page
        while page.next is not None:
            page = await self._ask(calls.page(page.next, detail=detail))
            yield page

    async def _ask(self, call: Call[T]) -> T:
        attempts = self._policy.attempts(repeatable=call.repeatable)
        while True:
            with attempts:
                return call.answer(await self._http.send(call.build(self._http, attempts.timeout(self._timeout))))
            await asyncio.sleep(attempts.pause)

    async def _exchange(self, exchange: Exchange[T]) -> AsyncGenerator[T, None]:
        attempts = self._policy.attempts()
        while not exchange.done:
            timeout = httpx.Timeout(self._timeout, read=exchange.idle or self._timeout)
            with attempts:
                response = await self._http.send(exchange.request().build(self._http, timeout), stream=True)
                async with aclosing(response):
                    if not response.is_success:
                        await response.aread()
                        calls.check(response)
                    if exchange.opened(response.status_code):
                        attempts.progress()
                    async for part in response.aiter_bytes():
                        for answer in exchange.read(part):
                            yield answer
                            attempts.progress()
                    exchange.ended()
            await asyncio.sleep(attempts.pause)


async def _each(events: AsyncIterable[Event] | Iterable[Event]) -> AsyncIterator[Event]:
    if isinstance(events, AsyncIterable):
        async for event in events:
            yield event
    else:
        for event in events:
            yield event
