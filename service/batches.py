"""What waits for a stream, batch after batch: predict, learn and commit, in order, each event once.

A stream has a queue and, while there is something in it, a worker. The worker takes what waits, as much as can be
learnt in a moment; looks up the ids; lets a copy of the hot learner learn the batch; and commits. Only what is
committed is answered.

A batch whose store fails is tried again for `request_deadline`; then it is refused, and with it all that waits behind
it. Learning takes as long as it takes: a slow learner has a long queue, not an outage.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

import numpy as np

import model
from service import log
from service.errors import BadEvent, Internal, OtherBody, ServiceError, StoreFull, Unavailable
from service.hot import HotCopies, HotCopy
from service.metrics import Metrics
from service.patience import Patience
from service.schemas import Event
from service.settings import Settings
from service.store import Commit, Committed, Store, Token
from service.wire import FINGERPRINT, Arrival, OutcomeWriter, arrival

logger = logging.getLogger(__name__)

Answer: TypeAlias = bytes | ServiceError
"""An outcome as JSON, or why there is none."""

BATCH_SECONDS = 0.5
"""How long a batch of several events may learn."""
FIRST_BATCH = 8
"""Events of a batch while nobody knows how long one takes."""
INLINE_SECONDS = 0.002
"""A batch that takes longer than this learns in a thread, so that other streams go on;"""
INLINE_BYTES = 1024 * 1024
"""and so does one whose learner is larger, as copying it takes long."""
PAUSE = 0.05
"""Seconds between two attempts while the store does not answer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the events of a stream are read and its outcomes written, until it is deleted and created anew."""

    epoch: str
    config: model.Config
    writer: OutcomeWriter

    @classmethod
    def of(cls, copy: HotCopy) -> Self:
        """That of a learner."""
        config = copy.learner.config
        return cls(copy.token.epoch, config, OutcomeWriter(config))


@dataclass(slots=True)
class Waiting:
    """An event in the queue and the promise of its answer."""

    event: Event
    shape: Shape
    arrival: Arrival
    """The event as `shape` reads it."""
    answer: asyncio.Future[Answer]

    def keep(self, answer: Answer) -> None:
        """Keep the promise, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fits(self, shape: Shape) -> bool:
        """Whether the event can still be learnt; it is read again where the stream is another one by now."""
        if not self.answer.done() and self.shape is not shape:
            try:
                self.shape, self.arrival = shape, arrival(shape.config, self.event)
            except BadEvent as error:
                self.keep(error)
        return not self.answer.done()


@dataclass(slots=True)
class Stream:
    """What this process holds of a stream beside the hot copy."""

    name: str
    shape: Shape
    queue: deque[Waiting] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    event_seconds: float | None = None
    """Running mean of the time that learning one event takes; None before the first."""

    def become(self, copy: HotCopy) -> None:
        """Go on as the stream of this name that there is now."""
        self.shape, self.event_seconds = Shape.of(copy), None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A batch that was learnt, and the commit that is to make it durable."""

    commit: Commit
    copy: HotCopy
    batch: list[Waiting]
    answers: list[bytes]
    outcomes: model.Outcomes
    seconds: float


class Batches:
    """Answers what is put into the queues of streams."""

    def __init__(self, settings: Settings, store: Store, hot: HotCopies, metrics: Metrics) -> None:
        self._settings = settings
        self._store = store
        self._hot = hot
        self._metrics = metrics

    def put(self, stream: Stream, waiting: Iterable[Waiting]) -> None:
        """Add to the queue, and see to it that somebody works."""
        for one in waiting:
            stream.queue.append(one)
            self._metrics.queue.inc()
            one.answer.add_done_callback(self._settled)
        if stream.queue and stream.worker is None:
            stream.worker = asyncio.create_task(self._work(stream))

    def _settled(self, _: asyncio.Future[Answer]) -> None:
        self._metrics.queue.dec()

    async def _work(self, stream: Stream) -> None:
        """Empty the queue, batch after batch."""
        try:
            while stream.queue:
                batch = self._take(stream)
                try:
                    await self._process(stream, batch)
                except ServiceError as error:
                    # What waits behind it needs the same store; and were it learnt, the order would have a hole.
                    refuse((*batch, *stream.queue) if isinstance(error, Unavailable) else batch, error)
                except Exception:
                    logger.exception("a batch of stream %s failed", stream.name)
                    refuse(batch, Internal("the event was not learnt; see the service's log"))
        finally:
            stream.worker = None

    def _take(self, stream: Stream) -> list[Waiting]:
        """The next batch: bounded, without what nobody waits for, and with no id twice."""
        seconds = stream.event_seconds
        most = FIRST_BATCH if seconds is None else max(1, int(BATCH_SECONDS / max(seconds, 1e-9)))
        most = min(most, self._settings.max_batch)
        batch: list[Waiting] = []
        ids: set[str] = set()
        while stream.queue and len(batch) < most:
            waiting = stream.queue[0]
            if waiting.event.id in ids:
                break
            stream.queue.popleft()
            if waiting.answer.done():
                continue
            if waiting.event.id is not None:
                ids.add(waiting.event.id)
            batch.append(waiting)
        return batch

    async def _process(self, stream: Stream, batch: list[Waiting]) -> None:
        """Answer a batch: stored outcomes for known ids; the rest is learnt and committed. Raises ServiceError.

        An attempt whose result is unknown (its reply was lost, or is still on its way) stays in `attempts`, and is
        looked for in the log before each further one: at most one of them can have moved the head.
        """
        attempts: list[Attempt] = []
        failure: Unavailable | None = None
        try:
            async with Patience(self._settings.request_deadline, self._settings.store_timeout) as patience:
                while batch:
                    patience.ask()
                    try:
                        batch = await self._attempt(stream, batch, attempts, patience)
                    except StoreFull:
                        raise
                    except Unavailable as error:
                        failure = error
                        patience.failed()
                        await asyncio.sleep(PAUSE)
                        batch = [waiting for waiting in batch if not waiting.answer.done()]
        except TimeoutError:
            if failure is None:
                raise
            raise failure from None

    async def _attempt(
        self, stream: Stream, batch: list[Waiting], attempts: list[Attempt], patience: Patience
    ) -> list[Waiting]:
        """Answer a batch, or as much of it as goes; what is left is to be tried again."""
        if attempts and (landed := await self._find(stream, attempts)):
            self._answer(stream, landed)
            await self._hot.refresh(stream.name)
            return []
        hot = await self._hot.get(stream.name)
        if hot.token.epoch != stream.shape.epoch:
            stream.become(hot)
        shape = stream.shape
        batch = await self._unknown(stream, [waiting for waiting in batch if waiting.fits(shape)])
        if not batch:
            return []
        with patience.standing():
            attempt = await self._learn(stream, shape, hot, batch)
        attempts.append(attempt)
        committed = await self._commit(stream, attempt)
        patience.answered()
        if committed:
            self._hot.put(stream.name, attempt.copy, attempt.seconds)
            self._answer(stream, attempt)
            return []
        attempts.remove(attempt)
        self._metrics.conflicts.inc()
        await self._hot.refresh(stream.name)
        return batch

    async def _unknown(self, stream: Stream, batch: list[Waiting]) -> list[Waiting]:
        """Those that are to be learnt. The events whose id has an outcome are answered."""
        ids = [waiting.event.id for waiting in batch if waiting.event.id is not None]
        if not ids:
            return batch
        known = dict(zip(ids, await self._store.outcomes(stream.name, ids), strict=True))
        if any(record is not None for record in known.values()):
            await self._store.confirm(stream.name)
        for waiting in batch:
            record = known.get(waiting.event.id) if waiting.event.id is not None else None
            if record is None:
                continue
            if record[:FINGERPRINT] == waiting.arrival.fingerprint():
                self._metrics.duplicates.labels(self._metrics.label(stream.name)).inc()
                waiting.keep(record[FINGERPRINT:])
            else:
                waiting.keep(OtherBody("an event with this id and other values was learnt before", field="id"))
        return [waiting for waiting in batch if not waiting.answer.done()]

    async def _learn(self, stream: Stream, shape: Shape, hot: HotCopy, batch: list[Waiting]) -> Attempt:
        """Learn a batch on a copy of the hot learner; nothing is durable yet."""
        arrivals = [waiting.arrival for waiting in batch]
        events = log.Events(
            first=hot.token.version + 1,
            times=np.array([arrival.time for arrival in arrivals]),
            Y=np.array([arrival.y for arrival in arrivals]),
            X=np.array([arrival.x for arrival in arrivals]).reshape(len(arrivals), -1),
        )
        expected = None if stream.event_seconds is None else len(batch) * stream.event_seconds
        if expected is not None and expected < INLINE_SECONDS and hot.nbytes <= INLINE_BYTES:
            learner, outcomes, seconds = _learnt(hot.learner, events)
        else:
            learner, outcomes, seconds = await asyncio.to_thread(_learnt, hot.learner, events)
        mean = seconds / len(batch)
        stream.event_seconds = mean if stream.event_seconds is None else 0.9 * stream.event_seconds + 0.1 * mean
        segment = log.encode(events, secrets.randbits(64))
        after = Token(learner.version, hot.token.epoch, log.link(hot.token.chain, segment))
        answers = shape.writer.write([arrival.id for arrival in arrivals], outcomes)
        records = tuple(
            (arrival.id, arrival.fingerprint() + answer)
            for arrival, answer in zip(arrivals, answers, strict=True)
            if arrival.id is not None
        )
        copy = replace(hot, learner=learner, token=after)
        return Attempt(Commit(hot.token, after, segment, records), copy, batch, answers, outcomes, seconds)

    async def _commit(self, stream: Stream, attempt: Attempt) -> bool:
        with self._metrics.commit_seconds.time():
            return isinstance(await self._store.commit(stream.name, attempt.commit), Committed)

    async def _find(self, stream: Stream, attempts: list[Attempt]) -> Attempt | None:
        """The attempt that is in the log after all; a segment's nonce makes it unlike any other."""
        segments = set(await self._store.segments(stream.name, attempts[0].commit.before.version))
        landed = next((attempt for attempt in attempts if attempt.commit.segment in segments), None)
        if landed is not None:
            await self._store.confirm(stream.name)
        return landed

    def _answer(self, stream: Stream, attempt: Attempt) -> None:
        self._metrics.learnt(stream.name, attempt.outcomes, attempt.seconds)
        for waiting, answer in zip(attempt.batch, attempt.answers, strict=True):
            waiting.keep(answer)


def refuse(waiting: Iterable[Waiting], error: ServiceError) -> None:
    """Answer all of them with an error: none of them will be learnt, unless its commit is on its way already."""
    for one in waiting:
        one.keep(error)


def _learnt(hot: model.Learner, events: log.Events) -> tuple[model.Learner, model.Outcomes, float]:
    """A copy that has learnt the events, what it said, and the seconds that learning took."""
    learner = hot.copy()
    start = time.perf_counter()
    outcomes = learner.observe_many(events.Y, events.X, events.times)
    return learner, outcomes, time.perf_counter() - start
