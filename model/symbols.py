"""Streams of symbols: a softmax over Vᵀφ, learnt by its gradient; losses in bits."""

import numpy as np

from model.elementary import exp, log
from model.jit import compiled
from model.kernels import BETA1, BETA2, EPSILON
from model.types import Float64

BITS = 1.4426950408889634
"""1/ln 2."""


@compiled
def softmax(logits: Float64) -> None:
    """p_a = exp(l_a)/Σ exp(l_b), in place; the largest logit is taken off first."""
    top = logits.max()
    total = 0.0
    for i in range(logits.shape[0]):
        logits[i] = exp(logits[i] - top)
        total += logits[i]
    for i in range(logits.shape[0]):
        logits[i] /= total


@compiled
def surprise(probability: float) -> float:
    """-log₂ p, at most 1000 bits."""
    return min(1000.0, -BITS * log(probability)) if probability > 0.0 else 1000.0


@compiled
def frequency(counts: Float64, symbol: int) -> float:
    """(c_s + 1)/(Σ c + A): the symbol's share so far, the baseline of a stream of symbols."""
    return float((counts[symbol] + 1.0) / (counts.sum() + counts.shape[0]))


@compiled
def learn(
    V: Float64, M1: Float64, M2: Float64, phi: Float64, probabilities: Float64, symbol: int, delta: Float64, eta: float,
    scale2: float,
) -> None:  # fmt: skip
    """δ = V_h (p - 1_y) with V as it predicted, then a step of Adam on the gradient φ ⊗ (p - 1_y).

    Shapes V, M1, M2 (p, A); phi (p,); probabilities (A,); delta (n,). η and scale2 carry the bias corrections.
    """
    units = delta.shape[0]
    for j in range(phi.shape[0]):
        for a in range(probabilities.shape[0]):
            error = probabilities[a] - (1.0 if a == symbol else 0.0)
            if j < units:
                delta[j] += V[j, a] * error
            g = phi[j] * error
            M1[j, a] = BETA1 * M1[j, a] + (1.0 - BETA1) * g
            M2[j, a] = BETA2 * M2[j, a] + (1.0 - BETA2) * (g * g)
            V[j, a] -= eta * M1[j, a] / (np.sqrt(scale2 * M2[j, a]) + EPSILON)
