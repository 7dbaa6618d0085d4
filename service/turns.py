"""Turns at the event loop: what could go on for long without waiting for anything lets others go on now and then."""

import asyncio
import time

SECONDS = 0.0002
"""How long a turn may last. An event of somebody else takes some five rounds of the loop, and each waits for a turn of
everybody who is busy. Shorter ones cost more than they bring: a round takes some 20 µs of its own."""


class Turn:
    """One after the other, of one task."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def pass_on(self) -> None:
        """Let others go on, if the turn is over."""
        if self.over():
            await asyncio.sleep(0)
            self._began = time.perf_counter()

    def over(self) -> bool:
        """Whether it has lasted long enough."""
        return time.perf_counter() - self._began > SECONDS
