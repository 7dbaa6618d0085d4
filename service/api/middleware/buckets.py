"""Token buckets: so many events a second on average, so many at once. (A dozen lines; a library would bring storage,
strategies and no debt.)

A bucket is one number, the time at which it will be full: at the time t it holds burst − rate·(full − t) tokens, at
most `burst`. Less than nothing is a debt, which whoever waits has promised to pay by waiting.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

ROUNDING = 1e-9
"""What may be missing of a token: times are floats."""


class Buckets:
    """A bucket for each of those who ask. One that is full is as one that was never there, and is forgotten."""

    def __init__(
        self, rate: float, burst: int = 0, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`rate` in tokens per second; `burst` of 0 is a second's worth. Keeps at most `most` buckets."""
        self.rate = rate
        self.burst = burst or max(1, round(rate))
        self._most = most
        self._clock = clock
        self._full: OrderedDict[str, float] = OrderedDict()
        """When each bucket will be full, by who took last."""

    def tokens(self, who: str) -> float:
        """What is left; below zero when some have promised to wait."""
        now = self._clock()
        return self.burst - self.rate * max(0.0, self._full.get(who, now) - now)

    def take(self, who: str) -> float:
        """Take a token: 0.0; or take none, and the seconds until there is one."""
        missing = 1.0 - self.tokens(who)
        if missing > ROUNDING:
            return missing / self.rate
        self.reserve(who, 1)
        return 0.0

    def reserve(self, who: str, count: int) -> float:
        """Take so many tokens whether or not they are there, and the seconds to wait before they are used."""
        now = self._clock()
        if count == 0:
            return 0.0
        full = max(now, self._full.pop(who, now)) + count / self.rate
        self._full[who] = full
        while len(self._full) > self._most or next(iter(self._full.values())) <= now:
            self._full.popitem(last=False)
        return max(0.0, full - now - self.burst / self.rate)

    def fill_seconds(self, who: str) -> float:
        """Seconds until the bucket is full."""
        return max(0.0, self._full.get(who, 0.0) - self._clock())
