"""The queue of one stream and the task that empties it, batch after batch: predict, learn and commit, in order.

The task runs while there is something in the queue. It takes as many events as can be learnt in a moment, looks up
their ids, lets a copy of the cached learner learn the batch, and commits. Only what is committed is answered, once.

A batch whose store fails is tried again for `request_deadline`. Then it is refused, and with it all events behind it
in the queue. Learning takes as long as it takes: a slow learner has a long queue, not an outage.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..codec.events import EncodedEvent
from ..errors import Internal, ServiceError, StoreFull, Unavailable
from ..learners.cache import CachedLearner, LearnerCache, LearntBatch
from ..observability import logs, tracing
from ..observability.metrics import Metrics
from ..settings import Settings
from ..store.base import CommitResult, Committed, PendingFirst, Store
from .late_labels import LateLabels
from .learning import Listener, commit, learn
from .queue import EventQueue, PendingEvent, StreamCodec, refuse
from .store_deadline import StoreDeadline

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.5
"""How long a batch of several events may learn."""
FIRST_BATCH = 8
"""Events of a batch while nobody knows how long an event takes."""
GRACE_SECONDS = 0.3
"""How much longer than the deadline of a failing store a store that answers may take."""
NAMED = 8
"""The most requests of a batch that a line of the log names."""
PAUSE = 0.05
"""Seconds between two attempts while the store does not answer."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the workers of a process have in common."""

    settings: Settings
    store: Store
    learners: LearnerCache
    late_labels: LateLabels
    metrics: Metrics
    listeners: Sequence[Listener]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A batch that was learnt, whose commit may have happened."""

    batch: list[PendingEvent]
    learnt: LearntBatch


class Worker:
    """Answers the events of one stream. Nobody else changes what this process holds of the stream but its learner."""

    def __init__(self, stream: str, codec: StreamCodec, shared: Shared) -> None:
        self.stream = stream
        self.codec = codec
        """How the stream's events are read now."""
        self.event_seconds: float | None = None
        """Running mean of the time that learning one event takes; None before the first."""
        self.task: asyncio.Task[None] | None = None
        """The task that empties the queue; None while it is empty."""
        self._shared = shared
        self._queue = EventQueue()
        self._working = 0
        self._store_seconds = 0.0
        self._labels_pending = False

    @property
    def queued(self) -> int:
        """Events in the queue, without those of the batch that is being learnt."""
        return len(self._queue)

    @property
    def unanswered(self) -> int:
        """Events in the queue and in the batch that is being learnt."""
        return len(self._queue) + self._working

    def put(self, events: Iterable[PendingEvent]) -> None:
        """Add events to the queue, and have a task that empties it."""
        self._queue.add(events, self._store_seconds)
        if self._queue and self.task is None:
            self.task = asyncio.create_task(self._work())

    def restart(self, cached: CachedLearner) -> None:
        """Go on with the stream of this name that the store has now: it was deleted and created anew."""
        self.codec, self.event_seconds, self._labels_pending = StreamCodec.of(cached), None, False

    def refuse_queued(self, error: ServiceError) -> None:
        """Refuse all events in the queue; the batch that is being learnt goes on."""
        refuse(self._queue, error)

    async def _work(self) -> None:
        """Empty the queue, batch after batch."""
        try:
            while self._queue:
                batch = self._take()
                self._working = len(batch)
                self._describe(batch)
                try:
                    with tracing.batch(self.stream, len(batch), (event.origin for event in batch)):
                        await self._process(batch)
                except ServiceError as error:
                    # The events behind need the same store; if they were learnt, the order would have a hole.
                    refuse((*batch, *self._queue) if isinstance(error, Unavailable) else batch, error)
                except Exception:
                    logger.exception("a batch of stream %s failed", self.stream)
                    refuse(batch, Internal("the event was not learnt; see the service's log"))
        finally:
            self.task, self._working = None, 0

    def _describe(self, batch: list[PendingEvent]) -> None:
        """Let lines of the log say what they are about. The fields are worked out when a line is written."""

        def version() -> int | None:
            cached = self._shared.learners.cached(self.stream)
            return None if cached is None else cached.position.version

        def requests() -> str | None:
            origins = (event.origin for event in batch if event.origin is not None)
            names = dict.fromkeys(logs.about(origin).get(logs.REQUEST_ID) for origin in origins)
            return ",".join(name for name in itertools.islice(names, NAMED) if name is not None) or None

        logs.begin(stream=self.stream, version=version, request_id=requests)

    def _take(self) -> list[PendingEvent]:
        """The next batch. While events are pending in the store, all later events are pending, with labels or not."""
        seconds = self.event_seconds
        most = FIRST_BATCH if seconds is None else max(1, int(BATCH_SECONDS / max(seconds, 1e-9)))
        return self._queue.take(min(most, self._shared.settings.max_batch), mixed=self._labels_pending)

    async def _process(self, batch: list[PendingEvent]) -> None:
        """Answer a batch: known ids with their stored outcomes; the rest is learnt and committed. Raises ServiceError.

        An attempt whose result is unknown (its reply was lost, or is still on its way) stays in `attempts`. The log is
        searched for it before each further attempt: at most one of them can have moved the head.
        """
        attempts: list[Attempt] = []
        failure: Unavailable | None = None
        settings = self._shared.settings
        deadline = StoreDeadline(settings.request_deadline, settings.store_timeout, self._time_left(batch))
        try:
            async with deadline:
                while batch:
                    deadline.command_sent()
                    try:
                        batch = await self._attempt(batch, attempts, deadline)
                    except StoreFull:
                        raise
                    except Unavailable as error:
                        failure = error
                        deadline.command_failed()
                        await asyncio.sleep(PAUSE)
                        batch = [event for event in batch if not event.answer.done()]
        except TimeoutError:
            detail = "The store is too slow; what it did is unknown. Repeat with the same ids."
            raise (failure or Unavailable(detail, retry_after=1)) from None
        finally:
            self._store_seconds += deadline.spent

    def _time_left(self, batch: list[PendingEvent]) -> float | None:
        """Seconds that the store may still take, for the event that has waited for the store longest.

        None, for no bound, where the learner has to be loaded first: the time for that depends on its size.
        """
        if self._shared.learners.cached(self.stream) is None:
            return None
        now = asyncio.get_running_loop().time()
        # The time that the stream has waited for the store since the event came. Time for learning does not count.
        waits = (min(now - event.arrived, self._store_seconds - event.store_seconds) for event in batch)
        waited = max(waits, default=0.0)
        return max(self._shared.settings.request_deadline + GRACE_SECONDS - waited, 0.0)

    async def _attempt(
        self, batch: list[PendingEvent], attempts: list[Attempt], deadline: StoreDeadline
    ) -> list[PendingEvent]:
        """Answer a batch, or part of it; the result is the events that have to be tried again."""
        learners = self._shared.learners
        if attempts and (landed := await self._find(attempts)):
            self._tell(landed.learnt)
            self._answer(landed)
            await learners.refresh(self.stream)
            return []
        cached = await learners.get(self.stream)
        if cached.position.epoch != self.codec.epoch:
            self.restart(cached)
        batch = await self._unknown([event for event in batch if event.reparse(self.codec)])
        if not batch:
            return []
        if self._labels_pending or any(event.label_pending for event in batch):
            left = await self._attempt_pending(batch)
            deadline.write_confirmed()
            return [event for event in left if not event.answer.done()]
        with deadline.paused():
            attempt = Attempt(batch, await self._learn(cached, [event.encoded for event in batch]))
        attempts.append(attempt)
        result = await self._commit(attempt.learnt)
        deadline.write_confirmed()
        if isinstance(result, Committed):
            self._answer(attempt)
            return []
        attempts.remove(attempt)
        if isinstance(result, PendingFirst):
            self._labels_pending = True
        else:
            self._shared.metrics.conflicts.inc()
            await learners.refresh(self.stream)
        return batch

    async def _attempt_pending(self, batch: list[PendingEvent]) -> list[PendingEvent]:
        """The same for a stream in which events wait for their labels, or will from this batch on."""
        late_labels = self._shared.late_labels
        cached = await self._shared.learners.refresh(self.stream)
        entries = await late_labels.apply(self.stream, self.codec, cached, batch, self.event_seconds)
        if entries is None:
            return batch
        answers = {entry.id: entry.answer.encode() for entry in entries}
        while complete := late_labels.complete(entries):
            ids = tuple(entry.id for entry in complete)
            learnt = await self._learn(cached, [entry.encoded for entry in complete], ids)
            if not isinstance(await self._commit(learnt), Committed):
                self._shared.metrics.conflicts.inc()
                return batch
            answers |= zip(ids, learnt.answers.lines, strict=True)
            cached, entries = learnt.cached, entries[len(complete) :]
        self._labels_pending = bool(entries)
        for event in batch:
            if event.id is not None and event.id in answers:
                event.resolve(answers[event.id])
        return []

    async def _unknown(self, batch: list[PendingEvent]) -> list[PendingEvent]:
        """The events that have no outcome yet; the others are answered."""
        ids = [event.id for event in batch if event.id is not None]
        if not ids:
            return batch
        store = self._shared.store
        known = dict(zip(ids, await store.outcomes(self.stream, ids), strict=True))
        if any(record is not None for record in known.values()):
            await store.confirm(self.stream)
        for event in batch:
            record = known.get(event.id) if event.id is not None else None
            if record is not None and event.resolve_known(record):
                self._shared.metrics.of(self.stream).duplicates.inc()
        return [event for event in batch if not event.answer.done()]

    async def _find(self, attempts: list[Attempt]) -> Attempt | None:
        """The attempt that is in the log after all; a segment's nonce makes it unlike any other."""
        store = self._shared.store
        segments = set(await store.segments(self.stream, attempts[0].learnt.commit.before.version))
        landed = next((attempt for attempt in attempts if attempt.learnt.commit.segment in segments), None)
        if landed is not None:
            await store.confirm(self.stream)
        return landed

    async def _learn(
        self, cached: CachedLearner, encoded: Sequence[EncodedEvent], pending: tuple[str, ...] = ()
    ) -> LearntBatch:
        """Learn events after a cached learner, and note how long that took."""
        learnt = await learn(self.stream, cached, self.codec.writer, encoded, self.event_seconds, pending)
        mean = learnt.seconds / len(encoded)
        self.event_seconds = mean if self.event_seconds is None else 0.9 * self.event_seconds + 0.1 * mean
        return learnt

    async def _commit(self, learnt: LearntBatch) -> CommitResult:
        """Make a batch durable; once it is, the listeners are told."""
        result = await commit(self._shared.store, self._shared.metrics, learnt)
        if isinstance(result, Committed):
            self._tell(learnt)
        return result

    def _tell(self, learnt: LearntBatch) -> None:
        """Tell every listener of a batch that is durable."""
        for listener in self._shared.listeners:
            listener.committed(learnt)

    def _answer(self, attempt: Attempt) -> None:
        """Answer a batch that is durable. The next batch begins to learn before these answers are written as JSON."""

        def resolve() -> None:
            try:
                for event, answer in zip(attempt.batch, attempt.learnt.answers.lines, strict=True):
                    event.resolve(answer)
            except Exception:
                logger.exception("the answers of a batch cannot be written")
                refuse(attempt.batch, Internal("the event was learnt; its answer cannot be written"))

        asyncio.get_running_loop().call_soon(resolve)
