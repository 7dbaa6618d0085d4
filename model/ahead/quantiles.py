"""Intervals of each rung: quantiles of its errors, tracked online, in units of how much it errs lately.

An error in units of s, the scale at the time of the forecast, moves each quantile against its pinball loss (R. Koenker,
G. Bassett, *Regression quantiles*, 1978; the step is that of I. Gibbs, E. Candès, arXiv:2106.00170):

    q_τ ← q_τ + η·a·(τ - 1{e/s < q_τ})       a: mean absolute e/s

Two scales compete by that loss: the rung's own mean absolute error, and the newest changes of the series.
"""

import math

from ..jit import kernel_only
from ..types import Float64
from .ladder import ERROR, JUDGED, LEVELS, RUNGS

RATE = 0.02
"""Least step η, in units of the mean absolute error."""
SIZE_MEMORY = 200
"""Errors that `a` averages over."""
LOSS_MEMORY = 300
"""Errors that the pinball losses of the scales average over."""
ERROR_MEMORY, FAR_MEMORY = 20.0, 60.0
"""Errors that the own scale of a near and of a far rung averages over: far forecasts overlap and err together."""
GROWTH_RUNGS = 4
"""Rungs over which the growth of errors is taken."""
NORMAL = 2.5066 / 2.0
"""Mean absolute errors that are one standard deviation of a normal error."""
START = (-2.326, -1.96, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.96, 2.326)
"""The LEVELS' quantiles of a standard normal error, with which each rung begins."""


@kernel_only
def learn(quantiles: Float64, sizes: Float64, judged: Float64, error: float, unit: float, scale: int) -> None:
    """Move the quantiles (K,) of one scale; sizes (2, 2): mean |e/s| and mean pinball loss of both; judged (7,)."""
    if unit <= 0.0:
        return
    z, count = error / unit, judged[JUDGED]
    sizes[scale, 0] += (abs(z) - sizes[scale, 0]) / min(count, SIZE_MEMORY)
    step = (RATE + 1.0 / (count + 5.0)) * 2.0 * sizes[scale, 0]
    loss = 0.0
    for k in range(LEVELS.shape[0]):
        below = z - quantiles[k]
        loss += (LEVELS[k] if below > 0.0 else LEVELS[k] - 1.0) * below * unit
        quantiles[k] += step * (LEVELS[k] - (1.0 if below < 0.0 else 0.0))
    sizes[scale, 1] += (loss - sizes[scale, 1]) / min(count, LOSS_MEMORY)


@kernel_only
def at(quantiles: Float64, level: float) -> float:
    """The quantile of any level between the tracked ones, by the line between its neighbours; quantiles (K,)."""
    last = LEVELS.shape[0] - 1
    if level <= LEVELS[0]:
        return float(quantiles[0])
    if level >= LEVELS[last]:
        return float(quantiles[last])
    k = 1
    while LEVELS[k] < level:
        k += 1
    share = (level - LEVELS[k - 1]) / (LEVELS[k] - LEVELS[k - 1])
    return float(quantiles[k - 1] + share * (quantiles[k] - quantiles[k - 1]))


@kernel_only
def growth(judged: Float64, s: int, g: int) -> float:
    """How much wider the errors of step `s` are than those of rung `g`, beyond which it lies; judged (R, 7).

    As √s for a walk, and not at all for noise, by how the errors grew over the last rungs.
    """
    if s <= RUNGS[g]:
        return 1.0
    near, walk = max(0, g - GROWTH_RUNGS), math.sqrt(s / RUNGS[g])
    if near == g or judged[near, ERROR] <= 0.0:
        return walk
    share = (judged[g, ERROR] / judged[near, ERROR] - 1.0) / (math.sqrt(RUNGS[g] / RUNGS[near]) - 1.0)
    return float(1.0 + min(1.0, max(0.0, share)) * (walk - 1.0))
