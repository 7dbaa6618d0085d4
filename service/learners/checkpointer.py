"""Checkpoints of the learners in memory: decides when one is due, and writes it in the background."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ... import model
from ..codec.checkpoints import pack
from ..errors import ServiceError
from ..observability.metrics import Metrics
from ..settings import Settings
from ..store.base import LogPosition, Store

logger = logging.getLogger(__name__)

REPLAY_SECONDS = 1.0
"""A checkpoint is not due before learning the events since the last one took this long."""
CHECKPOINT_SHARE = 10.0
"""A checkpoint is not due before learning took this many times as long as writing the last checkpoint."""


@dataclass(slots=True)
class Progress:
    """How far the checkpoints of a stream are behind its learner, as far as this process knows."""

    newest: int
    """Version of the learner."""
    saved: int
    """Version of the newest checkpoint."""
    seconds: float = 0.0
    """Time spent learning the events after the newest checkpoint."""
    since: float = math.inf
    """When the first event after the newest checkpoint came here, on the clock `monotonic`."""
    tried: int = 0
    """Version of the newest checkpoint that the store did not take."""
    tried_seconds: float = 0.0
    """The value of `seconds` when that checkpoint failed: the next try waits as long as the first did."""
    writing_seconds: float = 0.0
    """How long writing the last checkpoint took."""
    loads: int = 0
    """How often a learner was loaded from a checkpoint."""

    @property
    def unsaved(self) -> int:
        """Number of events without a checkpoint."""
        return max(self.newest - self.saved, 0)


class Checkpointer:
    """Writes the checkpoints of one process: at most one at a time for each stream."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._every = settings.checkpoint_every
        self._store = store
        self._metrics = metrics
        self._progress: dict[str, Progress] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        metrics.checkpoint_every.set(self._every)

    def show(self, streams: Iterable[str]) -> None:
        """Let the metrics report the worst of `streams`, as these are whenever the metrics are read."""

        def worst(lag: Callable[[Progress], float]) -> Callable[[], float]:
            return lambda: max((lag(self._progress[stream]) for stream in streams), default=0.0)

        self._metrics.unsaved.set_function(worst(lambda one: one.unsaved))
        self._metrics.unsaved_age.set_function(worst(lambda one: max(time.monotonic() - one.since, 0.0)))
        self._metrics.replay_seconds.set_function(worst(lambda one: one.seconds))

    def saved(self, stream: str) -> int:
        """Version of the newest checkpoint that this process knows; 0 for none."""
        progress = self._progress.get(stream)
        return 0 if progress is None else progress.saved

    def unsaved(self, stream: str) -> int:
        """Number of events of a stream without a checkpoint."""
        return self._progress[stream].unsaved

    def reset(self, stream: str, newest: int, saved: int) -> None:
        """Begin with a stream that is new to this process, or that has another history now."""
        self._progress[stream] = Progress(newest, saved)

    def loaded(self, stream: str, version: int) -> None:
        """A learner was read from the checkpoint of `version`; the events after it are replayed next."""
        progress = self._progress[stream]
        progress.saved = max(progress.saved, version)
        progress.seconds = progress.tried_seconds = 0.0
        progress.loads += 1

    def replayed(self, stream: str, seconds: float) -> None:
        """The log was learnt up to its end, which took `seconds`."""
        if (progress := self._progress.get(stream)) is not None:
            progress.seconds += seconds

    def forget(self, stream: str) -> None:
        """Drop a stream that is gone, or may be."""
        self._progress.pop(stream, None)

    def learnt(self, stream: str, position: LogPosition, learner: model.Learner, seconds: float) -> None:
        """The learner is at `position` after `seconds` more of learning. Starts a checkpoint if one is due."""
        progress = self._progress[stream]
        progress.newest = position.version
        if progress.unsaved > 0:
            progress.seconds += seconds
            progress.since = min(progress.since, time.monotonic())
        else:
            progress.seconds = 0.0
        due = max(REPLAY_SECONDS, CHECKPOINT_SHARE * progress.writing_seconds)
        events = position.version - max(progress.saved, progress.tried)
        if events >= self._every or progress.seconds - progress.tried_seconds > due:
            self.save(stream, position, learner)

    def save(self, stream: str, position: LogPosition, learner: model.Learner) -> None:
        """Write a checkpoint, unless one of the stream is being written."""
        if stream not in self._tasks:
            task = asyncio.create_task(self._write(stream, position, learner, self._progress[stream]))
            self._tasks[stream] = task
            task.add_done_callback(lambda _: self._tasks.pop(stream, None))

    async def drained(self) -> None:
        """Return when nothing is being written."""
        await asyncio.gather(*self._tasks.values())

    async def _write(self, stream: str, position: LogPosition, learner: model.Learner, progress: Progress) -> None:
        loads, unsaved_seconds = progress.loads, progress.seconds
        start, now = time.perf_counter(), time.monotonic()
        try:
            blob = await asyncio.to_thread(pack, position.chain, learner)
            written = await self._store.write_checkpoint(stream, position, blob)
        except ServiceError as error:
            # Nothing is lost: the log still reaches back to the checkpoint before. What was written expires, so it is
            # not written again with every commit.
            progress.tried, progress.tried_seconds = position.version, progress.seconds
            self._metrics.failed_checkpoints.inc()
            logger.warning("no checkpoint of stream %s at version %d: %s", stream, position.version, error.detail)
            return
        finally:
            progress.writing_seconds = time.perf_counter() - start
        if written:
            self._metrics.checkpoints.inc()
        # The checkpoint may be late: meanwhile the learner may have been loaded from another one, and replayed.
        progress.saved = max(progress.saved, position.version)
        if progress.unsaved == 0:
            progress.seconds, progress.since = 0.0, math.inf
        else:
            progress.seconds -= unsaved_seconds if progress.loads == loads else 0.0
            progress.since = now
        progress.tried_seconds = 0.0
