"""Time slices of the event loop: a task that computes for long without waiting lets others run now and then."""

import asyncio
import time

SECONDS = 0.0002
"""How long all time slices of one iteration of the loop may last together. An event takes several iterations, each of
which waits for the slices of every busy task. Shorter slices cost more than they bring: an iteration itself takes some
20 µs."""


class _Round:
    """Counts the slices that began in this iteration of a loop, and in the last."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.others = 0
        self._begun = 0

    def begin(self) -> None:
        """Count one more slice."""
        if self._begun == 0:
            self.loop.call_soon(self._end)
        self._begun += 1

    def _end(self) -> None:
        self.others, self._begun = self._begun, 0


class TimeSlice:
    """The slices of one task, one after the other. All busy tasks share an iteration equally."""

    _round: _Round | None = None
    """That of the running loop; a process has one."""

    def __init__(self) -> None:
        self._begin()

    async def yield_if_expired(self) -> None:
        """Let other tasks run if the slice has expired."""
        if self.expired():
            await asyncio.sleep(0)
            self._begin()

    def expired(self) -> bool:
        """Whether the slice has lasted long enough."""
        return time.perf_counter() - self._began > self._seconds

    def _begin(self) -> None:
        loop, now = asyncio.get_running_loop(), TimeSlice._round
        if now is None or now.loop is not loop:
            now = TimeSlice._round = _Round(loop)
        now.begin()
        self._seconds = SECONDS / max(1, now.others)
        self._began = time.perf_counter()
