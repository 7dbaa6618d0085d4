"""A made-up series for looking at, where this machine's own rates tell little: the demo's other source."""

import math
import random
import time
from collections.abc import Callable

PERIODS = (30.0, 210.0, 1470.0)
"""Of the seasons, in seconds: a minute's look is enough to see the first."""
SIZES = (0.45, 0.25, 0.15)
"""Of the seasons, as parts of the mean."""
MEMORY = 0.8
"""Of the noise: how much of it is there a measurement later."""


class Seasons:
    """Visits with three seasons, and a latency that grows with their square; both noisy.

    The seasons follow the clock, so that a stream goes on where it was after a pause.
    """

    stream = "seasons"
    title = "a made-up series"
    units = {"visits": "/s", "latency": "ms"}  # noqa: RUF012 - read only

    def __init__(self, clock: Callable[[], float] = time.time, seed: int | None = None) -> None:
        """`clock` gives seconds; `seed` makes the noise the same each time."""
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - noise
        self._noise = 0.0

    def sample(self) -> dict[str, float | None]:
        """A value for each of the units."""
        now = self._clock()
        self._noise = MEMORY * self._noise + self._random.gauss(0.0, 0.02)
        waves = (size * math.sin(math.tau * now / period) for size, period in zip(SIZES, PERIODS, strict=True))
        level = 1.0 + math.fsum(waves) + self._noise
        return {"visits": 100.0 * level, "latency": 5.0 + 3.0 * level * level + self._random.gauss(0.0, 0.1)}
