"""Learners in memory: values that are exactly what the store has acknowledged, never more.

A hot copy is immutable: learning happens on a copy of its learner, and a commit replaces the whole hot copy. So a
refused or unknown commit leaves nothing to undo, and a forecast may read it at any moment.
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
from ..errors import Internal, UnknownStream
from ..observability.metrics import Metrics
from ..observability.quality import Recent, coverage
from ..settings import Settings
from ..store.base import Head, LogPosition, Store
from .checkpointer import Checkpointer
from .kernels import Kernels

logger = logging.getLogger(__name__)

ATTEMPTS = 20
"""How often a head that keeps moving is followed before this replica gives up."""


class _OtherHistory(Exception):
    """The log does not go on from here: what was learnt here is no part of the stream any more."""


@dataclass(frozen=True, slots=True)
class CachedLearner:
    """A learner at the head of its stream, as far as this process knows."""

    learner: model.Learner
    position: LogPosition
    nbytes: int
    """Of the learner; the same for all learners of a stream."""


class LearnerCache:
    """The hot copies of this process, bounded in bytes; the least recently used one goes first.

    Streams of a precision that `kernels` has not compiled yet are not loaded.
    """

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, kernels: Kernels | None) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._kernels = kernels
        self._copies: OrderedDict[str, CachedLearner] = OrderedDict()
        self._bytes = 0
        self._acknowledged: dict[str, LogPosition] = {}
        """The newest that the store has acknowledged of each stream, whether or not its learner is in memory."""
        self._recent: dict[str, Recent] = {}
        self._checkpointer = Checkpointer(settings, store, metrics)
        self._checkpointer.show(self._copies)

    async def get(self, stream: str) -> CachedLearner:
        """The hot copy, loaded if there is none; it may be behind the store. Raises UnknownStream."""
        copy = self._copies.get(stream)
        if copy is None:
            return await self.refresh(stream)
        self._copies.move_to_end(stream)
        return copy

    def checkpoint(self, stream: str) -> int:
        """Version of the newest checkpoint that this process knows; 0 for none."""
        return self._checkpointer.saved(stream)

    def recent(self, stream: str) -> Recent:
        """How the stream was predicted lately, as far as this process has seen it."""
        return self._recent.setdefault(stream, Recent())

    def cached(self, stream: str) -> CachedLearner | None:
        """The hot copy, where there is one; nobody is asked whether it is the newest."""
        return self._copies.get(stream)

    async def refresh(self, stream: str) -> CachedLearner:
        """The hot copy at the head that the store has now: the newest it can start from, then the log after it."""
        for _ in range(ATTEMPTS):
            # Before the store is asked: its answer may be older than a commit that is acknowledged meanwhile.
            seen = self._acknowledged.get(stream)
            head = await self._store.head(stream)
            if head is None:
                self.forget(stream)
                raise UnknownStream("create the stream first, with PUT /v1/streams/{stream}")
            if seen is not None:
                self._check_rewind(stream, seen, head)
            copy = self._copies.get(stream)
            if copy is not None and _includes(copy.position, head.position):
                return copy
            if copy is not None:
                position = copy.position
                try:
                    copy = await self._follow(stream, copy, head)
                except _OtherHistory:
                    self._went_back(stream, position, head)
                    copy = None
            if copy is None:
                with contextlib.suppress(_OtherHistory):
                    copy = await self._follow(stream, await self._load(stream, head), head)
            if copy is not None:
                self.put(stream, copy)
                return copy
        raise Internal("the stream's log cannot be followed to its head; see the service's log")

    def put(self, stream: str, copy: CachedLearner, seconds: float = 0.0) -> None:
        """Keep a copy that the store has acknowledged, and that took `seconds` to learn since the one before.

        Starts a checkpoint when one is due. A copy that is older than what was acknowledged is not kept.
        """
        acknowledged = self._acknowledged.get(stream)
        if acknowledged is None or acknowledged.epoch != copy.position.epoch:
            self._checkpointer.reset(stream, copy.position.version, saved=0)
        elif copy.position.version < acknowledged.version:
            return
        self._acknowledged[stream] = copy.position
        self._drop(stream)
        self._copies[stream] = copy
        self._bytes += copy.nbytes
        self._checkpointer.learnt(stream, copy.position, copy.learner, seconds)
        self._evict()

    def forget(self, stream: str) -> None:
        """Drop what is known of a stream that is gone, or may be."""
        self._drop(stream)
        self._acknowledged.pop(stream, None)
        self._checkpointer.forget(stream)
        self._recent.pop(stream, None)
        self._metrics.forget(stream)
        self._show()

    async def close(self) -> None:
        """Checkpoint what has events since its last one, so that the next start need not replay them."""
        await self._checkpointer.drained()  # of an earlier version, perhaps
        for stream, copy in self._copies.items():
            self._save(stream, copy)
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

    async def _follow(self, stream: str, copy: CachedLearner, head: Head) -> CachedLearner | None:
        """`copy` after the log's segments up to `head`; None when the log does not lead there.

        Raises _OtherHistory where it does, from the copy's version on, and to another chain.
        """
        if copy.position.epoch != head.position.epoch or copy.position.version > head.position.version:
            return None
        version, chain = copy.position.version, copy.position.chain
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
                return None  # trimmed behind a checkpoint that is newer than the copy
            if events.first <= version:
                raise _OtherHistory  # a version of ours was the end of a commit
            version, chain = events.last, segments.link(chain, segment)
            batches.append(events)
        if version != head.position.version:
            return None
        if chain != head.position.chain:
            raise _OtherHistory
        if not batches:
            return copy
        start = time.perf_counter()
        learner = await asyncio.to_thread(_replayed, copy.learner, batches, self.recent(stream))
        self._checkpointer.replayed(stream, time.perf_counter() - start)
        return replace(copy, learner=learner, position=head.position)

    def _check_rewind(self, stream: str, seen: LogPosition, head: Head) -> None:
        """Count a head that is behind what was acknowledged before it was asked for; nothing here is valid then."""
        if seen.epoch == head.position.epoch and head.position.version <= seen.version and head.position != seen:
            self._went_back(stream, seen, head)

    def _went_back(self, stream: str, seen: LogPosition, head: Head) -> None:
        """The store has lost what it acknowledged at `seen`; others may have gone on from before that."""
        acknowledged = self._acknowledged.get(stream)
        if acknowledged is None or acknowledged.epoch != seen.epoch or acknowledged.version < seen.version:
            return  # somebody else has noticed meanwhile
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
        copy = self._copies.pop(stream, None)
        if copy is not None:
            self._bytes -= copy.nbytes

    def _evict(self) -> None:
        while self._bytes > self._settings.hot_bytes and len(self._copies) > 1:
            stream, copy = next(iter(self._copies.items()))
            self._save(stream, copy)
            self._drop(stream)
            self._recent.pop(stream, None)
            self._metrics.evictions.inc()
        self._show()

    def _show(self) -> None:
        self._metrics.hot.set(len(self._copies))
        self._metrics.hot_bytes.set(self._bytes)

    def _save(self, stream: str, copy: CachedLearner) -> None:
        """Checkpoint a copy that has events without one."""
        if self._checkpointer.unsaved(stream) > 0:
            self._checkpointer.save(stream, copy.position, copy.learner)


def _includes(copy: LogPosition, head: LogPosition) -> bool:
    """Whether a copy is at a head, or after it: what a commit put here while the head was on its way is newer."""
    return copy == head or (copy.epoch == head.epoch and copy.version > head.version)


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
