"""Learners in memory: values that are exactly what the store has acknowledged, never more.

A cached learner never changes: learning happens on a copy, and a commit replaces the cached learner by that copy. So a
refused or unknown commit leaves nothing to undo, and a forecast may read a cached learner at any moment.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from ... import model
from ..codec import segments
from ..codec.checkpoints import unpack
from ..codec.outcomes import Answers
from ..errors import Internal, UnknownStream
from ..observability.metrics import Metrics
from ..observability.quality import Recent, coverage
from ..settings import Settings
from ..store.base import Commit, Head, LogPosition, Store
from .checkpointer import Checkpointer
from .kernels import Kernels

logger = logging.getLogger(__name__)

ATTEMPTS = 20
"""How often this replica follows a head that keeps moving before it gives up."""


class _OtherHistory(Exception):
    """The log does not go on from the cached learner, which is no part of the stream's history any more."""


@dataclass(frozen=True, slots=True)
class CachedLearner:
    """A learner at a position of its stream's log: the head, as far as this process knows."""

    learner: model.Learner
    position: LogPosition
    nbytes: int
    """Size of the learner; the same for all learners of a stream."""


@dataclass(frozen=True, slots=True)
class LearntBatch:
    """What learning a batch of events has given."""

    stream: str
    commit: Commit
    cached: CachedLearner
    """The learner after the batch."""
    events: segments.Events
    answers: Answers
    seconds: float


class LearnerCache:
    """The cached learners of this process, bounded in bytes; the least recently used one is dropped first.

    Streams of a precision that `kernels` has not compiled yet are not loaded.
    """

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, kernels: Kernels | None) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._kernels = kernels
        self._cached: OrderedDict[str, CachedLearner] = OrderedDict()
        self._bytes = 0
        self._acknowledged: dict[str, LogPosition] = {}
        """The newest position that the store has acknowledged of each stream, also of one that is not cached."""
        self._recent: dict[str, Recent] = {}
        self._checkpointer = Checkpointer(settings, store, metrics)
        self._checkpointer.show(self._cached)

    async def get(self, stream: str) -> CachedLearner:
        """The cached learner, loaded if there is none; it may be behind the store. Raises UnknownStream."""
        cached = self._cached.get(stream)
        if cached is None:
            return await self.refresh(stream)
        self._cached.move_to_end(stream)
        return cached

    def checkpoint(self, stream: str) -> int:
        """Version of the newest checkpoint that this process knows; 0 for none."""
        return self._checkpointer.saved(stream)

    def recent(self, stream: str) -> Recent:
        """How well the stream was predicted lately, by the events that this process has learnt or replayed."""
        return self._recent.setdefault(stream, Recent())

    def cached(self, stream: str) -> CachedLearner | None:
        """The cached learner, None for none; the store is not asked whether it is the newest."""
        return self._cached.get(stream)

    def known(self) -> set[str]:
        """The streams of which this process knows anything."""
        return {*self._acknowledged, *self._recent}

    def committed(self, batch: LearntBatch) -> None:
        """Keep the learner of a batch that is durable, and count its events."""
        self.put(batch.stream, batch.cached, batch.seconds)
        outcomes, recent = batch.answers.outcomes, self.recent(batch.stream)
        covered = coverage(outcomes, batch.events.Y)
        recent.add(outcomes, covered)
        step_size = batch.cached.learner.step_size
        self._metrics.learnt(batch.stream, outcomes, covered, batch.seconds, step_size, recent.drifting)

    async def refresh(self, stream: str) -> CachedLearner:
        """The learner at the head that the store has now. Raises UnknownStream; Internal for a log that is damaged."""
        for _ in range(ATTEMPTS):
            # Read before the store is asked: its answer may be older than a commit that is acknowledged meanwhile.
            seen = self._acknowledged.get(stream)
            head = await self._store.head(stream)
            if head is None:
                self.forget(stream)
                raise UnknownStream("create the stream first, with PUT /v1/streams/{stream}")
            if seen is not None:
                self._check_rewind(stream, seen, head)
            cached = self._cached.get(stream)
            if cached is not None and _includes(cached.position, head.position):
                return cached
            if cached is not None:
                position = cached.position
                try:
                    cached = await self._follow(stream, cached, head)
                except _OtherHistory:
                    self._went_back(stream, position, head)
                    cached = None
            if cached is None:
                with contextlib.suppress(_OtherHistory):
                    cached = await self._follow(stream, await self._load(stream, head), head)
            if cached is not None:
                self.put(stream, cached)
                return cached
        raise Internal("the stream's log cannot be followed to its head; see the service's log")

    def put(self, stream: str, cached: CachedLearner, seconds: float = 0.0) -> None:
        """Cache a learner that the store has acknowledged, and that took `seconds` to learn since the one before.

        Starts a checkpoint when one is due. A learner older than the acknowledged position is not cached.
        """
        acknowledged = self._acknowledged.get(stream)
        if acknowledged is None or acknowledged.epoch != cached.position.epoch:
            self._checkpointer.reset(stream, cached.position.version, saved=0)
        elif cached.position.version < acknowledged.version:
            return
        self._acknowledged[stream] = cached.position
        self._drop(stream)
        self._cached[stream] = cached
        self._bytes += cached.nbytes
        self._checkpointer.learnt(stream, cached.position, cached.learner, seconds)
        self._evict()

    def forget(self, stream: str) -> None:
        """Drop all that is known of a stream that is gone, or may be."""
        self._drop(stream)
        self._acknowledged.pop(stream, None)
        self._checkpointer.forget(stream)
        self._recent.pop(stream, None)
        self._metrics.forget(stream)
        self._show()

    async def close(self) -> None:
        """Write a checkpoint of each learner that has events after its last one, so that no start replays them."""
        await self._checkpointer.drained()  # perhaps checkpoints of earlier versions
        for stream, cached in self._cached.items():
            self._save(stream, cached)
        await self._checkpointer.drained()

    async def _load(self, stream: str, head: Head) -> CachedLearner:
        """The newest checkpoint that can be read, else the learner of the configuration at version 0."""
        config = config_of(head)
        if self._kernels is not None:
            self._kernels.check(config.dtype)
        for version in head.checkpoints:
            blob = await self._store.read_checkpoint(stream, version) or b""
            try:
                chain, learner = await asyncio.to_thread(unpack, blob)
            except model.DamagedState as damage:
                logger.warning("checkpoint %d of stream %s is damaged: %s", version, stream, damage)
                self._metrics.damaged.inc()
                continue
            except model.OtherFormat as other:
                raise Internal(f"the stream was written by another version of the service: {other}") from other
            if learner.config != config:
                raise Internal("a checkpoint of the stream is of another configuration than the stream")
            position = LogPosition(version, head.position.epoch, chain)
            break
        else:
            learner = await asyncio.to_thread(model.Learner, config)
            position = LogPosition.first(head.position.epoch)
        acknowledged = self._acknowledged.get(stream)
        if acknowledged is None or acknowledged.epoch != position.epoch:
            self._acknowledged[stream] = position
            self._checkpointer.reset(stream, position.version, saved=position.version)
        else:
            self._checkpointer.loaded(stream, position.version)
        return CachedLearner(learner, position, learner.nbytes)

    async def _follow(self, stream: str, cached: CachedLearner, head: Head) -> CachedLearner | None:
        """`cached` after the log's segments up to `head`; None when the log does not lead there.

        Raises _OtherHistory when the log leads from the version of `cached` to `head`, but with another chain.
        """
        if cached.position.epoch != head.position.epoch or cached.position.version > head.position.version:
            return None
        version, chain = cached.position.version, cached.position.chain
        batches: list[segments.Events] = []
        for segment in await self._store.segments(stream, version):
            try:
                events = segments.decode(segment)
            except segments.DamagedLog as damage:
                logger.error("the log of stream %s is damaged after version %d: %s", stream, version, damage)  # noqa: TRY400
                raise Internal("the stream's log is damaged; see the service's log") from damage
            if events.last > head.position.version:
                break
            if events.first > version + 1:
                return None  # trimmed behind a checkpoint that is newer than `cached`
            if events.first <= version:
                raise _OtherHistory  # the version of `cached` was the end of a commit
            version, chain = events.last, segments.link(chain, segment)
            batches.append(events)
        if version != head.position.version:
            return None
        if chain != head.position.chain:
            raise _OtherHistory
        if not batches:
            return cached
        start = time.perf_counter()
        learner = await asyncio.to_thread(_replayed, cached.learner, batches, self.recent(stream))
        self._checkpointer.replayed(stream, time.perf_counter() - start)
        return replace(cached, learner=learner, position=head.position)

    def _check_rewind(self, stream: str, seen: LogPosition, head: Head) -> None:
        """Notice a head behind the position that was acknowledged before the store was asked for it."""
        if seen.epoch == head.position.epoch and head.position.version <= seen.version and head.position != seen:
            self._went_back(stream, seen, head)

    def _went_back(self, stream: str, seen: LogPosition, head: Head) -> None:
        """The store has lost what it acknowledged at `seen`: forget it. Others may have gone on from before that."""
        acknowledged = self._acknowledged.get(stream)
        if acknowledged is None or acknowledged.epoch != seen.epoch or acknowledged.version < seen.version:
            return  # another task has noticed meanwhile
        logger.error(
            "stream %s went back behind version %d, and is at %d now: the store lost acknowledged events",
            stream, seen.version, head.position.version,
        )  # fmt: skip
        self._metrics.rewinds.inc()
        self._drop(stream)
        self._recent.pop(stream, None)
        self._acknowledged[stream] = head.position
        self._checkpointer.reset(stream, head.position.version, saved=0)

    def _drop(self, stream: str) -> None:
        cached = self._cached.pop(stream, None)
        if cached is not None:
            self._bytes -= cached.nbytes

    def _evict(self) -> None:
        while self._bytes > self._settings.hot_bytes and len(self._cached) > 1:
            stream, cached = next(iter(self._cached.items()))
            self._save(stream, cached)
            self._drop(stream)
            self._recent.pop(stream, None)
            self._metrics.evictions.inc()
        self._show()

    def _show(self) -> None:
        self._metrics.hot.set(len(self._cached))
        self._metrics.hot_bytes.set(self._bytes)

    def _save(self, stream: str, cached: CachedLearner) -> None:
        """Write a checkpoint of a learner that has events without one."""
        if self._checkpointer.unsaved(stream) > 0:
            self._checkpointer.save(stream, cached.position, cached.learner)


def _includes(cached: LogPosition, head: LogPosition) -> bool:
    """Whether a cached learner is at the head, or after it: a commit may be newer than the store's answer."""
    return cached == head or (cached.epoch == head.epoch and cached.version > head.version)


def config_of(head: Head) -> model.Config:
    """The stream's configuration. Raises Internal where another version of the service wrote it."""
    try:
        return model.stored_config(json.loads(head.config))
    except model.ConfigError as error:
        raise Internal(f"the stream was written by another version of the service: {error}") from error


def _replayed(learner: model.Learner, batches: list[segments.Events], recent: Recent) -> model.Learner:
    learner = learner.copy()
    for events in batches:
        outcomes = learner.observe_many(events.Y, events.X, events.times)
        recent.add(outcomes, coverage(outcomes, events.Y))
    return learner
