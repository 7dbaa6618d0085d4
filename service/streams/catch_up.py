"""Past outcomes, computed again: an older learner learns the events of the log, with the same outcomes to the bit.

That takes long, so it is bounded: a process reads one log at a time, and keeps the outcomes that it computed last. If
many watchers come back to the same version, the log is read once; after that, only its new events are.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ... import model
from ..codec import segments as log
from ..codec.checkpoints import unpack
from ..codec.outcomes import OutcomeWriter
from ..learners.cache import CachedLearner
from ..store.base import LogPosition, Store

CATCH_UP = 20_000
"""The most events that are learnt again for a watcher that comes back; a watcher that missed more is shown a gap."""
KEPT_BYTES = 32 * 1024 * 1024
"""The most bytes of outcomes that are kept; more outcomes than that are computed again for the next watcher."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One outcome (schemas.Seen). None is a gap: outcomes up to `version` cannot be shown any more."""

    version: int
    outcome: bytes | None


@dataclass(frozen=True, slots=True)
class Read:
    """A part of a log, and the outcomes of its events."""

    cached: CachedLearner
    """The learner after that part."""
    shown: tuple[Shown, ...]
    """The outcomes, without a hole; the last one is at the version of `cached`."""
    segment: bytes = b""
    """The last segment; its nonce makes it unlike any other."""


class CatchUp:
    """Learns the logs of streams again, until the service ends."""

    def __init__(self, store: Store, closing: asyncio.Event) -> None:
        self._store = store
        self._closing = closing
        self._one = asyncio.Lock()
        self._kept: tuple[str, Read] | None = None

    async def outcomes(
        self, stream: str, newest: CachedLearner, writer: OutcomeWriter, after: int, until: int
    ) -> tuple[Shown, ...]:
        """The outcomes after version `after` up to version `until`, of the history of `newest`.

        Where the log does not reach back so far, a gap comes first. Empty where nothing can be shown. Raises
        Unavailable, DamagedLog.
        """
        async with self._one:
            if self._closing.is_set():
                return ()
            gap: tuple[Shown, ...] = ()
            begun = await self._known(stream, newest, after)
            if begun is None:
                cached = await self._before(stream, newest, after)
                if cached is None:
                    return ()
                if cached.position.version > after:
                    after = cached.position.version
                    gap = (Shown(after, None),)
                    begun = await self._known(stream, newest, after)
                begun = begun or Read(cached, ())
            if until - begun.cached.position.version > CATCH_UP:
                return ()
            more = await self.read(stream, writer, begun.cached, until)
            if more is None:
                return ()
            shown = begun.shown + more.shown
            if more.shown:
                kept = replace(more, shown=shown[-CATCH_UP:])
                large = sum(len(one.outcome or b"") for one in kept.shown) > KEPT_BYTES
                self._kept = None if large else (stream, kept)
            return gap + tuple(one for one in shown if after < one.version <= until)

    async def read(
        self, stream: str, writer: OutcomeWriter, cached: CachedLearner, until: int | None = None
    ) -> Read | None:
        """The log's segments after `cached`, up to the one with version `until`; None where they do not follow it."""
        position, learner, segment = cached.position, cached.learner, b""
        shown: list[Shown] = []
        if until is not None and position.version >= until:
            return Read(cached, ())
        for segment in await self._store.segments(stream, position.version):
            events = log.decode(segment)
            if events.first != position.version + 1:
                return None
            learner, answers = await asyncio.to_thread(_learnt, learner, writer, events)
            shown += [Shown(events.first + i, answer) for i, answer in enumerate(answers)]
            position = LogPosition(events.last, position.epoch, log.link(position.chain, segment))
            if until is not None and position.version >= until:
                break
        return Read(replace(cached, learner=learner, position=position), tuple(shown), segment)

    async def _known(self, stream: str, newest: CachedLearner, after: int) -> Read | None:
        """The part that was kept, if it holds the outcomes after version `after` and is still a part of the log."""
        if self._kept is None or self._kept[0] != stream:
            return None
        read = self._kept[1]
        end = read.cached.position
        if end.epoch != newest.position.epoch or not read.shown[0].version <= after + 1 <= end.version + 1:
            return None
        log_ = await self._store.segments(stream, end.version - 1)
        return read if log_ and log_[0] == read.segment else None

    async def _before(self, stream: str, newest: CachedLearner, version: int) -> CachedLearner | None:
        """A learner from which the log can be learnt: at or before a version, else the first one after it."""
        head = await self._store.head(stream)
        if head is None or head.position.epoch != newest.position.epoch:
            return None
        earlier = [kept for kept in head.checkpoints if kept <= version]
        if (cached := await self._checkpoint(stream, head.position.epoch, earlier)) is not None:
            return cached
        segments = await self._store.segments(stream, 0)
        if segments and log.bounds(segments[0])[0] == 1:
            learner = await asyncio.to_thread(model.Learner, newest.learner.config)
            return CachedLearner(learner, LogPosition.first(head.position.epoch), learner.nbytes)
        return await self._checkpoint(stream, head.position.epoch, sorted(set(head.checkpoints) - set(earlier)))

    async def _checkpoint(self, stream: str, epoch: str, versions: Sequence[int]) -> CachedLearner | None:
        """The learner of the first of these checkpoints that can be read."""
        for version in versions:
            with contextlib.suppress(model.DamagedState, model.OtherFormat):
                blob = await self._store.read_checkpoint(stream, version) or b""
                chain, learner = await asyncio.to_thread(unpack, blob)
                return CachedLearner(learner, LogPosition(version, epoch, chain), learner.nbytes)
        return None


def _learnt(learner: model.Learner, writer: OutcomeWriter, events: log.Events) -> tuple[model.Learner, list[bytes]]:
    """A copy of the learner that has learnt the events, and their outcomes."""
    learner = learner.copy()
    outcomes = learner.observe_many(events.Y, events.X, events.times)
    return learner, writer.with_event(writer.write([None] * len(events.times), outcomes), events)
