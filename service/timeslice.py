"""Turns at the event loop: what could go on for long without waiting for anything lets others go on now and then."""

import asyncio
import time

SECONDS = 0.0002
"""How long all turns of a round of the loop may last together, in which each does at least one thing. An event of
somebody else takes some rounds, and each waits for the turns of everybody who is busy. Shorter ones cost more than they
bring: a round takes some 20 µs of its own."""


class _Round:
    """How many have begun a turn in this round of a loop, and how many in the last."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.others = 0
        self._begun = 0

    def begin(self) -> None:
        """One more."""
        if self._begun == 0:
            self.loop.call_soon(self._end)
        self._begun += 1

    def _end(self) -> None:
        self.others, self._begun = self._begun, 0


class TimeSlice:
    """One after the other, of one task. Those that are busy at a time share a round alike."""

    _round: _Round | None = None
    """Of the loop that runs; a process has one."""

    def __init__(self) -> None:
        self._begin()

    async def yield_if_expired(self) -> None:
        """Let others go on, if the turn is over."""
        if self.over():
            await asyncio.sleep(0)
            self._begin()

    def over(self) -> bool:
        """Whether it has lasted long enough."""
        return time.perf_counter() - self._began > self._seconds

    def _begin(self) -> None:
        loop, now = asyncio.get_running_loop(), TimeSlice._round
        if now is None or now.loop is not loop:
            now = TimeSlice._round = _Round(loop)
        now.begin()
        self._seconds = SECONDS / max(1, now.others)
        self._began = time.perf_counter()
