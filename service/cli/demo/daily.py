"""A made-up series, the demo's other source, for a machine whose own rates show little."""

import math
import random
import time
from collections.abc import Callable

PERIODS = (30.0, 210.0, 1470.0)
"""Periods of the three seasons, in seconds. The first is seen within a minute."""
SIZES = (0.45, 0.25, 0.15)
"""Amplitudes of the three seasons, as parts of the mean."""
MEMORY = 0.8
"""The share of the noise that remains in the next measurement."""


class Seasons:
    """Visits with three seasons, and a latency that grows with their square; both noisy.

    The seasons follow the clock, so the series continues in phase after a pause.
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
        """A value for each target."""
        now = self._clock()
        self._noise = MEMORY * self._noise + self._random.gauss(0.0, 0.02)
        waves = (size * math.sin(math.tau * now / period) for size, period in zip(SIZES, PERIODS, strict=True))
        level = 1.0 + math.fsum(waves) + self._noise
        return {"visits": 100.0 * level, "latency": 5.0 + 3.0 * level * level + self._random.gauss(0.0, 0.1)}
