"""Prediction intervals from the newest absolute errors.

Adaptive conformal inference (I. Gibbs, E. Candès, arXiv:2106.00170): the half-width is the (1-α_t) quantile of the
window of errors, and α_t moves by γ(α - 1{outside}), so that in the long run a share α of the values falls outside,
whatever the stream does. The window serves the anomaly score as well (`anomaly`).
"""

import math

from ..jit import compiled
from ..types import Float64

WINDOW = 256
"""Errors kept for each target."""
MISCOVERAGE = 0.1
"""α: the share of values that should fall outside the interval."""
ADAPTATION = 0.01
"""γ: how fast the level follows."""


@compiled
def half_width(ordered: Float64, count: int, level: float) -> float:
    """Quantile number ⌈(1-level)(N+1)⌉ of the N = min(count, WINDOW) ascending errors, at most the largest; N > 0."""
    size = min(count, ordered.shape[0])
    rank = math.ceil((1.0 - level) * (size + 1))
    return float(ordered[min(size, max(1, rank)) - 1])


@compiled
def insert(ring: Float64, ordered: Float64, count: int, error: float) -> None:
    """Put error number `count` (from 0) into the window, in the place of the oldest once it is full. O(WINDOW)."""
    window = ring.shape[0]
    slot = count % window
    size = min(count, window)
    if count >= window:
        size -= 1
        for i in range(position(ordered, window, ring[slot]), size):
            ordered[i] = ordered[i + 1]
    place = position(ordered, size, error)
    for i in range(size, place, -1):
        ordered[i] = ordered[i - 1]
    ordered[place] = error
    ring[slot] = error


@compiled
def adapt(level: float, outside: bool) -> float:
    """α_{t+1} = α_t + γ(α - 1{outside}), kept in [0, 1]."""
    missed = 1.0 if outside else 0.0
    return min(1.0, max(0.0, level + ADAPTATION * (MISCOVERAGE - missed)))


@compiled
def position(ordered: Float64, size: int, value: float) -> int:
    """Number of the first `size` entries that are smaller than `value`."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
