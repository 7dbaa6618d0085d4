"""The forecaster of one target: observe a value, forecast any step. Compiled; composes the other files of this folder.

The order of an event: judge what was said of it → learn the heads → take the value in → let new predictions wait.
A missing value is filled with its own forecast, so that the phase of a season goes on; nothing is learnt from it, and
forecasts go on from the newest value that was measured.
"""

import math

from ..jit import kernel_only
from ..state import Ahead
from ..types import Float64
from . import combination, experts, heads, periods, quantiles
from .ladder import (
    ACTIVE_CHANGE,
    DEVIATION_2,
    DEVIATION_LONG,
    DEVIATION_MIDDLE,
    DEVIATION_SHORT,
    ERROR,
    EVERY,
    EXPERTS,
    FAST_CHANGE,
    FEATURES_1,
    GAP,
    JUDGED,
    LINE_LEVEL,
    LINE_SLOPE,
    LONG,
    LONGEST_GAP,
    MEAN_CHANGE,
    PERIOD,
    PERSISTENCE,
    RING,
    RUNGS,
    SCALE,
    SHORT,
    SLOTS,
    VALUES,
)  # fmt: skip

LONG_MEMORY, CHANGE_MEMORY = 1000, 2000
"""Values that the long level and the scale average over; changes that the mean change averages over."""
SHORT_WEIGHT, LINE_WEIGHT = 0.1, 0.02
"""Weight of the newest value in the short level, and in the line."""
LARGEST_SCALE = 20.0
"""The scale is at most this many times the newest changes' mean, so that it falls with the series."""
DEVIATION_WEIGHTS = (0.3, 0.05, 0.01)
"""Weights of the newest deviation from the usual value in its three running means."""
SLOW_SHARE = 0.1
"""Share of the long mean of changes in the scale of the newest ones."""


@kernel_only
def forecast(ahead: Ahead, i: int, s: int, said: Float64) -> float:
    """The prediction of step `s` ≥ 1 after the newest event; NaN before a first value. `said` (EXPERTS,) is filled."""
    if ahead.counts[i, VALUES] == 0:
        return math.nan
    s += ahead.counts[i, GAP]
    experts.predict(ahead, i, s, said)
    g = combination.usable(ahead.judged[i], experts.rung(s))
    mixed = combination.mix(ahead.regret[i, g], ahead.spread[i, g], said, s > RUNGS[RUNGS.shape[0] - 1])
    return float(said[PERSISTENCE] + combination.gate(ahead.judged[i], g) * (mixed - said[PERSISTENCE]))


@kernel_only
def quantile(ahead: Ahead, i: int, s: int, level: float) -> float:
    """What is to be added to `forecast` for a quantile of this level; NaN before a first error."""
    s += ahead.counts[i, GAP]
    g = experts.rung(s)
    while g > 0 and ahead.judged[i, g, JUDGED] < 2.0:
        g -= 1
    if ahead.judged[i, g, JUDGED] < 1.0:
        return math.nan
    scale = 0 if ahead.sizes[i, g, 0, 1] < ahead.sizes[i, g, 1, 1] else 1
    unit = _changes(ahead, i) if scale == 0 else ahead.judged[i, g, ERROR]
    return float(quantiles.growth(ahead.judged[i], s, g) * unit * quantiles.at(ahead.quantiles[i, g, scale], level))


@kernel_only
def _changes(ahead: Ahead, i: int) -> float:
    """How much the series changes lately: the scale of the errors of a quiet or a lively time."""
    return float(ahead.levels[i, FAST_CHANGE] + SLOW_SHARE * ahead.levels[i, SCALE])


@kernel_only
def observe(ahead: Ahead, i: int, value: float, scratch: Float64) -> None:
    """Learn the next value of target `i`; NaN = missing. `scratch` (6, FEATURES_1)."""
    count, said = ahead.counts[i], scratch[5, :EXPERTS]
    t = count[VALUES]
    if math.isnan(value):
        if t > 0 and count[GAP] < LONGEST_GAP:
            ahead.ring[i, t & (RING - 1)] = forecast(ahead, i, 1, said)
            count[VALUES] += 1
            count[GAP] += 1
        return
    _judge(ahead, i, t, value)
    heads.learn(ahead, i, t, value, scratch[0, :FEATURES_1])
    before = ahead.ring[i, (t - 1) & (RING - 1)]
    ahead.ring[i, t & (RING - 1)] = value
    count[VALUES], n = t + 1, t + 1
    _levels(ahead, i, n, value, before, count[GAP] == 0)
    count[GAP] = 0
    periods.compare(ahead.ring[i], ahead.differences[i], t, value, ahead.levels[i, SCALE])
    _seasons(ahead, i, n, value)
    heads.predict(ahead, i, value, scratch)
    _wait(ahead, i, t, said)


@kernel_only
def _judge(ahead: Ahead, i: int, t: int, value: float) -> None:
    """Judge the predictions of place `t`."""
    for g in range(RUNGS.shape[0]):
        for slot in range(SLOTS):
            if ahead.due[i, g, slot] != t:
                continue
            kept, judged = ahead.waiting[i, g, slot], ahead.judged[i, g]
            mixed, error = kept[EXPERTS], value - kept[EXPERTS + 1]
            combination.judge(ahead.regret[i, g], ahead.spread[i, g], judged, kept[:EXPERTS], mixed, value)
            quantiles.learn(ahead.quantiles[i, g, 0], ahead.sizes[i, g], judged, error, kept[EXPERTS + 2], 0)
            quantiles.learn(ahead.quantiles[i, g, 1], ahead.sizes[i, g], judged, error, kept[EXPERTS + 3], 1)
            memory = quantiles.ERROR_MEMORY if EVERY[g] == 1 else quantiles.FAR_MEMORY
            judged[ERROR] += (abs(error) - judged[ERROR]) / min(judged[JUDGED], memory)


@kernel_only
def _levels(ahead: Ahead, i: int, n: int, value: float, before: float, consecutive: bool) -> None:
    """Take the value into the running means; a change counts where the value before was measured."""
    levels = ahead.levels[i]
    if n == 1:
        levels[LONG] = levels[SHORT] = levels[LINE_LEVEL] = value
        return
    change = value - before
    levels[LONG] += (value - levels[LONG]) / min(n, LONG_MEMORY)
    levels[SHORT] += (value - levels[SHORT]) * max(SHORT_WEIGHT, 1.0 / n)
    weight = max(LINE_WEIGHT, 2.0 / (n + 1))
    error = value - levels[LINE_LEVEL] - levels[LINE_SLOPE]
    levels[LINE_LEVEL] += levels[LINE_SLOPE] + (1.0 - (1.0 - weight) * (1.0 - weight)) * error
    levels[LINE_SLOPE] += weight * weight * error if n > 2 else error
    if consecutive:
        levels[MEAN_CHANGE] += (change - levels[MEAN_CHANGE]) / min(n - 1, CHANGE_MEMORY)
        levels[FAST_CHANGE] += (abs(change) - levels[FAST_CHANGE]) * max(SHORT_WEIGHT, 1.0 / n)
        levels[SCALE] += (abs(change) - levels[SCALE]) / min(n, LONG_MEMORY)
        if change != 0.0:
            levels[ACTIVE_CHANGE] += (abs(change) - levels[ACTIVE_CHANGE]) * max(SHORT_WEIGHT, 1.0 / n)
        if levels[FAST_CHANGE] > 0.0:
            levels[SCALE] = min(levels[SCALE], LARGEST_SCALE * levels[FAST_CHANGE])


@kernel_only
def _seasons(ahead: Ahead, i: int, n: int, value: float) -> None:
    """Deviations from the usual values, then the usual values, then perhaps other periods."""
    levels, count, t = ahead.levels[i], ahead.counts[i], n - 1
    deviation = value - experts.usual_at(ahead, i, 0, t)
    for j in range(5, 0, -1):
        ahead.deviations[i, j] = ahead.deviations[i, j - 1]
    ahead.deviations[i, 0] = deviation
    levels[DEVIATION_SHORT] += (deviation - levels[DEVIATION_SHORT]) * DEVIATION_WEIGHTS[0]
    levels[DEVIATION_MIDDLE] += (deviation - levels[DEVIATION_MIDDLE]) * DEVIATION_WEIGHTS[1]
    levels[DEVIATION_LONG] += (deviation - levels[DEVIATION_LONG]) * DEVIATION_WEIGHTS[2]
    levels[DEVIATION_2] = value - experts.usual_at(ahead, i, 1, t) if count[PERIOD + 1] > 0 else 0.0
    for season in range(2):
        periods.absorb(ahead.usual[i, season], count[PERIOD + season], ahead.began[i, season], t, value)
    if n % periods.SEARCH_EVERY == 0:
        first, second = count[PERIOD], count[PERIOD + 1]
        periods.find(count, ahead.differences[i])
        for season in range(2):
            if count[PERIOD + season] != (first if season == 0 else second):
                ahead.began[i, season] = max(0, n - RING + 1)
                periods.rebuild(
                    ahead.ring[i], ahead.usual[i, season], count[PERIOD + season], ahead.began[i, season], n
                )


@kernel_only
def _wait(ahead: Ahead, i: int, t: int, said: Float64) -> None:
    """Let a prediction of each rung whose turn it is wait for its value."""
    below = 0
    for g in range(RUNGS.shape[0]):
        every, span = EVERY[g], RUNGS[g] - below
        s = below + 1 + (t // every) % span
        below = RUNGS[g]
        if t % every != 0:
            continue
        slot = (t // every) % SLOTS
        experts.predict(ahead, i, s, said)
        kept, judged = ahead.waiting[i, g, slot], ahead.judged[i]
        used = combination.usable(judged, g)
        mixed = combination.mix(ahead.regret[i, used], ahead.spread[i, used], said, False)
        ahead.due[i, g, slot] = t + s
        for k in range(EXPERTS):
            kept[k] = said[k]
        kept[EXPERTS] = mixed
        kept[EXPERTS + 1] = said[PERSISTENCE] + combination.gate(judged, used) * (mixed - said[PERSISTENCE])
        kept[EXPERTS + 2], kept[EXPERTS + 3] = _changes(ahead, i), judged[g, ERROR]
