"""Periods of a series, found by comparing it with itself, and the usual value at each phase of two of them.

The mean absolute difference D_m between values m events apart has a dip at a period (the average magnitude difference
function of M. Ross et al., 1974). D_m is updated at every STRIDE-th event only. The first period is the shortest
local minimum that is as low as the lowest; the second is another one that is not close to it.

The usual value of a phase is an exponentially weighted mean over the seasons, by counting events and not by the clock.
"""

from ..jit import kernel_only
from ..types import Float64, Int64
from .ladder import PERIOD, PERIODS, RING, VALUES

STRIDE = 2
"""Each event compares itself with every STRIDE-th of the values before it."""
MEMORY = 500
"""Comparisons that D_m averages over."""
AS_LOW = 1.05
"""A shorter period wins when its D is at most this many times the lowest."""
BETTER = 0.97
"""Another period replaces the present one when its D is below this share of the present one's."""
WEEK, WEEK_AS_LOW = 7, 1.2
"""Seven first periods are taken as the second period when their D is at most this many times the lowest other one."""
RATE = 0.1
"""Least weight of the newest season in the usual value."""
SEARCH_EVERY = 16
"""Events between two searches for periods."""
OUTLIER = 50.0
"""A difference counts at most this many usual changes."""


@kernel_only
def compare(ring: Float64, differences: Float64, t: int, value: float, scale: float) -> None:
    """Update D of every STRIDE-th lag with value number `t`; ring (RING,), differences (PERIODS,)."""
    most = min(PERIODS - 1, t)
    m = t % STRIDE
    while m <= most:
        if m > 0:
            d = min(abs(value - ring[(t - m) & (RING - 1)]), OUTLIER * scale)
            differences[m] += (d - differences[m]) / min(MEMORY, (t - m) // STRIDE + 1)
        m += STRIDE


@kernel_only
def find(count: Int64, differences: Float64) -> None:
    """Set the two periods in `count`; 0 = none."""
    top = min(PERIODS - 1, count[VALUES] // 2)
    if top < 4:
        return
    best, low = 0, 1e300
    for m in range(2, top):
        d = differences[m]
        if d < differences[m - 1] and d <= differences[m + 1] and d < low:
            low, best = d, m
    if best == 0:
        return
    for m in range(2, best):
        d = differences[m]
        if d < differences[m - 1] and d <= differences[m + 1] and d <= AS_LOW * low:
            best = m
            break
    old = count[PERIOD]
    if (
        old == 0
        or (best != old and differences[best] < BETTER * differences[old])
        or (best < old and differences[best] <= AS_LOW * differences[old])
    ):
        count[PERIOD] = best
    period, second, low = count[PERIOD], 0, 1e300
    for m in range(2, top):
        if period // 2 < m < period + period // 2:
            continue
        d = differences[m]
        if d < differences[m - 1] and d <= differences[m + 1] and d < low:
            low, second = d, m
    if WEEK * period < top and differences[WEEK * period] <= WEEK_AS_LOW * low:
        second = WEEK * period
    if second > 0:
        count[PERIOD + 1] = second


@kernel_only
def absorb(usual: Float64, period: int, first: int, t: int, value: float) -> None:
    """Move the usual value (PERIODS,) of the phase of value number `t`; the profile began with number `first`."""
    if period > 0:
        weight = max(RATE, 1.0 / ((t - first) // period + 1))
        usual[t % period] += weight * (value - usual[t % period])


@kernel_only
def rebuild(ring: Float64, usual: Float64, period: int, first: int, stop: int) -> None:
    """Compute the usual values of a new period from the values `first` to `stop` - 1, which are in the ring."""
    for m in range(PERIODS):
        usual[m] = 0.0
    for t in range(first, stop):
        absorb(usual, period, first, t, ring[t & (RING - 1)])
