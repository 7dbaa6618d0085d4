"""Running standardisation of the network's inputs, and the units in which the network learns.

The target of learning is the change from the newest value seen, over the root mean square of past changes, so that
a readout of zeros is the persistence forecast and its loss is about 1 on any stream. A missing value is replaced by
the learner's own prediction for it and flagged.
"""

import math

from ..jit import compiled
from ..types import Float64

CLIP = 6.0
"""Standardised inputs are cut to ±CLIP."""
TARGET_CLIP = 4.0
"""A learning target, in root mean square changes and times √(steps ahead), is cut to ±TARGET_CLIP."""
MEMORY = 2000
"""Running statistics weigh all values equally up to this many events; after that the newest weigh more."""
JUMP = 100.0
"""A squared change counts at most this many times the mean square so far, after ENOUGH changes."""
ENOUGH = 10
"""Number of changes after which JUMP limits a squared change."""
LARGEST = 1e100
"""Largest magnitude of a value: its square, and sums of squares, stay finite."""


@compiled
def clip(x: float, bound: float) -> float:
    """x cut to [-bound, bound]."""
    return min(bound, max(-bound, x))


@compiled
def standardise(x: float, mean: float, variance: float) -> float:
    """(x - mean)/√variance, cut to ±CLIP; 0 for a channel that has not varied."""
    if variance <= 0.0:
        return 0.0
    return clip((x - mean) / math.sqrt(variance), CLIP)


@compiled
def update_moments(x: float, count: int, mean: float, variance: float) -> tuple[float, float]:
    """Running mean and variance after value number `count` (Welford's recursion with weight 1/min(count, MEMORY))."""
    weight = 1.0 / min(count, MEMORY)
    deviation = x - mean
    mean += weight * deviation
    return mean, variance + weight * (deviation * (x - mean) - variance)


@compiled
def update_mean(value: float, count: int, mean: float) -> float:
    """Running mean after value number `count`, which weighs 1/min(count, MEMORY)."""
    return mean + (value - mean) / min(count, MEMORY)


@compiled
def update_mean_square(change: float, count: int, mean_square: float) -> float:
    """Running mean square of the changes after change number `count`; one jump cannot swamp it."""
    square = change * change
    if count > ENOUGH:
        square = min(square, JUMP * mean_square) if mean_square > 0.0 else square
    return update_mean(square, count, mean_square)


@compiled
def fits(values: Float64) -> bool:
    """Whether every number of a matrix is missing or within ±LARGEST."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            if abs(values[row, column]) > LARGEST:
                return False
    return True
