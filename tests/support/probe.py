"""Asks a service over and over whether it lives and is ready, while a test does something to it."""

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple, Self

import psutil

from tests.support.load import Gone, Line

EVERY_SECONDS = 0.03


class Seen(NamedTuple):
    """One answer."""

    asked: float
    """When, on the monotonic clock."""
    status: int
    """0 where there was none."""
    seconds: float


class Probe:
    """Answers of /livez and /readyz, and the resident memory, from its start to its end."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self._url = url
        self._process = process
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self.seen: Mapping[str, list[Seen]] = {"/livez": [], "/readyz": []}
        self.memory: list[int] = []
        """Resident bytes, in the order in which they were read."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def slowest_livez(self) -> float:
        """Seconds; asserts that every answer was 200."""
        assert {one.status for one in self.seen["/livez"]} == {200}
        return max(one.seconds for one in self.seen["/livez"])

    def readyz(self, since: float, until: float) -> set[int]:
        """The statuses of what was asked in between."""
        return {one.status for one in self.seen["/readyz"] if since <= one.asked < until}

    async def _watch(self) -> None:
        await asyncio.gather(*(self._ask(path) for path in self.seen))

    async def _ask(self, path: str) -> None:
        line = Line(self._url)
        while not self._stopping.is_set():
            asked = time.monotonic()
            try:
                reply = await line.ask("GET", path)
                self.seen[path].append(Seen(asked, reply.status, reply.seconds))
            except Gone:
                self.seen[path].append(Seen(asked, 0, time.monotonic() - asked))
            self.memory.append(self._process.memory_info().rss)
            await asyncio.sleep(EVERY_SECONDS)
        await line.end()
