"""The direct heads of one target: recursive least squares with one gain for all rungs.

All heads read the same features, later: so the covariance, and the gain of an event, is the same for all of them, and
is had once. The gain waits with the features until the value of a rung's step comes. A far rung learns from every
⌈h_g/HEAD_SLOTS⌉-th event, with a gain as if the covariance had counted those events only.

Targets are in units of the mean absolute change, so that coefficients outlive a change of the series' scale.
"""

from ..jit import kernel_only
from ..state import Ahead
from ..types import Float64
from .experts import usual_at
from .ladder import (
    CHANGES,
    DEVIATION_2,
    DEVIATION_LONG,
    DEVIATION_MIDDLE,
    DEVIATION_SHORT,
    FEATURES_1,
    FEATURES_2,
    HEAD_EVERY,
    HEAD_SLOTS,
    LINE_SLOPE,
    LONG,
    RING,
    RUNGS,
    SCALE,
    SHORT,
    VALUES,
)  # fmt: skip

FORGETTING = 0.9999
"""λ of the covariances."""
LARGEST_TRACE = 1e6
"""A covariance whose trace is larger does not grow any more."""
CLIP = 6.0
"""Features are cut to ±CLIP."""
LARGEST = 30.0
"""Targets of step h are cut to ±LARGEST·(1 + h)."""
PRIOR = 0.05
"""Prior variance of the coefficients; that of change number j is PRIOR/j."""
PRIOR_OF_1 = 20.0
"""Prior variance of the constant among the features of the changes: a trend adds up over many steps."""
LEVEL_SHARE = 0.3
"""Weight of the deviation from the long level among the features of the changes."""
# Places in a waiting record (W,): gain 1, features 2, gain 2, scale, newest value, usual value of the step.
GAIN_1, SECOND, GAIN_2 = 0, FEATURES_1, FEATURES_1 + FEATURES_2
LEVERAGE_1, LEVERAGE_2, UNIT, BASE, USUAL_THEN, LEVEL_THEN = range(GAIN_2 + FEATURES_2, GAIN_2 + FEATURES_2 + 6)
RECORD = LEVEL_THEN + 1


@kernel_only
def _clip(x: float) -> float:
    return min(CLIP, max(-CLIP, x))


@kernel_only
def read_changes(ahead: Ahead, i: int, o: int, level: float, unit: float, x: Float64) -> None:
    """Features (FEATURES_1,) of the newest changes at place `o`."""
    ring, inverse = ahead.ring[i], 1.0 / unit if unit > 0.0 else 0.0
    for j in range(CHANGES):
        change = ring[(o - j) & (RING - 1)] - ring[(o - j - 1) & (RING - 1)] if o - j - 1 >= 0 else 0.0
        x[j] = _clip(change * inverse)
    x[CHANGES] = _clip(LEVEL_SHARE * level * inverse)
    x[CHANGES + 1] = 1.0


@kernel_only
def read_deviations(ahead: Ahead, i: int, value: float, x: Float64) -> None:
    """Features (FEATURES_2,): the newest six deviations from the usual values, their means, levels, slope, 1."""
    levels = ahead.levels[i]
    inverse = 1.0 / levels[SCALE] if levels[SCALE] > 0.0 else 0.0
    for j in range(6):
        x[j] = _clip(ahead.deviations[i, j] * inverse)
    x[6] = _clip(levels[DEVIATION_SHORT] * inverse)
    x[7] = _clip(levels[DEVIATION_MIDDLE] * inverse)
    x[8] = _clip(levels[DEVIATION_LONG] * inverse)
    x[9] = _clip((value - levels[LONG]) * inverse)
    x[10] = _clip((levels[SHORT] - levels[LONG]) * inverse)
    x[11] = _clip(levels[LINE_SLOPE] * inverse)
    x[12] = 1.0
    x[13] = _clip(levels[DEVIATION_2] * inverse)


@kernel_only
def gain(P: Float64, x: Float64, kappa: Float64, product: Float64) -> float:
    """κ = Px/(λ + xᵀPx) into `kappa`, P ← (P - κ(Px)ᵀ)/λ; returns κᵀx. Shapes P (s, s), the others (s,)."""
    s = x.shape[0]
    for j in range(s):
        product[j] = 0.0
    for j in range(s):
        if x[j] != 0.0:
            for k in range(s):
                product[k] += P[j, k] * x[j]
    size = FORGETTING
    for j in range(s):
        size += x[j] * product[j]
    trace, leverage = 0.0, 0.0
    for j in range(s):
        kappa[j] = product[j] / size
        leverage += kappa[j] * x[j]
        trace += P[j, j]
    scale = 1.0 if trace > LARGEST_TRACE else 1.0 / FORGETTING
    for j in range(s):
        for k in range(s):
            P[j, k] = scale * (P[j, k] - kappa[j] * product[k])
    return leverage


@kernel_only
def learn(ahead: Ahead, i: int, t: int, value: float, x: Float64) -> None:
    """Every head whose step is place `t`, with the value there; `x` (FEATURES_1,) is scratch."""
    for g in range(RUNGS.shape[0]):
        o = t - RUNGS[g]
        if o < 0:
            break
        every = HEAD_EVERY[g]
        if o % every != 0 or ahead.head_due[i, g, (o // every) % HEAD_SLOTS] != t:
            continue
        kept = ahead.head_waiting[i, g, (o // every) % HEAD_SLOTS]
        if kept[UNIT] <= 0.0:
            continue
        read_changes(ahead, i, o, kept[LEVEL_THEN], kept[UNIT], x)
        bound = LARGEST * (1.0 + RUNGS[g])
        V, error = ahead.V_1[i, g], min(bound, max(-bound, (value - kept[BASE]) / kept[UNIT]))
        for j in range(FEATURES_1):
            error -= V[j] * x[j]
        weight = every / (1.0 + (every - 1.0) * kept[LEVERAGE_1])
        for j in range(FEATURES_1):
            V[j] += weight * kept[GAIN_1 + j] * error
        V, error = ahead.V_2[i, g], min(bound, max(-bound, (value - kept[USUAL_THEN]) / kept[UNIT]))
        for j in range(FEATURES_2):
            error -= V[j] * kept[SECOND + j]
        weight = every / (1.0 + (every - 1.0) * kept[LEVERAGE_2])
        for j in range(FEATURES_2):
            V[j] += weight * kept[GAIN_2 + j] * error


@kernel_only
def predict(ahead: Ahead, i: int, value: float, scratch: Float64) -> None:
    """Update the covariances with the newest event, let its gains wait, and set what each head predicts from it.

    `scratch` (5, FEATURES_1).
    """
    t, levels = ahead.counts[i, VALUES] - 1, ahead.levels[i]
    unit, level = levels[SCALE], value - levels[LONG]
    x, kappa, product = scratch[0], scratch[1], scratch[2]
    y, kappa_2 = scratch[3, :FEATURES_2], scratch[4, :FEATURES_2]
    read_changes(ahead, i, t, level, unit, x)
    read_deviations(ahead, i, value, y)
    leverage_1 = gain(ahead.P_1[i], x, kappa, product)
    leverage_2 = gain(ahead.P_2[i], y, kappa_2, product[:FEATURES_2])
    for g in range(RUNGS.shape[0]):
        first, second = 0.0, 0.0
        for j in range(FEATURES_1):
            first += ahead.V_1[i, g, j] * x[j]
        for j in range(FEATURES_2):
            second += ahead.V_2[i, g, j] * y[j]
        ahead.head_1[i, g], ahead.head_2[i, g] = first, second
        if t % HEAD_EVERY[g] == 0:
            slot = (t // HEAD_EVERY[g]) % HEAD_SLOTS
            kept = ahead.head_waiting[i, g, slot]
            ahead.head_due[i, g, slot] = t + RUNGS[g]
            for j in range(FEATURES_1):
                kept[GAIN_1 + j] = kappa[j]
            for j in range(FEATURES_2):
                kept[SECOND + j] = y[j]
                kept[GAIN_2 + j] = kappa_2[j]
            kept[LEVERAGE_1], kept[LEVERAGE_2], kept[UNIT], kept[BASE] = leverage_1, leverage_2, unit, value
            kept[USUAL_THEN], kept[LEVEL_THEN] = usual_at(ahead, i, 0, t + RUNGS[g]), level
