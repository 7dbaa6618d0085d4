"""The use case: observe(stream, events). Predict, learn and commit, in order, each event once.

Each stream has a queue and, while there is something in it, a worker. The worker takes all that waits, looks up the
ids, lets a copy of the hot learner learn the batch, and commits. Only what is committed is answered.
"""

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

import model
from service import log
from service.errors import (
    BadConfig,
    BadEvent,
    Internal,
    OtherBody,
    OtherConfig,
    ServiceError,
    StoreFull,
    TooLarge,
    TooMany,
    Unavailable,
    UnknownStream,
)  # fmt: skip
from service.hot import HotCopies, HotCopy
from service.metrics import Metrics
from service.schemas import Event, Forecast, ForecastRequest, Step, StreamStatus
from service.settings import Settings
from service.store import Commit, Committed, Store, Token
from service.wire import Arrival, OutcomeWriter, arrival, future, steps

logger = logging.getLogger(__name__)

Answer: TypeAlias = bytes | ServiceError
"""An outcome as JSON, or why there is none."""

INLINE_SECONDS = 0.002
"""A batch that takes longer than this learns in a thread, so that other streams go on."""
FINGERPRINT = 8
"""Bytes of `Arrival.fingerprint` that precede the outcome in a record."""
PAUSE = 0.05
"""Seconds between two attempts while the store does not answer."""


@dataclass(slots=True)
class Waiting:
    """An event in the queue and the promise of its answer."""

    arrival: Arrival
    answer: asyncio.Future[Answer]
    deadline: float
    """Loop time after which nobody waits any more."""


@dataclass(slots=True)
class Stream:
    """What this process holds of a stream beside the hot copy."""

    name: str
    epoch: str
    config: model.Config
    writer: OutcomeWriter
    queue: deque[Waiting] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    event_seconds: float | None = None
    """Running mean of the time that learning one event takes; None before the first, which may have to compile."""


class Streams:
    """All streams, as this process sees them."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._hot = HotCopies(store, metrics, settings.hot_bytes, settings.checkpoint_every, settings.outcomes_kept)
        self._streams: dict[str, Stream] = {}
        self._closing = False

    async def create(self, name: str, values: dict[str, object]) -> tuple[StreamStatus, bool]:
        """The stream of this configuration, and whether this call made it.

        Raises BadConfig, OtherConfig when the name has another one, TooMany when the store has no place for one more.
        """
        try:
            config = model.Config.from_dict(values)
        except model.ConfigError as error:
            raise BadConfig(str(error)) from error
        made = await self._store.create(
            name, secrets.token_hex(8), json.dumps(config.to_dict()), config.fingerprint(), self._settings.max_streams
        )
        if made is None:
            raise TooMany(f"the store holds {self._settings.max_streams} streams; delete one first", retry_after=60)
        head, created = made
        if head.fingerprint != config.fingerprint():
            raise OtherConfig("the stream keeps its configuration; delete it first or use another name")
        return await self.status(name), created

    async def status(self, name: str) -> StreamStatus:
        """The stream at its head. Raises UnknownStream."""
        copy = await self._hot.refresh(name)
        learner = copy.learner
        return StreamStatus(
            name=name,
            version=learner.version,
            config=learner.config.to_dict(),
            fingerprint=learner.config.fingerprint(),
            digest=await asyncio.to_thread(learner.digest),
            parameters=learner.config.parameters,
            state_bytes=learner.nbytes,
        )

    async def names(self) -> list[str]:
        """Every stream of the store, sorted."""
        return await self._store.names()

    async def delete(self, name: str) -> None:
        """Remove a stream and everything about it. Raises UnknownStream."""
        existed = await self._store.delete(name)
        self._hot.forget(name)
        self._streams.pop(name, None)
        if not existed:
            raise UnknownStream("there is nothing to delete")

    async def forecast(self, name: str, horizon: int, request: ForecastRequest | None = None) -> Forecast:
        """The next `horizon` steps from the head of the stream. Raises UnknownStream, TooLarge, BadEvent."""
        if horizon > self._settings.max_horizon:
            raise TooLarge(f"at most {self._settings.max_horizon} steps can be asked for", field="horizon")
        learner = (await self._hot.refresh(name)).learner
        if request is None and learner.config.inputs:
            raise BadEvent(
                f"this stream has inputs; POST their future values: {', '.join(learner.config.inputs)}", field="x"
            )
        inputs = None if request is None else future(learner.config, request)
        ahead = await asyncio.to_thread(learner.forecast, horizon, inputs)
        return Forecast(
            version=learner.version, steps=[Step.model_validate(step) for step in steps(learner.config, ahead)]
        )

    async def open(self, name: str) -> Stream:
        """The stream, ready to `submit` to. Raises UnknownStream."""
        stream = self._streams.get(name)
        if stream is None:
            copy = await self._hot.get(name)
            config = copy.learner.config
            stream = self._streams.setdefault(name, Stream(name, copy.token.epoch, config, OutcomeWriter(config)))
        return stream

    def submit(self, stream: Stream, events: Sequence[Event]) -> list[asyncio.Future[Answer]]:
        """Put events into the queue, in order; a promise each. An event that is refused does not stop the rest.

        Every promise is kept by the deadline of `collect`. Raises TooMany when too many wait already, with nothing
        taken, and Unavailable when the service is shutting down.
        """
        if self._closing:
            raise Unavailable("the service is shutting down; send it again", retry_after=1)
        if len(stream.queue) + len(events) > self._settings.max_queue:
            raise TooMany("more events wait than this stream may have waiting; send fewer at once", retry_after=1)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.request_deadline
        answers: list[asyncio.Future[Answer]] = []
        taken: list[Waiting] = []
        for event in events:
            answer: asyncio.Future[Answer] = loop.create_future()
            answers.append(answer)
            try:
                waiting = Waiting(arrival(stream.config, event), answer, deadline)
            except BadEvent as error:
                answer.set_result(error)
                continue
            taken.append(waiting)
        stream.queue.extend(taken)
        if taken:
            self._watch(taken, loop.call_at(deadline, _expire, taken))
        if stream.queue and stream.worker is None:
            stream.worker = asyncio.create_task(self._work(stream))
        return answers

    def _watch(self, taken: list[Waiting], late: asyncio.TimerHandle) -> None:
        """Count the events that wait, and call off the deadline when none is left."""
        self._metrics.queue.inc(len(taken))
        left = len(taken)

        def settled(_: asyncio.Future[Answer]) -> None:
            nonlocal left
            left -= 1
            self._metrics.queue.dec()
            if left == 0:
                late.cancel()

        for waiting in taken:
            waiting.answer.add_done_callback(settled)

    async def observe(self, name: str, events: Sequence[Event]) -> list[Answer]:
        """Learn events in order; one answer each, in the same order. Raises as `open` and `submit` do."""
        return list(await asyncio.gather(*self.submit(await self.open(name), events)))

    async def close(self) -> None:
        """Finish what waits, checkpoint, and take nothing more."""
        self._closing = True
        workers = [stream.worker for stream in self._streams.values() if stream.worker is not None]
        await asyncio.gather(*workers)
        await self._hot.close()

    async def _work(self, stream: Stream) -> None:
        """Empty the queue, batch after batch."""
        try:
            while stream.queue:
                batch = self._take(stream)
                try:
                    await self._process(stream, batch)
                except ServiceError as error:
                    for waiting in batch:
                        _answer(waiting, error)
                except Exception:
                    logger.exception("a batch of stream %s failed", stream.name)
                    for waiting in batch:
                        _answer(waiting, Internal("the event was not learnt; see the service's log"))
        finally:
            stream.worker = None

    def _take(self, stream: Stream) -> list[Waiting]:
        """The next batch: bounded, without what nobody waits for, and with no id twice."""
        batch: list[Waiting] = []
        ids: set[str] = set()
        while stream.queue and len(batch) < self._settings.max_batch:
            waiting = stream.queue[0]
            if waiting.arrival.id in ids:
                break
            stream.queue.popleft()
            if waiting.answer.done():
                continue
            if waiting.arrival.id is not None:
                ids.add(waiting.arrival.id)
            batch.append(waiting)
        return batch

    async def _process(self, stream: Stream, batch: list[Waiting]) -> None:
        """Answer a batch: stored outcomes for known ids; the rest is learnt and committed. Raises ServiceError.

        An attempt whose result is unknown (its reply was lost, or is still on its way) stays in `attempts`, and is
        looked for in the log before each further one: at most one of them can have moved the head.
        """
        attempts: list[Attempt] = []
        while batch:
            try:
                if attempts and (landed := await self._find(stream, attempts)):
                    self._answer(stream, landed)
                    await self._hot.refresh(stream.name)
                    return
                batch = await self._answer_known(stream, batch)
                if not batch:
                    return
                attempt = await self._learn(stream, batch)
                attempts.append(attempt)
                if await self._commit(stream, attempt):
                    self._hot.put(stream.name, attempt.copy)
                    self._answer(stream, attempt)
                    return
                attempts.remove(attempt)
                self._metrics.conflicts.inc()
                await self._hot.refresh(stream.name)
            except StoreFull:
                raise
            except Unavailable:
                await asyncio.sleep(PAUSE)
                # What has been answered with a 503 by now must not be learnt after all.
                batch = [waiting for waiting in batch if not waiting.answer.done()]

    async def _answer_known(self, stream: Stream, batch: list[Waiting]) -> list[Waiting]:
        """Answer the events whose id has an outcome; the others."""
        ids = [waiting.arrival.id for waiting in batch if waiting.arrival.id is not None]
        if not ids:
            return batch
        known = dict(zip(ids, await self._store.outcomes(stream.name, ids), strict=True))
        fresh: list[Waiting] = []
        for waiting in batch:
            record = known.get(waiting.arrival.id) if waiting.arrival.id is not None else None
            if record is None:
                fresh.append(waiting)
            elif record[:FINGERPRINT] == waiting.arrival.fingerprint():
                self._metrics.duplicates.labels(self._metrics.label(stream.name)).inc()
                _answer(waiting, record[FINGERPRINT:])
            else:
                _answer(waiting, OtherBody("an event with this id and other values was learnt before", field="id"))
        return fresh

    async def _learn(self, stream: Stream, batch: list[Waiting]) -> "Attempt":
        """Learn a batch on a copy of the hot learner; nothing is durable yet."""
        hot = await self._hot.get(stream.name)
        if hot.token.epoch != stream.epoch:
            self._streams.pop(stream.name, None)
            raise UnknownStream("the stream was deleted and created anew; send the event again")
        learner = hot.learner.copy()
        arrivals = [waiting.arrival for waiting in batch]
        events = log.Events(
            first=learner.version + 1,
            times=np.array([arrival.time for arrival in arrivals]),
            Y=np.array([arrival.y for arrival in arrivals]),
            X=np.array([arrival.x for arrival in arrivals]).reshape(len(arrivals), -1),
        )
        start = time.perf_counter()
        if stream.event_seconds is not None and len(batch) * stream.event_seconds < INLINE_SECONDS:
            outcomes = learner.observe_many(events.Y, events.X, events.times)
        else:
            outcomes = await asyncio.to_thread(learner.observe_many, events.Y, events.X, events.times)
        seconds = time.perf_counter() - start
        mean = seconds / len(batch)
        stream.event_seconds = mean if stream.event_seconds is None else 0.9 * stream.event_seconds + 0.1 * mean
        segment = log.encode(events, secrets.randbits(64))
        after = Token(learner.version, hot.token.epoch, log.link(hot.token.chain, segment))
        answers = stream.writer.write([arrival.id for arrival in arrivals], outcomes)
        records = tuple(
            (arrival.id, arrival.fingerprint() + answer)
            for arrival, answer in zip(arrivals, answers, strict=True)
            if arrival.id is not None
        )
        copy = HotCopy(learner, after, hot.checkpoint, hot.unsaved_seconds + seconds)
        return Attempt(Commit(hot.token, after, segment, records), copy, batch, answers, outcomes, seconds)

    async def _commit(self, stream: Stream, attempt: "Attempt") -> bool:
        with self._metrics.commit_seconds.time():
            return isinstance(await self._store.commit(stream.name, attempt.commit), Committed)

    async def _find(self, stream: Stream, attempts: list["Attempt"]) -> "Attempt | None":
        """The attempt that is in the log after all; a segment's nonce makes it unlike any other."""
        segments = set(await self._store.segments(stream.name, attempts[0].commit.before.version))
        return next((attempt for attempt in attempts if attempt.commit.segment in segments), None)

    def _answer(self, stream: Stream, attempt: "Attempt") -> None:
        self._metrics.learnt(stream.name, attempt.outcomes, attempt.seconds)
        for waiting, answer in zip(attempt.batch, attempt.answers, strict=True):
            _answer(waiting, answer)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A batch that was learnt, and the commit that is to make it durable."""

    commit: Commit
    copy: HotCopy
    batch: list[Waiting]
    answers: list[bytes]
    outcomes: model.Outcomes
    seconds: float


def _answer(waiting: Waiting, answer: Answer) -> None:
    """Keep the promise, unless nobody waits any more."""
    if not waiting.answer.done():
        waiting.answer.set_result(answer)


def _expire(waiting: list[Waiting]) -> None:
    """Nobody waits for longer than this; what is still in the queue will not be learnt."""
    late = Unavailable("the store did not answer in time; send it again, with the same id", retry_after=1)
    for one in waiting:
        _answer(one, late)
