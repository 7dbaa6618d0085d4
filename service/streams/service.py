"""The use case: observe(stream, events). Predict, learn and commit, in order, each event once.

What is asked of a stream, by name: create it, look at it, send it events, ask it for a forecast. Events go into the
stream's queue; `nobacktrack.service.streams.worker` takes them from there.
"""

import asyncio
import dataclasses
import json
import secrets
from collections.abc import Sequence

from ... import model
from ..codec.events import encode_event
from ..errors import BadConfig, BadEvent, ConfigMismatch, LimitReached, Unavailable, UnknownStream
from ..learners.cache import LearnerCache, config_of
from ..learners.kernels import Kernels
from ..observability.metrics import Metrics
from ..schemas import Event, Forecast, ForecastRequest, Label, RecentStatus, StreamHead, StreamStatus
from ..settings import Settings
from ..store.base import LogPosition, Store
from .feed import Feeds
from .forecasts import Forecasts
from .lifecycle import Lifecycle, check_size
from .queue import Answer, PendingEvent, StreamCodec, StreamState, refuse
from .worker import Worker

CLOSE_SECONDS = 2.0
"""How long what waits may still be learnt at the end."""


class Streams:
    """All streams, as this process sees them. Without `kernels` whatever is needed is compiled where it is needed."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, kernels: Kernels | None = None) -> None:
        self._settings = settings
        self._store = store
        self._kernels = kernels
        self._hot = LearnerCache(settings, store, metrics, kernels)
        self.live = Feeds(store, self._hot, settings.max_watchers)
        self._batches = Worker(settings, store, self._hot, self.live, metrics)
        self._forecasts = Forecasts(settings, store, self._hot)
        self.lifecycle = Lifecycle(settings, store, self._hot)
        self._streams: dict[str, StreamState] = {}
        self._closing = False

    async def create(self, name: str, values: dict[str, object]) -> tuple[StreamStatus, bool]:
        """The stream of this configuration, and whether this call made it.

        Raises BadConfig, ConfigMismatch when the name has another one, LimitReached when the store is full of streams.
        """
        try:
            config = model.Config.from_dict(values)
        except model.ConfigError as error:
            raise BadConfig(str(error)) from error
        if self._kernels is not None:
            self._kernels.check(config.dtype)
        await check_size(config, self._settings.max_state_bytes)
        made = await self._store.create(
            name, LogPosition.first(secrets.token_hex(8)), json.dumps(config.to_dict()), config.fingerprint(),
            self._settings.max_streams,
        )  # fmt: skip
        if made is None:
            raise LimitReached(
                f"the store holds {self._settings.max_streams} streams; delete one first", retry_after=60
            )
        head, created = made
        if config_of(head) != config:
            raise ConfigMismatch("the stream keeps its configuration; delete it first or use another name")
        return await self.status(name), created

    async def status(self, name: str) -> StreamStatus:
        """The stream at its head. Raises UnknownStream."""
        copy = await self._hot.refresh(name)
        learner, stream = copy.learner, self._streams.get(name)
        return StreamStatus(
            name=name,
            version=learner.version,
            config=learner.config.to_dict(),
            fingerprint=learner.config.fingerprint(),
            digest=await asyncio.to_thread(learner.digest),
            parameters=learner.config.parameters,
            state_bytes=copy.nbytes,
            pending=len(await self._store.pending(name)),
            checkpoint=self._hot.checkpoint(name),
            update_seconds=None if stream is None else stream.event_seconds,
            recent=RecentStatus.model_validate(dataclasses.asdict(self._hot.recent(name).summary())),
        )

    async def version(self, name: str) -> int:
        """Events that the stream has learnt. Raises UnknownStream."""
        return (await self._hot.refresh(name)).position.version

    async def config(self, name: str) -> model.Config:
        """The stream's configuration at its head. Raises UnknownStream."""
        return (await self._hot.refresh(name)).learner.config

    async def names(self) -> list[str]:
        """Every stream of the store, sorted."""
        return await self._store.names()

    async def heads(self, names: Sequence[str]) -> list[StreamHead]:
        """What the heads of these streams say; no learner is loaded."""
        heads = [(name, await self._store.head(name)) for name in names]
        return [
            StreamHead(name=name, version=head.position.version, targets=json.loads(head.config)["targets"])
            for name, head in heads
            if head is not None  # deleted meanwhile
        ]

    async def delete(self, name: str) -> None:
        """Remove a stream and everything about it. Raises UnknownStream."""
        try:
            existed = await self._store.delete(name)
        finally:
            # Also when the store's reply is lost: what it did is unknown then.
            self._hot.forget(name)
            stream = self._streams.get(name)
            if stream is not None and stream.worker is None:
                del self._streams[name]
        if not existed:
            raise UnknownStream("there is nothing to delete")

    async def forecast(self, name: str, horizon: int, request: ForecastRequest | None = None) -> Forecast:
        """The next `horizon` steps after all that the stream was told; nothing changes.

        While the store is away they are from a hot copy, without what waits for labels, and marked stale.

        Raises UnknownStream, TooLarge, BadEvent, and Unavailable where there is no hot copy either.
        """
        return await self._forecasts.ask(name, horizon, request)

    async def open(self, name: str) -> StreamState:
        """The stream, ready for events. Raises UnknownStream."""
        stream = self._streams.get(name)
        if stream is None:
            copy = await self._hot.get(name)
            stream = self._streams.setdefault(name, StreamState(name, StreamCodec.of(copy)))
        return stream

    async def submit(
        self, name: str, events: Sequence[Event | Label], behind: asyncio.Future[Answer] | None = None
    ) -> list[asyncio.Future[Answer]]:
        """Put events and labels into the queue, in order; a promise each. One that is refused does not stop the rest.

        Every promise is kept: when the event is durable, or refused. Raises UnknownStream; LimitReached when too many
        wait already, with nothing taken; and Unavailable when the store does not answer, when the service is shutting
        down, or when an outage has broken the promise `behind`, so that the order of events has no hole.
        """
        stream = await self.open(name)
        loop = asyncio.get_running_loop()
        read = [_read(stream.shape, event, loop) for event in events]
        if any(isinstance(one, BadEvent) for one in read) and await self._is_another(stream):
            read = [_read(stream.shape, event, loop) for event in events]
        if behind is not None and behind.done() and isinstance(refused := behind.result(), Unavailable):
            raise refused
        if self._closing:
            raise Unavailable("the service is shutting down; send it again", retry_after=1)
        if len(stream.queue) + len(events) > self._settings.max_queue:
            raise LimitReached("more events wait than this stream may have waiting; send fewer at once", retry_after=1)
        self._batches.put(stream, [one for one in read if isinstance(one, PendingEvent)])
        return [one.answer if isinstance(one, PendingEvent) else _kept(one, loop) for one in read]

    async def observe(self, name: str, events: Sequence[Event | Label]) -> list[Answer]:
        """Learn events in order; one answer each, in the same order. Raises as `submit` does."""
        return list(await asyncio.gather(*await self.submit(name, events)))

    async def close(self) -> None:
        """Finish what waits, checkpoint, and take nothing more. What takes too long is refused."""
        self._closing = True
        working = {stream.worker: stream for stream in self._streams.values() if stream.worker is not None}
        if working:
            _, late = await asyncio.wait(working, timeout=CLOSE_SECONDS)
            for worker in late:
                refuse(working[worker].queue, Unavailable("the service is shutting down; send it again", retry_after=1))
            await asyncio.gather(*late)
        await self._hot.close()

    async def _is_another(self, stream: StreamState) -> bool:
        """Whether the stream was deleted and created anew, by whichever replica; from now on it is the new one."""
        head = await self._store.head(stream.name)
        if head is not None and head.position.epoch == stream.shape.epoch:
            return False
        stream.become(await self._hot.refresh(stream.name))
        return True


def _read(shape: StreamCodec, event: Event | Label, loop: asyncio.AbstractEventLoop) -> PendingEvent | BadEvent:
    try:
        return PendingEvent(event, shape, encode_event(shape.config, event), loop.create_future())
    except BadEvent as error:
        return error


def _kept(error: BadEvent, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Answer]:
    """A promise that is kept already."""
    answer: asyncio.Future[Answer] = loop.create_future()
    answer.set_result(error)
    return answer
