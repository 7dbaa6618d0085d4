"""Events and their outcomes as they happen, for any number of watchers of a stream, on any replica.

Events that this process learns are shown at once. Events that other replicas learn are in the log: the feed looks for
them and lets its own learner learn them, which gives the same outcomes to the bit (without the ids of the events, which
the log does not have). So there is no subscription that could be lost, and a watcher that comes back is shown what it
missed in the same way (`service/streams/catch_up.py`). A feed holds the newest outcomes once for all its watchers, and
ends with the last watcher.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from ..codec import segments
from ..codec.outcomes import OutcomeWriter
from ..errors import LimitReached, ServiceError
from ..learners.cache import CachedLearner, LearnerCache, LearntBatch
from ..store.base import Store
from .catch_up import CatchUp, Shown

logger = logging.getLogger(__name__)

RING = 2048
"""The most outcomes that a feed holds."""
LOOK_SECONDS = 0.25
"""Seconds between two looks for events that other replicas have learnt."""


@dataclass(slots=True)
class Feed:
    """The newest outcomes of one stream."""

    cached: CachedLearner
    """The learner after the last of these outcomes."""
    writer: OutcomeWriter
    ring: deque[Shown] = field(default_factory=lambda: deque(maxlen=RING))
    watchers: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    failure: Exception | None = None
    """The unexpected error that ended `task`: its watchers get it."""

    def show(self, cached: CachedLearner, outcomes: list[bytes]) -> None:
        """Add outcomes up to the version of `cached`."""
        first = cached.position.version - len(outcomes) + 1
        if cached.position.epoch != self.cached.position.epoch or first != self.cached.position.version + 1:
            return  # these do not come next: the feed finds them in the log
        self.cached = cached
        self.ring.extend(Shown(first + i, outcome) for i, outcome in enumerate(outcomes))
        self.wake()

    def restart(self, cached: CachedLearner) -> None:
        """Begin again: the stream was created anew, or the feed cannot follow its log."""
        self.cached, self.writer = cached, OutcomeWriter(cached.learner.config)
        self.ring.clear()
        self.ring.append(Shown(cached.position.version, None))
        self.wake()

    def wake(self) -> None:
        """Wake every watcher."""
        self.moved.set()
        self.moved = asyncio.Event()


class Feeds:
    """The feeds of this process."""

    def __init__(self, store: Store, learners: LearnerCache, most: int) -> None:
        self._store = store
        self._learners = learners
        self._most = most
        self._feeds: dict[str, Feed] = {}
        self._watchers = 0
        self._closing = asyncio.Event()
        self._past = CatchUp(store, self._closing)

    def committed(self, batch: LearntBatch) -> None:
        """Show what this process has learnt and made durable."""
        if (feed := self._feeds.get(batch.stream)) is not None:
            feed.show(batch.cached, batch.answers.writer.with_event(batch.answers.lines, batch.events))

    def close(self) -> None:
        """End the answer of every watcher."""
        self._closing.set()
        for feed in self._feeds.values():
            feed.wake()

    async def watch(self, stream: str, after: int | None, idle: float) -> AsyncIterator[Shown | None]:
        """Outcomes from now on, or from version `after` on; None whenever nothing came for `idle` seconds.

        Raises UnknownStream, and LimitReached for more watchers than there may be, before anything is shown.
        """
        await self._learners.get(stream)
        if self._watchers >= self._most:
            raise LimitReached(f"{self._most} watchers are connected already", retry_after=10)
        return self._shown(stream, after, idle)

    async def _shown(self, stream: str, after: int | None, idle: float) -> AsyncIterator[Shown | None]:
        # Counted before the first await: a burst exceeds the bound only by watchers that have not begun yet.
        self._watchers += 1
        feed = None
        try:
            feed = await self._open(stream)
            position = feed.cached.position.version if after is None else after
            while not self._closing.is_set():
                if feed.failure is not None:
                    raise feed.failure
                moved, found = feed.moved, await self._since(stream, feed, position)
                for one in found:
                    yield one
                    position = one.version
                if found:
                    continue
                try:
                    await asyncio.wait_for(moved.wait(), idle)
                except TimeoutError:
                    yield None
        except (ServiceError, segments.DamagedLog) as error:
            # The answer has begun, so it can only end. The watcher comes back, and is shown what it missed.
            logger.warning("a watcher of stream %s is let go: %s", stream, error)
        finally:
            self._watchers -= 1
            if feed is not None:
                self._leave(stream, feed)

    def _leave(self, stream: str, feed: Feed) -> None:
        feed.watchers -= 1
        if feed.watchers == 0 and feed.task is not None:
            feed.task.cancel()
            self._forget(stream, feed)

    def _forget(self, stream: str, feed: Feed) -> None:
        """Let the next watcher begin a new feed."""
        if self._feeds.get(stream) is feed:
            del self._feeds[stream]

    async def _open(self, stream: str) -> Feed:
        feed = self._feeds.get(stream)
        if feed is None:
            cached = await self._learners.refresh(stream)
            feed = self._feeds.setdefault(stream, Feed(cached, OutcomeWriter(cached.learner.config)))
        feed.watchers += 1
        if feed.task is None:
            feed.task = asyncio.create_task(self._look(stream, feed))
        return feed

    async def _since(self, stream: str, feed: Feed, position: int) -> Sequence[Shown]:
        """The outcomes after a version that can be shown now."""
        newest = feed.cached.position.version
        if position > newest:
            return [Shown(newest, None)]  # the watcher has seen a history that is gone
        oldest = feed.ring[0].version if feed.ring else newest + 1
        if position + 1 >= oldest or (feed.ring and feed.ring[0].outcome is None):
            return [one for one in feed.ring if one.version > position]
        past = await self._past.outcomes(stream, feed.cached, feed.writer, position, oldest - 1)
        # When the service ends, the log is not read and no gap is shown: the watcher can ask another replica.
        return past or (() if self._closing.is_set() else (Shown(oldest - 1, None),))

    async def _look(self, stream: str, feed: Feed) -> None:
        """Find the events that other replicas have learnt, while anybody watches."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                head = await self._store.head(stream)
                if head is None or head.position == feed.cached.position:
                    continue
                start = feed.cached
                same = head.position.epoch == start.position.epoch
                read = await self._past.read(stream, feed.writer, start) if same else None
                if feed.cached is not start:
                    continue  # this process has learnt meanwhile
                if read is not None and read.shown and read.cached.position.version >= head.position.version:
                    feed.show(read.cached, [one.outcome or b"" for one in read.shown])
                elif head.position.version <= start.position.version or read is None:
                    feed.restart(await self._learners.refresh(stream))
            except (ServiceError, segments.DamagedLog):
                continue  # the store is away; its log will be there afterwards
            except Exception as error:
                feed.failure = error
                self._forget(stream, feed)
                feed.wake()
                return
