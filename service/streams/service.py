"""What can be asked of a stream, by name: create it, look at it, send it events, ask it for a forecast.

Events go into the queue of the stream's worker (`nobacktrack.service.streams.worker`), which predicts, learns and
commits them in order, each once.
"""

import asyncio
import contextlib
import dataclasses
import json
import secrets
from collections.abc import Sequence

from ... import model
from ..errors import BadConfig, BadEvent, ConfigMismatch, LimitReached, ServiceError, Unavailable, UnknownStream
from ..learners.cache import LearnerCache, config_of
from ..learners.kernels import Kernels
from ..observability.metrics import Metrics
from ..schemas import Event, Forecast, ForecastRequest, Label, RecentStatus, StreamHead, StreamStatus
from ..settings import Settings
from ..store.base import LogPosition, Store
from .feed import Feeds
from .forecasts import Forecasts
from .late_labels import LateLabels
from .lifecycle import Lifecycle, check_size
from .queue import Answer, PendingEvent, StreamCodec
from .worker import Shared, Worker

CLOSE_SECONDS = 2.0
"""How long pending events may still be learnt at the end."""
FORGET_SECONDS = 60.0
"""Between two looks for streams that other replicas have deleted."""
SPARE_WORKERS = 64
"""Workers that may be idle, with no learner in memory, before they are dropped."""


class Streams:
    """All streams, as this process sees them. Without `kernels`, a kernel is compiled when it is first needed."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, kernels: Kernels | None = None) -> None:
        self._settings = settings
        self._store = store
        self._kernels = kernels
        self._learners = LearnerCache(settings, store, metrics, kernels)
        self.live = Feeds(store, self._learners, settings.max_watchers)
        late_labels = LateLabels(settings, store, metrics)
        listeners = (self._learners, self.live)
        self._shared = Shared(settings, store, self._learners, late_labels, metrics, listeners)
        self._forecasts = Forecasts(settings, store, self._learners)
        self.lifecycle = Lifecycle(settings, store, self._learners)
        self._workers: dict[str, Worker] = {}
        self._most_workers = SPARE_WORKERS
        self._closing = False
        self._forgetting: asyncio.Task[None] | None = None
        metrics.queue.set_function(lambda: sum(worker.unanswered for worker in self._workers.values()))

    def start(self) -> None:
        """Begin to look, now and then, for streams that other replicas have deleted."""
        self._forgetting = asyncio.create_task(self._forget_now_and_then())

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
        cached = await self._learners.refresh(name)
        learner, worker = cached.learner, self._workers.get(name)
        return StreamStatus(
            name=name,
            version=learner.version,
            config=learner.config.to_dict(),
            fingerprint=learner.config.fingerprint(),
            digest=await asyncio.to_thread(learner.digest),
            parameters=learner.config.parameters,
            state_bytes=cached.nbytes,
            pending=len(await self._store.pending(name)),
            checkpoint=self._learners.checkpoint(name),
            update_seconds=None if worker is None else worker.event_seconds,
            recent=RecentStatus.model_validate(dataclasses.asdict(self._learners.recent(name).summary())),
        )

    async def version(self, name: str) -> int:
        """Events that the stream has learnt. Raises UnknownStream."""
        return (await self._learners.refresh(name)).position.version

    async def config(self, name: str) -> model.Config:
        """The stream's configuration at its head. Raises UnknownStream."""
        return (await self._learners.refresh(name)).learner.config

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
            self._forget(name)
        if not existed:
            raise UnknownStream("there is nothing to delete")

    async def forecast(self, name: str, horizon: int, request: ForecastRequest | None = None) -> Forecast:
        """The next `horizon` steps after all that the stream was told; nothing changes.

        While the store is away, forecasts come from a cached learner, leave out pending events, and are marked stale.

        Raises UnknownStream, TooLarge, BadEvent, and Unavailable where no learner is cached either.
        """
        return await self._forecasts.ask(name, horizon, request)

    async def open(self, name: str) -> Worker:
        """The worker of a stream, ready for events. Raises UnknownStream."""
        worker = self._workers.get(name)
        if worker is None:
            codec = StreamCodec.of(await self._learners.get(name))
            worker = self._workers.setdefault(name, Worker(name, codec, self._shared))
            self._drop_idle(worker)
        return worker

    async def submit(
        self, name: str, events: Sequence[Event | Label], behind: asyncio.Future[Answer] | None = None
    ) -> list[asyncio.Future[Answer]]:
        """Put events and labels into the queue, in order; the result is a future for each answer.

        Every future gets an answer: when the event is durable, or refused. An event that is refused by itself does not
        stop the others. Raises UnknownStream; LimitReached when too many events are pending already, with nothing
        taken; and Unavailable when the store does not answer, when the service is shutting down, or when the answer
        `behind` says that an outage has refused an earlier event, so that the order of events has no hole.
        """
        worker = await self.open(name)
        read = [_read(worker.codec, event) for event in events]
        if any(isinstance(one, BadEvent) for one in read) and await self._is_another(worker):
            read = [_read(worker.codec, event) for event in events]
        if behind is not None and behind.done() and isinstance(refused := behind.result(), Unavailable):
            raise refused
        if self._closing:
            raise Unavailable("the service is shutting down; send it again", retry_after=1)
        if worker.queued + len(events) > self._settings.max_queue:
            raise LimitReached("more events wait than this stream may have waiting; send fewer at once", retry_after=1)
        worker = self._workers.setdefault(name, worker)  # it may have been dropped while the store was asked
        worker.put([one for one in read if isinstance(one, PendingEvent)])
        return [one.answer if isinstance(one, PendingEvent) else _answered(one) for one in read]

    async def observe(self, name: str, events: Sequence[Event | Label]) -> list[Answer]:
        """Learn events in order; one answer each, in the same order. Raises as `submit` does."""
        return list(await asyncio.gather(*await self.submit(name, events)))

    async def forget_deleted(self) -> None:
        """Forget streams that the store no longer has: another replica deleted them. Raises Unavailable."""
        known = {*self._workers, *self._learners.known()}
        for name in known.difference(await self._store.names()) if known else ():
            self._forget(name)

    async def close(self) -> None:
        """Learn the pending events, write checkpoints, and take nothing more. Events that take too long are refused."""
        self._closing = True
        if self._forgetting is not None:
            self._forgetting.cancel()
        working = {worker.task: worker for worker in self._workers.values() if worker.task is not None}
        if working:
            _, late = await asyncio.wait(working, timeout=CLOSE_SECONDS)
            for task in late:
                working[task].refuse_queued(Unavailable("the service is shutting down; send it again", retry_after=1))
            await asyncio.gather(*late)
        await self._learners.close()

    async def _is_another(self, worker: Worker) -> bool:
        """Whether the stream was deleted and created anew, by whichever replica; then the worker goes on with it."""
        head = await self._store.head(worker.stream)
        if head is not None and head.position.epoch == worker.codec.epoch:
            return False
        worker.restart(await self._learners.refresh(worker.stream))
        return True

    async def _forget_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            with contextlib.suppress(ServiceError):  # the store is away; its streams are not
                await self.forget_deleted()

    def _forget(self, name: str) -> None:
        """Drop all that this process knows of a stream that is gone, or may be."""
        self._learners.forget(name)
        if name in self._workers and self._workers[name].task is None:
            del self._workers[name]

    def _drop_idle(self, newest: Worker) -> None:
        """Drop workers that have nothing to do and whose learner has left memory, once there are many workers."""
        if len(self._workers) <= self._most_workers:
            return
        for name, worker in list(self._workers.items()):
            if worker is not newest and worker.task is None and self._learners.cached(name) is None:
                del self._workers[name]
        self._most_workers = 2 * len(self._workers) + SPARE_WORKERS


def _read(codec: StreamCodec, event: Event | Label) -> PendingEvent | BadEvent:
    try:
        return PendingEvent.read(codec, event)
    except BadEvent as error:
        return error


def _answered(error: BadEvent) -> asyncio.Future[Answer]:
    """A future that has its answer already."""
    answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    answer.set_result(error)
    return answer
