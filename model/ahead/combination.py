"""The mixture of the experts of each rung, and how far it is believed.

The weights are those of ML-Poly (`experts.mixture`; P. Gaillard, G. Stoltz, T. van Erven, arXiv:1402.2044), with
errors in units of the rung's own mean square error, of which one error counts at most LARGEST times. A rung far ahead
is judged seldom; a small second-order term keeps the mixture from overshooting while judgements are few.

Over many steps even a walk without memory seems to have trends. So the mixture departs from the last value only as far
as it has shown skill: with d what came and m what was predicted, as changes from the last value, and w = 1/(v + d² +
m²), the gate β is 1 where Σwd·m is clearly positive, counting forecasts that overlap once, or where the mixture has a
clearly smaller error than the last value; else it falls to 0. A mixture that does worse than the last value keeps at
most the share of m that would have been best. The prediction is y_o + β m.
"""

import math

from ..jit import kernel_only
from ..types import Float64
from .ladder import (
    EVERY,
    EXPERTS,
    HEAD_1,
    HEAD_2,
    JUDGED,
    LOSS,
    LOSS_OF_LAST,
    LOSS_OF_MIXTURE,
    PERSISTENCE,
    PRODUCT,
    PRODUCT_SQUARE,
    RUNGS,
)  # fmt: skip

FORGETTING = 0.9999
"""λ of the weights, a judged prediction."""
MEMORY = 300
"""Judged predictions that the mean square error averages over."""
FALLING = 60
"""The same while errors are smaller than the mean, so that one enormous error is soon forgotten."""
LARGEST = 9.0
"""An error's square counts at most this many mean squares in the weights."""
CURVATURE = 0.05
"""Share of (mixture - expert)² taken off the regret: 0 competes with all convex combinations, 1 with single experts."""
LARGEST_REGRET = 25.0
"""Regret of one prediction, at most."""
GATE_FORGETTING = 0.9995
"""λ of the sums behind the gate."""
NOTHING, CERTAIN = 2.0, 3.5
"""Standard deviations of Σwd·m at which the gate is closed, and open."""
OVERLAP = 1.5
"""How much more than independent ones overlapping forecasts err together."""
LITTLE, MUCH = 0.9, 0.5
"""Shares of the last value's loss at which the gate is closed, and open."""
HARM = 1.05
"""Share of the last value's loss from which on β is at most the least squares share Σwd·m/Σwm²."""
NO_SPREAD = 1e-30


@kernel_only
def usable(judged: Float64, g: int) -> int:
    """The rung at or below `g` that has been judged; judged (R, 7)."""
    while g > 0 and judged[g, JUDGED] < 1.0:
        g -= 1
    return g


@kernel_only
def mix(regret: Float64, spread: Float64, said: Float64, beyond: bool) -> float:
    """The mixture of the predictions (E,) under weights (E,): the mean of two simple ones while there are none.

    The heads say nothing of steps `beyond` the ladder.
    """
    total, weights = 0.0, 0.0
    for k in range(EXPERTS):
        if beyond and k in (HEAD_1, HEAD_2):
            continue
        weight = max(0.0, regret[k]) / (NO_SPREAD + spread[k])
        total += weight * said[k]
        weights += weight
    if weights > 0.0:
        return float(total / weights)
    return float(0.5 * (said[PERSISTENCE] + said[HEAD_1]))


@kernel_only
def gate(judged: Float64, g: int) -> float:
    """β in [0, 1] of a rung; judged (R, 7). 1 for the next step, where `experts.autoregression` judges the mixture."""
    if g == 0 or judged[g, PRODUCT_SQUARE] <= 0.0 or judged[g, LOSS_OF_LAST] <= 0.0:
        return 1.0
    together = 1.0 + OVERLAP * (RUNGS[g] - 1) / EVERY[g]
    deviations = judged[g, PRODUCT] / math.sqrt(judged[g, PRODUCT_SQUARE] * together)
    trend = (deviations - NOTHING) / (CERTAIN - NOTHING)
    share = judged[g, LOSS_OF_MIXTURE] / judged[g, LOSS_OF_LAST]
    opened = min(1.0, max(0.0, trend, (LITTLE - share) / (LITTLE - MUCH)))
    predicted_square = judged[g, LOSS_OF_MIXTURE] - judged[g, LOSS_OF_LAST] + 2.0 * judged[g, PRODUCT]
    if share <= LITTLE or predicted_square <= 0.0:
        return float(opened)
    best = max(0.0, judged[g, PRODUCT] / predicted_square)
    harm = min(1.0, (share - LITTLE) / (HARM - LITTLE))
    return float(opened + harm * (min(opened, best) - opened))


@kernel_only
def judge(regret: Float64, spread: Float64, judged: Float64, said: Float64, mixed: float, value: float) -> None:
    """Update weights (E,) and statistics (7,) of a rung with a value of which the experts said `said` (E,)."""
    error, change, predicted = value - mixed, value - said[PERSISTENCE], mixed - said[PERSISTENCE]
    size = judged[LOSS] + change * change + predicted * predicted
    if size > 0.0:
        product = change * predicted / size
        judged[PRODUCT] = GATE_FORGETTING * judged[PRODUCT] + product
        judged[PRODUCT_SQUARE] = GATE_FORGETTING * judged[PRODUCT_SQUARE] + product * product
        judged[LOSS_OF_LAST] = GATE_FORGETTING * judged[LOSS_OF_LAST] + change * change / size
        judged[LOSS_OF_MIXTURE] = GATE_FORGETTING * judged[LOSS_OF_MIXTURE] + error * error / size
    judged[JUDGED] += 1.0
    memory = MEMORY if error * error > judged[LOSS] else FALLING
    judged[LOSS] += (error * error - judged[LOSS]) / min(judged[JUDGED], memory)
    unit = max(judged[LOSS], error * error / LARGEST)
    if unit <= 0.0:
        return
    slope = -2.0 * error / unit
    for k in range(EXPERTS):
        away = mixed - said[k]
        r = min(LARGEST_REGRET, max(-LARGEST_REGRET, slope * away - CURVATURE * away * away / unit))
        regret[k] = FORGETTING * regret[k] + r
        spread[k] = FORGETTING * spread[k] + r * r
