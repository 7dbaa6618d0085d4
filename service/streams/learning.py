"""Learning a batch of events on a copy of a cached learner, and making it durable. Each returns what happened."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ... import model
from ..codec import segments
from ..codec.events import EncodedEvent
from ..codec.outcomes import Answers, OutcomeWriter
from ..learners.cache import CachedLearner, LearntBatch
from ..observability import tracing
from ..observability.metrics import Metrics
from ..store.base import Commit, CommitResult, LogPosition, Store

INLINE_SECONDS = 0.002
"""A batch that takes longer than this learns in a thread, so that other streams go on."""
INLINE_BYTES = 1024 * 1024
"""A batch of a learner larger than this learns in a thread too, since copying the learner takes long."""


class Listener(Protocol):
    """Is told what happened."""

    def committed(self, batch: LearntBatch) -> None:
        """A batch is durable."""


async def learn(
    stream: str,
    cached: CachedLearner,
    writer: OutcomeWriter,
    encoded: Sequence[EncodedEvent],
    event_seconds: float | None,
    pending: tuple[str, ...] = (),
) -> LearntBatch:
    """Learn events after a cached learner; nothing is durable yet.

    `event_seconds` is how long an event takes by experience, None for no experience. `pending` are the ids of the
    events that the store holds as pending; the commit takes them from there.
    """
    events = following(cached, encoded)
    with tracing.span("learn", stream, len(encoded), cached.position.version + len(encoded)):
        learner, outcomes, seconds = await observed(cached, events, event_seconds)
    segment = segments.encode(events, secrets.randbits(64))
    before = cached.position
    after = LogPosition(learner.version, before.epoch, segments.link(before.chain, segment))
    answers = Answers(writer, [event.id for event in encoded], outcomes)
    records = tuple(
        (event.id, event.fingerprint() + answers.lines[place])
        for place, event in enumerate(encoded)
        if event.id is not None
    )
    commit = Commit(before, after, segment, records, pending)
    return LearntBatch(stream, commit, replace(cached, learner=learner, position=after), events, answers, seconds)


async def commit(store: Store, metrics: Metrics, learnt: LearntBatch) -> CommitResult:
    """Make a batch durable. Raises ServiceError; then it is unknown whether the batch is durable."""
    version = learnt.commit.after.version
    span = tracing.span("commit", learnt.stream, version - learnt.commit.before.version, version)
    # BaseException: a commit that takes too long is cancelled.
    failed = metrics.failed_commits.count_exceptions(BaseException)
    with span, metrics.commit_seconds.time(), failed:
        return await store.commit(learnt.stream, learnt.commit)


def following(cached: CachedLearner, encoded: Sequence[EncodedEvent]) -> segments.Events:
    """Events that come after a cached learner, as the log has them."""
    return segments.Events(
        first=cached.position.version + 1,
        times=np.array([event.time for event in encoded]),
        Y=np.array([event.y for event in encoded]),
        X=np.array([event.x for event in encoded]).reshape(len(encoded), -1),
    )


async def observed(
    cached: CachedLearner, events: segments.Events, event_seconds: float | None
) -> tuple[model.Learner, model.Outcomes, float]:
    """A copy of the learner that has learnt the events, the outcomes, and the seconds that learning took."""
    expected = None if event_seconds is None else len(events.times) * event_seconds
    if expected is not None and expected < INLINE_SECONDS and cached.nbytes <= INLINE_BYTES:
        return run(cached.learner, events)
    return await asyncio.to_thread(run, cached.learner, events)


def run(learner: model.Learner, events: segments.Events) -> tuple[model.Learner, model.Outcomes, float]:
    """The same as `observed`, in this thread."""
    learner = learner.copy()
    start = time.perf_counter()
    outcomes = learner.observe_many(events.Y, events.X, events.times)
    return learner, outcomes, time.perf_counter() - start
