"""What known inputs do to a target: u = y - Σ b_j x_j is what the forecaster sees, and b·x of a step is added back.

The changes of the target are regressed on the changes of the inputs, by recursive least squares with one gain for all
targets. So neither a level nor a trend is taken for an effect, and an input that is seldom 1 has its effect after it
came once. The effects count only while they make the squared changes clearly smaller.
"""

import math

from ..jit import kernel_only
from ..state import Ahead
from ..types import Float64
from .ladder import GAP, VALUES

FORGETTING = 0.9995
"""λ of the least squares and of the losses."""
PRIOR = 100.0
"""Prior variance of an effect, in units of 1/(the input's first change)²."""
ENOUGH = 3
"""Events with a change of an input, before effects count."""
HELPS, HARMS = 0.95, 1.0
"""Shares of the squared changes below which the effects begin to count, and above which they no longer do."""


@kernel_only
def effect(ahead: Ahead, i: int, x: Float64) -> float:
    """Σ b_j x_j for target `i`; a missing input is taken to be what it was. Shape x (inputs,)."""
    if ahead.trusted[i, 0] <= 0.0:
        return 0.0
    total = 0.0
    for j in range(x.shape[0]):
        value = ahead.inputs[j] if math.isnan(x[j]) else x[j]
        total += ahead.effects[i, j] * value
    return total


@kernel_only
def learn(ahead: Ahead, y: Float64, x: Float64) -> None:
    """Learn the effects from an event; y (q,), x (inputs,), NaN = missing."""
    size = x.shape[0]
    if size == 0:
        return
    moved = False
    step, gain = ahead.input_step, ahead.input_gain
    for j in range(size):
        known = not math.isnan(x[j])
        step[j] = x[j] - ahead.inputs[j] if known and ahead.input_seen[j] > 0 else 0.0
        if step[j] != 0.0:
            moved = True
            if ahead.P_inputs[j, j] == 0.0:
                ahead.P_inputs[j, j] = PRIOR / (step[j] * step[j])
        if known:
            ahead.inputs[j] = x[j]
            ahead.input_seen[j] += 1
    if moved:
        _gain(ahead.P_inputs, step, gain)
    for i in range(y.shape[0]):
        if math.isnan(y[i]):
            continue
        if moved and ahead.counts[i, VALUES] > 0 and ahead.counts[i, GAP] == 0:
            change, predicted = y[i] - ahead.raw[i], 0.0
            for j in range(size):
                predicted += ahead.effects[i, j] * step[j]
            trusted, error = ahead.trusted[i], change - predicted
            for j in range(size):
                ahead.effects[i, j] += gain[j] * error
            trusted[1] += 1.0
            trusted[2] = FORGETTING * trusted[2] + error * error
            trusted[3] = FORGETTING * trusted[3] + change * change
            if trusted[1] >= ENOUGH:
                share = HELPS if trusted[0] <= 0.0 else HARMS
                trusted[0] = 1.0 if trusted[2] < share * trusted[3] else 0.0
        ahead.raw[i] = y[i]


@kernel_only
def _gain(P: Float64, x: Float64, kappa: Float64) -> None:
    """κ = Px/(λ + xᵀPx) into `kappa`, P ← (P - κ(Px)ᵀ)/λ where it has learnt; shapes P (s, s), the others (s,)."""
    s, size = x.shape[0], FORGETTING
    for j in range(s):
        kappa[j] = 0.0
        for k in range(s):
            kappa[j] += P[j, k] * x[k]
        size += x[j] * kappa[j]
    for j in range(s):
        for k in range(s):
            P[j, k] -= kappa[j] * kappa[k] / size
    for j in range(s):
        kappa[j] /= size
