"""Learning a batch on a copy of the hot learner, and making it durable: a commit, and what follows from it."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ... import model
from ..codec import segments
from ..codec.events import EncodedEvent
from ..codec.outcomes import Answers
from ..learners.cache import CachedLearner, LearnerCache
from ..observability import tracing
from ..observability.metrics import Metrics
from ..observability.quality import coverage
from ..store.base import Commit, CommitResult, Committed, LogPosition, Store
from .feed import Feeds
from .queue import StreamState

INLINE_SECONDS = 0.002
"""A batch that takes longer than this learns in a thread, so that other streams go on;"""
INLINE_BYTES = 1024 * 1024
"""and so does one whose learner is larger, as copying it takes long."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """A batch that was learnt, and the commit that is to make it durable."""

    commit: Commit
    copy: CachedLearner
    answers: Answers
    events: segments.Events
    seconds: float


class Learning:
    """Learns and commits batches of one process."""

    def __init__(self, store: Store, hot: LearnerCache, live: Feeds, metrics: Metrics) -> None:
        self._store = store
        self._hot = hot
        self._live = live
        self._metrics = metrics

    async def learn(
        self, stream: StreamState, hot: CachedLearner, arrivals: Sequence[EncodedEvent], settled: tuple[str, ...] = ()
    ) -> Learnt:
        """Learn events that fit the stream; nothing is durable yet. `settled`: ids of those that were deferred."""
        writer = stream.shape.writer  # while the batch learns, the stream may be created anew with another
        events = following(hot, arrivals)
        with tracing.span("learn", stream.name, len(arrivals), hot.position.version + len(arrivals)):
            learner, outcomes, seconds = await observed(stream, hot, events)
        mean = seconds / len(arrivals)
        stream.event_seconds = mean if stream.event_seconds is None else 0.9 * stream.event_seconds + 0.1 * mean
        segment = segments.encode(events, secrets.randbits(64))
        after = LogPosition(learner.version, hot.position.epoch, segments.link(hot.position.chain, segment))
        answers = Answers(writer, [arrival.id for arrival in arrivals], outcomes)
        records = tuple(
            (arrival.id, arrival.fingerprint() + answers.lines[place])
            for place, arrival in enumerate(arrivals)
            if arrival.id is not None
        )
        copy = replace(hot, learner=learner, position=after)
        return Learnt(Commit(hot.position, after, segment, records, settled), copy, answers, events, seconds)

    async def commit(self, stream: StreamState, learnt: Learnt) -> CommitResult:
        """Make a batch durable; once it is, the hot copy and the metrics know of it."""
        version = learnt.commit.after.version
        span = tracing.span("commit", stream.name, version - learnt.commit.before.version, version)
        # BaseException: one that is given up after too long is cancelled.
        failed = self._metrics.failed_commits.count_exceptions(BaseException)
        with span, self._metrics.commit_seconds.time(), failed:
            result = await self._store.commit(stream.name, learnt.commit)
        if isinstance(result, Committed):
            self._hot.put(stream.name, learnt.copy, learnt.seconds)
            self.landed(stream, learnt)
        return result

    def landed(self, stream: StreamState, learnt: Learnt) -> None:
        """A batch is durable."""
        outcomes = learnt.answers.outcomes
        covered, recent = coverage(outcomes, learnt.events.Y), self._hot.recent(stream.name)
        recent.add(outcomes, covered)
        step_size = learnt.copy.learner.step_size
        self._metrics.learnt(stream.name, outcomes, covered, learnt.seconds, step_size, recent.drifting)
        self._live.show(stream.name, learnt.copy, learnt.answers, learnt.events)


def following(hot: CachedLearner, arrivals: Sequence[EncodedEvent]) -> segments.Events:
    """Events that come after a hot copy, as the log has them."""
    return segments.Events(
        first=hot.position.version + 1,
        times=np.array([arrival.time for arrival in arrivals]),
        Y=np.array([arrival.y for arrival in arrivals]),
        X=np.array([arrival.x for arrival in arrivals]).reshape(len(arrivals), -1),
    )


async def observed(
    stream: StreamState, hot: CachedLearner, events: segments.Events
) -> tuple[model.Learner, model.Outcomes, float]:
    """A copy of the hot learner that has learnt the events, what it said, and the seconds that learning took."""
    seconds = stream.event_seconds
    expected = None if seconds is None else len(events.times) * seconds
    if expected is not None and expected < INLINE_SECONDS and hot.nbytes <= INLINE_BYTES:
        return run(hot.learner, events)
    return await asyncio.to_thread(run, hot.learner, events)


def run(learner: model.Learner, events: segments.Events) -> tuple[model.Learner, model.Outcomes, float]:
    """See `observed`; here and now."""
    learner = learner.copy()
    start = time.perf_counter()
    outcomes = learner.observe_many(events.Y, events.X, events.times)
    return learner, outcomes, time.perf_counter() - start
