"""Streams of symbols: a softmax over Vᵀφ, learnt by its gradient (`readout.adam_step`); losses in bits."""

import math

from ..jit import compiled
from ..numerics.elementary import exp, log
from ..types import Float64

BITS = 1.4426950408889634
"""1/ln 2."""


@compiled
def softmax(logits: Float64) -> None:
    """p_a = exp(l_a)/Σ exp(l_b), in place; the largest logit is taken off first."""
    top, total = -math.inf, 0.0
    for i in range(logits.shape[0]):
        top = max(top, logits[i])
    for i in range(logits.shape[0]):
        logits[i] = exp(logits[i] - top)
        total += logits[i]
    for i in range(logits.shape[0]):
        logits[i] /= total


@compiled
def surprisal(probability: float) -> float:
    """-log₂ p, at most 1000 bits."""
    return min(1000.0, -BITS * log(probability)) if probability > 0.0 else 1000.0


@compiled
def frequency(counts: Float64, symbol: int) -> float:
    """(c_s + 1)/(Σ c + A): the symbol's share so far, the baseline of a stream of symbols."""
    total = float(counts.shape[0])
    for i in range(counts.shape[0]):
        total += counts[i]
    return float((counts[symbol] + 1.0) / total)


@compiled
def softmax_error(probabilities: Float64, symbol: int, errors: Float64) -> None:
    """p - 1_y, the gradient of -ln p_y by the logits; shapes (A,)."""
    for a in range(probabilities.shape[0]):
        errors[a] = probabilities[a] - (1.0 if a == symbol else 0.0)
