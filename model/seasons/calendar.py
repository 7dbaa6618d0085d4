"""Features of the time of an event: the interval since the last event, and the phase of each season."""

import math

from ..jit import compiled
from ..numerics.elementary import log, wave
from ..numerics.scaling import CLIP, MEMORY, clip
from ..types import Array, Float64

LONGEST = 10.0
"""In the running mean an interval counts as at most this many mean intervals."""


@compiled
def write_features(z: Array, place: int, time: float, clock: Float64, seasons: Float64) -> int:
    """Write log(interval/mean interval) and sin, cos of each harmonic from z[place] on; the place after them.

    All 0 where there is no time. `seasons` (s, 2) has a period in seconds and a number of harmonics a row.
    """
    known = not math.isnan(time)
    z[place] = 0.0
    if known and clock[2] > 0.0 and time > clock[0]:
        z[place] = clip(log((time - clock[0]) / clock[1]), CLIP)
    place += 1
    for season in range(seasons.shape[0]):
        for harmonic in range(1, int(seasons[season, 1]) + 1):
            sine, cosine = wave(harmonic * (time / seasons[season, 0])) if known else (0.0, 0.0)
            z[place] = sine
            z[place + 1] = cosine
            place += 2
    return place


@compiled
def update_clock(clock: Float64, time: float) -> None:
    """Update `clock` (3,): newest time, running mean of the intervals, number of intervals (-1 before the first time).

    An event that is not later than the newest one changes nothing.
    """
    if math.isnan(time):
        return
    if clock[2] < 0.0:
        clock[0], clock[2] = time, 0.0
        return
    interval = time - clock[0]
    if interval > 0.0:
        clock[2] += 1.0
        if clock[2] > 1.0:
            interval = min(interval, LONGEST * clock[1])
        clock[1] += (interval - clock[1]) / min(clock[2], MEMORY)
        clock[0] = time


@compiled
def expected_time(clock: Float64, steps: int) -> float:
    """The time `steps` mean intervals after the newest; NaN before an interval is known."""
    return clock[0] + steps * clock[1] if clock[2] > 0.0 else math.nan
