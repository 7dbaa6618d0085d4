"""Learners in memory: values that are exactly what the store has acknowledged, never more.

A hot copy is immutable: learning happens on a copy of its learner, and a commit replaces the whole hot copy. So a
refused or unknown commit leaves nothing to undo, and a forecast may read it at any moment.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace

import model
from service import log
from service.errors import Internal, ServiceError, UnknownStream
from service.metrics import Metrics
from service.store import Head, Store, Token

logger = logging.getLogger(__name__)

CHAIN = 32
"""Bytes of the chain that precede the learner in a checkpoint."""
REPLAY_SECONDS = 1.0
"""A checkpoint is due when learning the events since the last one took longer than this."""
ATTEMPTS = 20
"""How often a head that keeps moving is followed before this replica gives up."""


@dataclass(frozen=True, slots=True)
class HotCopy:
    """A learner at the head of its stream, as far as this process knows."""

    learner: model.Learner
    token: Token
    checkpoint: int
    """Version of the newest checkpoint."""
    unsaved_seconds: float
    """Time spent learning since then."""


class HotCopies:
    """The hot copies of this process, bounded in bytes; the least recently used one goes first."""

    def __init__(self, store: Store, metrics: Metrics, limit: int, checkpoint_every: int, outcomes_kept: int) -> None:
        self._store = store
        self._metrics = metrics
        self._limit = limit
        self._every = checkpoint_every
        self._outcomes_kept = outcomes_kept
        self._copies: OrderedDict[str, HotCopy] = OrderedDict()
        self._acknowledged: dict[str, Token] = {}
        self._saving: dict[str, asyncio.Task[None]] = {}

    async def get(self, stream: str) -> HotCopy:
        """The hot copy, loaded if there is none; it may be behind the store. Raises UnknownStream."""
        copy = self._copies.get(stream)
        if copy is None:
            return await self.refresh(stream)
        self._copies.move_to_end(stream)
        return copy

    async def refresh(self, stream: str) -> HotCopy:
        """The hot copy at the head that the store has now: the newest it can start from, then the log after it."""
        for _ in range(ATTEMPTS):
            head = await self._store.head(stream)
            if head is None:
                self.forget(stream)
                raise UnknownStream("create the stream first, with PUT /v1/streams/{stream}")
            self._check_rewind(stream, head)
            copy = self._copies.get(stream)
            if copy is not None and copy.token == head.token:
                return copy
            copy = await self._follow(stream, copy, head) if copy is not None else None
            if copy is None:
                copy = await self._follow(stream, await self._from_checkpoint(stream, head), head)
            if copy is not None:
                self.put(stream, copy)
                return copy
        raise Internal("the stream's log cannot be followed to its head; see the service's log")

    def put(self, stream: str, copy: HotCopy) -> None:
        """Replace the hot copy by one that the store has acknowledged; start a checkpoint when one is due."""
        self._copies[stream] = copy
        self._copies.move_to_end(stream)
        self._acknowledged[stream] = copy.token
        if copy.token.version - copy.checkpoint >= self._every or copy.unsaved_seconds > REPLAY_SECONDS:
            self._save(stream)
        self._evict()

    def forget(self, stream: str) -> None:
        """Drop what is known of a stream that is gone."""
        self._copies.pop(stream, None)
        self._acknowledged.pop(stream, None)
        self._metrics.forget(stream)
        self._show()

    async def close(self) -> None:
        """Checkpoint what has events since its last one, so that the next start need not replay them."""
        for stream, copy in self._copies.items():
            if copy.token.version > copy.checkpoint:
                self._save(stream)
        await asyncio.gather(*self._saving.values())

    async def _from_checkpoint(self, stream: str, head: Head) -> HotCopy:
        """The newest checkpoint that can be read, else the learner of the configuration at version 0."""
        for version in head.checkpoints:
            blob = await self._store.read_checkpoint(stream, version)
            try:
                learner = await asyncio.to_thread(model.from_bytes, (blob or b"")[CHAIN:])
            except model.DamagedState as damage:
                logger.warning("checkpoint %d of stream %s is damaged: %s", version, stream, damage)
                self._metrics.damaged.inc()
                continue
            except model.OtherFormat as other:
                raise Internal(f"the stream was written by another version of the service: {other}") from other
            assert blob is not None  # from_bytes refuses nothing at all
            return HotCopy(learner, Token(version, head.token.epoch, blob[:CHAIN]), version, 0.0)
        config = model.Config.from_dict(json.loads(head.config))
        learner = await asyncio.to_thread(model.Learner, config)  # may compile
        return HotCopy(learner, Token(0, head.token.epoch, log.genesis(head.token.epoch)), 0, 0.0)

    async def _follow(self, stream: str, copy: HotCopy, head: Head) -> HotCopy | None:
        """`copy` after the log's segments up to `head`; None when the log does not lead there."""
        learner, chain = copy.learner, copy.token.chain
        if copy.token.epoch != head.token.epoch or copy.token.version > head.token.version:
            return None
        if copy.token.version < head.token.version:
            learner = learner.copy()
        for segment in await self._store.segments(stream, copy.token.version):
            events = log.decode(segment)
            if events.last > head.token.version:
                break
            if events.first != learner.version + 1:
                return None
            chain = log.link(chain, segment)
            await asyncio.to_thread(learner.observe_many, events.Y, events.X, events.times)
        if (learner.version, chain) != (head.token.version, head.token.chain):
            return None
        return replace(copy, learner=learner, token=head.token)

    def _check_rewind(self, stream: str, head: Head) -> None:
        """Count a head that is behind what this process has seen acknowledged."""
        seen = self._acknowledged.get(stream)
        if seen is not None and seen.epoch == head.token.epoch and head.token.version < seen.version:
            logger.error(
                "stream %s went back from version %d to %d: the store lost acknowledged events",
                stream, seen.version, head.token.version,
            )  # fmt: skip
            self._metrics.rewinds.inc()
            self._copies.pop(stream, None)
            self._acknowledged[stream] = head.token

    def _evict(self) -> None:
        total = self._show()
        while total > self._limit and len(self._copies) > 1:
            stream, copy = next(iter(self._copies.items()))
            if copy.token.version > copy.checkpoint:
                self._save(stream)
            del self._copies[stream]
            total = self._show()

    def _show(self) -> int:
        total = sum(copy.learner.nbytes for copy in self._copies.values())
        self._metrics.hot.set(len(self._copies))
        self._metrics.hot_bytes.set(total)
        return total

    def _save(self, stream: str) -> None:
        """Write a checkpoint in the background; one at a time for each stream."""
        if stream not in self._saving:
            task = asyncio.create_task(self._write(stream, self._copies[stream]))
            self._saving[stream] = task
            task.add_done_callback(lambda _: self._saving.pop(stream, None))

    async def _write(self, stream: str, copy: HotCopy) -> None:
        try:
            blob = await asyncio.to_thread(model.to_bytes, copy.learner)
            written = await self._store.write_checkpoint(stream, copy.token, copy.token.chain + blob)
            await self._store.trim_outcomes(stream, self._outcomes_kept)
        except ServiceError as error:
            # Nothing is lost: the log still reaches back to the checkpoint before. The next commit tries again.
            logger.warning("no checkpoint of stream %s at version %d: %s", stream, copy.token.version, error.detail)
            return
        newest = self._copies.get(stream)
        if newest is not None and newest.token.epoch == copy.token.epoch:
            spent = max(0.0, newest.unsaved_seconds - copy.unsaved_seconds)
            self._copies[stream] = replace(newest, checkpoint=copy.token.version, unsaved_seconds=spent)
        if written:
            self._metrics.checkpoints.inc()

