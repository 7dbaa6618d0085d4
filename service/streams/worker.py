"""What waits for a stream, batch after batch: predict, learn and commit, in order, each event once.

A stream has a queue and, while there is something in it, a worker. The worker takes what waits, as much as can be
learnt in a moment; looks up the ids; lets a copy of the hot learner learn the batch; and commits. Only what is
committed is answered.

A batch whose store fails is tried again for `request_deadline`; then it is refused, and with it all that waits behind
it. Learning takes as long as it takes: a slow learner has a long queue, not an outage.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterable
from contextvars import copy_context
from dataclasses import dataclass

from ..codec.events import FINGERPRINT
from ..errors import IdReused, Internal, ServiceError, StoreFull, Unavailable
from ..learners.cache import LearnerCache
from ..observability import logs, tracing
from ..observability.metrics import Metrics
from ..settings import Settings
from ..store.base import Committed, PendingFirst, Store
from .feed import Feeds
from .late_labels import LateLabels
from .learning import Learning, Learnt
from .queue import PendingEvent, StreamState, refuse
from .store_deadline import StoreDeadline

logger = logging.getLogger(__name__)

BATCH_SECONDS = 0.5
"""How long a batch of several events may learn."""
FIRST_BATCH = 8
"""Events of a batch while nobody knows how long one takes."""
GRACE_SECONDS = 0.3
"""What a store that answers may take beyond the deadline of one that fails."""
NAMED = 8
"""Requests of a batch that a line of the log names, at most."""
PAUSE = 0.05
"""Seconds between two attempts while the store does not answer."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A batch that was learnt, whose commit may have happened."""

    batch: list[PendingEvent]
    learnt: Learnt


class Worker:
    """Answers what is put into the queues of streams."""

    def __init__(self, settings: Settings, store: Store, hot: LearnerCache, live: Feeds, metrics: Metrics) -> None:
        self._settings = settings
        self._store = store
        self._hot = hot
        self._metrics = metrics
        self._busy: dict[str, StreamState] = {}
        metrics.queue.set_function(self._waiting)
        self._learning = Learning(store, hot, live, metrics)
        self._deferral = LateLabels(settings, store, hot, self._learning, metrics)

    def put(self, stream: StreamState, waiting: Iterable[PendingEvent]) -> None:
        """Add to the queue, and see to it that somebody works."""
        now, origin = asyncio.get_running_loop().time(), copy_context()
        for one in waiting:
            one.arrived, one.store_seconds, one.origin = now, stream.store_seconds, origin
            stream.queue.append(one)
        if stream.queue and stream.worker is None:
            self._busy[stream.name] = stream
            stream.worker = asyncio.create_task(self._work(stream))

    def _waiting(self) -> int:
        """Events that wait to be learnt, those that are being learnt included."""
        return sum(len(stream.queue) + stream.working for stream in self._busy.values())

    async def _work(self, stream: StreamState) -> None:
        """Empty the queue, batch after batch."""
        try:
            while stream.queue:
                batch = self._take(stream)
                stream.working = len(batch)
                self._name(stream, batch)
                try:
                    with tracing.batch(stream.name, len(batch), (one.origin for one in batch)):
                        await self._process(stream, batch)
                except ServiceError as error:
                    # What waits behind it needs the same store; and were it learnt, the order would have a hole.
                    refuse((*batch, *stream.queue) if isinstance(error, Unavailable) else batch, error)
                except Exception:
                    logger.exception("a batch of stream %s failed", stream.name)
                    refuse(batch, Internal("the event was not learnt; see the service's log"))
        finally:
            stream.worker, stream.working = None, 0
            if self._busy.get(stream.name) is stream:
                del self._busy[stream.name]

    def _name(self, stream: StreamState, batch: list[PendingEvent]) -> None:
        """Let lines of the log say what they are about, asked when there is one."""

        def version() -> int | None:
            copy = self._hot.cached(stream.name)
            return None if copy is None else copy.position.version

        def requests() -> str | None:
            origins = (one.origin for one in batch if one.origin is not None)
            names = dict.fromkeys(logs.about(origin).get(logs.REQUEST_ID) for origin in origins)
            return ",".join(name for name in itertools.islice(names, NAMED) if name is not None) or None

        logs.begin(stream=stream.name, version=version, request_id=requests)

    def _take(self, stream: StreamState) -> list[PendingEvent]:
        """The next batch: bounded, without what nobody waits for, with no id twice, all late or none of it.

        While events wait for their labels, all that comes later is late.
        """
        seconds = stream.event_seconds
        most = FIRST_BATCH if seconds is None else max(1, int(BATCH_SECONDS / max(seconds, 1e-9)))
        most = min(most, self._settings.max_batch)
        batch: list[PendingEvent] = []
        ids: set[str] = set()
        while stream.queue and len(batch) < most:
            waiting = stream.queue[0]
            if waiting.id in ids or (batch and not stream.deferring and waiting.late != batch[0].late):
                break
            stream.queue.popleft()
            if waiting.answer.done():
                continue
            if waiting.id is not None:
                ids.add(waiting.id)
            batch.append(waiting)
        return batch

    async def _process(self, stream: StreamState, batch: list[PendingEvent]) -> None:
        """Answer a batch: stored outcomes for known ids; the rest is learnt and committed. Raises ServiceError.

        An attempt whose result is unknown (its reply was lost, or is still on its way) stays in `attempts`, and is
        looked for in the log before each further one: at most one of them can have moved the head.
        """
        attempts: list[Attempt] = []
        failure: Unavailable | None = None
        left = self._left(stream, batch)
        deadline = StoreDeadline(self._settings.request_deadline, self._settings.store_timeout, left)
        try:
            async with deadline:
                while batch:
                    deadline.command_sent()
                    try:
                        batch = await self._attempt(stream, batch, attempts, deadline)
                    except StoreFull:
                        raise
                    except Unavailable as error:
                        failure = error
                        deadline.command_failed()
                        await asyncio.sleep(PAUSE)
                        batch = [waiting for waiting in batch if not waiting.answer.done()]
        except TimeoutError:
            detail = "The store is too slow; what it did is unknown. Repeat with the same ids."
            raise (failure or Unavailable(detail, retry_after=1)) from None
        finally:
            stream.store_seconds += deadline.spent

    def _left(self, stream: StreamState, batch: list[PendingEvent]) -> float | None:
        """What the store may still take, for the sake of the event that has waited for it longest.

        None, which is no bound, where the learner has to be loaded first: that takes as long as it is large.
        """
        if self._hot.cached(stream.name) is None:
            return None
        now = asyncio.get_running_loop().time()
        # What the stream has waited for the store since the event came, at most since then: not for the learning.
        waits = (min(now - one.arrived, stream.store_seconds - one.store_seconds) for one in batch)
        waited = max(waits, default=0.0)
        return max(self._settings.request_deadline + GRACE_SECONDS - waited, 0.0)

    async def _attempt(
        self, stream: StreamState, batch: list[PendingEvent], attempts: list[Attempt], deadline: StoreDeadline
    ) -> list[PendingEvent]:
        """Answer a batch, or as much of it as goes; what is left is to be tried again."""
        if attempts and (landed := await self._find(stream, attempts)):
            self._learning.landed(stream, landed.learnt)
            self._answer(landed)
            await self._hot.refresh(stream.name)
            return []
        hot = await self._hot.get(stream.name)
        if hot.position.epoch != stream.shape.epoch:
            stream.become(hot)
        shape = stream.shape
        batch = await self._unknown(stream, [waiting for waiting in batch if waiting.fits(shape)])
        if not batch:
            return []
        if stream.deferring or any(waiting.late for waiting in batch):
            left = await self._deferral.answer(stream, batch)
            deadline.write_confirmed()
            return [waiting for waiting in left if not waiting.answer.done()]
        with deadline.paused():
            attempt = Attempt(batch, await self._learning.learn(stream, hot, [waiting.arrival for waiting in batch]))
        attempts.append(attempt)
        result = await self._learning.commit(stream, attempt.learnt)
        deadline.write_confirmed()
        if isinstance(result, Committed):
            self._answer(attempt)
            return []
        attempts.remove(attempt)
        if isinstance(result, PendingFirst):
            stream.deferring = True
        else:
            self._metrics.conflicts.inc()
            await self._hot.refresh(stream.name)
        return batch

    async def _unknown(self, stream: StreamState, batch: list[PendingEvent]) -> list[PendingEvent]:
        """Those that are to be learnt. The events whose id has an outcome are answered."""
        ids = [waiting.id for waiting in batch if waiting.id is not None]
        if not ids:
            return batch
        known = dict(zip(ids, await self._store.outcomes(stream.name, ids), strict=True))
        if any(record is not None for record in known.values()):
            await self._store.confirm(stream.name)
        for waiting in batch:
            record = known.get(waiting.id) if waiting.id is not None else None
            if record is None:
                continue
            if waiting.repeats(record):
                self._metrics.of(stream.name).duplicates.inc()
                waiting.keep(record[FINGERPRINT:])
            else:
                waiting.keep(IdReused("an event with this id and other values was learnt before", field="id"))
        return [waiting for waiting in batch if not waiting.answer.done()]

    async def _find(self, stream: StreamState, attempts: list[Attempt]) -> Attempt | None:
        """The attempt that is in the log after all; a segment's nonce makes it unlike any other."""
        segments = set(await self._store.segments(stream.name, attempts[0].learnt.commit.before.version))
        landed = next((attempt for attempt in attempts if attempt.learnt.commit.segment in segments), None)
        if landed is not None:
            await self._store.confirm(stream.name)
        return landed

    def _answer(self, attempt: Attempt) -> None:
        """Keep the promises of a batch that is durable; the next batch begins to learn before they are written down."""

        def keep() -> None:
            try:
                for waiting, answer in zip(attempt.batch, attempt.learnt.answers.lines, strict=True):
                    waiting.keep(answer)
            except Exception:
                logger.exception("the answers of a batch cannot be written")
                refuse(attempt.batch, Internal("the event was learnt; its answer cannot be written"))

        asyncio.get_running_loop().call_soon(keep)
