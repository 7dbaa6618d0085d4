"""What each expert says about a step, from the values so far.

With y_o the newest value, B and A the two periods and t = o + s the step's place:

    persistence y_o · season y_{t-kB} · shifted season y_o + y_{t-kB} - y_{o-kB} (both periods)
    long and short level: running means · line: level and slope of double exponential smoothing (R. Brown, 1959)
    drift y_o + s·mean change · mean of three seasons · usual value of the phase (both periods)
    direct heads: linear in the newest changes, and in the newest deviations from the usual values

k is the least number of seasons that reaches back behind y_o. A direct head of rung g predicts step h_g; for the steps
between two rungs the heads are interpolated.
"""

from ..jit import kernel_only
from ..state import Ahead
from ..types import Float64
from .ladder import (
    DRIFT,
    EXPERTS,
    GAP,
    HEAD_1,
    HEAD_2,
    LINE,
    LINE_LEVEL,
    LINE_SLOPE,
    LONG,
    LONG_LEVEL,
    MEAN_CHANGE,
    PERIOD,
    RING,
    RUNGS,
    SCALE,
    SEASON,
    SEASON_MEAN,
    SHIFTED,
    SHIFTED_2,
    SHORT,
    SHORT_LEVEL,
    USUAL,
    VALUES,
)  # fmt: skip

FADING = 0.7
"""Weight of a season beside the next newer one in the mean of three seasons."""


@kernel_only
def rung(s: int) -> int:
    """The rung that serves step `s`."""
    g = 0
    while g < RUNGS.shape[0] - 1 and s > RUNGS[g]:
        g += 1
    return g


@kernel_only
def usual_at(ahead: Ahead, i: int, season: int, t: int) -> float:
    """The usual value of the phase of place `t`; the long level while no period is known."""
    period = ahead.counts[i, PERIOD + season]
    return float(ahead.usual[i, season, t % period] if period > 0 else ahead.levels[i, LONG])


@kernel_only
def predict(ahead: Ahead, i: int, s: int, said: Float64) -> None:
    """Predictions (E,) of step `s` ≥ 1 after the newest measured value of target `i`."""
    count, ring, levels = ahead.counts[i], ahead.ring[i], ahead.levels[i]
    n, o = count[VALUES], count[VALUES] - 1 - count[GAP]
    t, y = o + s, ring[o & (RING - 1)]
    for k in range(EXPERTS):
        said[k] = y
    for season in range(2):
        period = count[PERIOD + season]
        if period == 0:
            continue
        k = (s + period - 1) // period
        a, b = t - k * period, o - k * period
        if a >= 0 and n - a < RING:
            said[SEASON + season] = ring[a & (RING - 1)]
            if b >= 0 and n - b < RING:
                said[SHIFTED if season == 0 else SHIFTED_2] = y + ring[a & (RING - 1)] - ring[b & (RING - 1)]
        said[USUAL + season] = ahead.usual[i, season, t % period]
        if season == 0:
            total, weights, weight = 0.0, 0.0, 1.0
            for _ in range(3):
                if a < 0 or n - a >= RING:
                    break
                total += weight * ring[a & (RING - 1)]
                weights += weight
                weight *= FADING
                a -= period
            if weights > 0.0:
                said[SEASON_MEAN] = total / weights
    said[LONG_LEVEL] = levels[LONG]
    said[SHORT_LEVEL] = levels[SHORT]
    said[LINE] = levels[LINE_LEVEL] + s * levels[LINE_SLOPE]
    said[DRIFT] = y + s * levels[MEAN_CHANGE]
    last = RUNGS.shape[0] - 1
    if s >= RUNGS[last]:
        first, second = ahead.head_1[i, last], ahead.head_2[i, last]
    else:
        g = rung(s)
        first, second = ahead.head_1[i, g], ahead.head_2[i, g]
        if g > 0:
            share = (RUNGS[g] - s) / (RUNGS[g] - RUNGS[g - 1])
            first += share * (ahead.head_1[i, g - 1] - first)
            second += share * (ahead.head_2[i, g - 1] - second)
    said[HEAD_1] = y + levels[SCALE] * first
    said[HEAD_2] = usual_at(ahead, i, 0, t) + levels[SCALE] * second
