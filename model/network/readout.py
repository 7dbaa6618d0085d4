"""The linear readout ŷ = Vᵀφ of φ = [h, u, 1], learnt by recursive least squares or by its gradient.

Recursive least squares is the Kalman filter of a linear readout: exact, O(p²), so still linear in the recurrent
parameters. The gradient is that of the squared error, or of a softmax's surprise: φ ⊗ (ŷ - y) for both, O(p), with the
steps of Adam. All in float64.
"""

import math

import numpy as np

from ..jit import compiled
from ..numerics.kernels import BETA1, BETA2, EPSILON
from ..types import Float64

PRIOR = 0.1
"""Initial P = PRIOR·I: a ridge penalty of 1/PRIOR on V."""
LIMIT = 100.0 * PRIOR
"""A feature whose variance reaches this has not been excited for long; its variance is reset to PRIOR."""


@compiled
def predict(V: Float64, phi: Float64, out: Float64) -> None:
    """ŷ = Vᵀφ. Shapes V (p, q), phi (p,), out (q,)."""
    out[:] = 0.0
    for i in range(phi.shape[0]):
        for target in range(out.shape[0]):
            out[target] += V[i, target] * phi[i]


@compiled
def rls_gain(P: Float64, phi: Float64, kappa: Float64, forgetting: float) -> None:
    """Update the covariance P for one observation and write the gain κ = Pφ/(λ + φᵀPφ).

    P ← (P - Pφ(Pφ)ᵀ/(λ + φᵀPφ))/λ. The products s_i·s_j commute exactly, so P stays symmetric to the last bit.
    Forgetting lets P grow where nothing is observed: a feature whose variance reaches LIMIT loses its correlations and
    starts again at PRIOR, which leaves P positive and V alone. Shapes P (p, p), phi and kappa (p,).
    """
    size = phi.shape[0]
    kappa[:] = 0.0
    for i in range(size):
        for j in range(size):
            kappa[j] += P[i, j] * phi[i]
    excitation = 0.0
    for i in range(size):
        excitation += kappa[i] * phi[i]
    scale = 1.0 / (forgetting + excitation)
    growth = 1.0 / forgetting
    for i in range(size):
        for j in range(size):
            P[i, j] = (P[i, j] - (kappa[i] * kappa[j]) * scale) * growth
    for i in range(size):
        kappa[i] *= scale
        if P[i, i] > LIMIT:
            for j in range(size):
                P[i, j] = 0.0
                P[j, i] = 0.0
            P[i, i] = PRIOR


@compiled
def value(V: Float64, phi: Float64, target: int) -> float:
    """ŷ of one target; V (p, q), phi (p,)."""
    total = 0.0
    for i in range(phi.shape[0]):
        total += V[i, target] * phi[i]
    return total


@compiled
def rls_step(V: Float64, kappa: Float64, target: int, error: float) -> None:
    """V ← V - κ(ŷ - y) for one target, with the gain of `rls_gain`; V (p, q), kappa (p,), error = ŷ - y."""
    for i in range(kappa.shape[0]):
        V[i, target] -= kappa[i] * error


@compiled
def error_to_state(V: Float64, errors: Float64, delta: Float64) -> None:
    """δ = V_h e: the error of the outputs that have a target, carried to the state. Shapes V (p, o), errors (o,),
    delta (n,)."""
    for unit in range(delta.shape[0]):
        total = 0.0
        for i in range(errors.shape[0]):
            if not math.isnan(errors[i]):
                total += V[unit, i] * errors[i]
        delta[unit] = total


@compiled
def adam_step(V: Float64, M1: Float64, M2: Float64, powers: Float64, phi: Float64, errors: Float64, eta: float) -> None:
    """A step of Adam (`kernels.step_row`) on the gradient φ ⊗ e; an output whose error is NaN stays as it is.

    Shapes V, M1, M2 (p, o); powers (2,), β₁ᵗ and β₂ᵗ; phi (p,); errors (o,).
    """
    powers[0] *= BETA1
    powers[1] *= BETA2
    eta /= 1.0 - powers[0]
    scale2 = 1.0 / (1.0 - powers[1])
    for i in range(errors.shape[0]):
        if math.isnan(errors[i]):
            continue
        for j in range(phi.shape[0]):
            g = phi[j] * errors[i]
            M1[j, i] = BETA1 * M1[j, i] + (1.0 - BETA1) * g
            M2[j, i] = BETA2 * M2[j, i] + (1.0 - BETA2) * (g * g)
            V[j, i] -= eta * M1[j, i] / (np.sqrt(scale2 * M2[j, i]) + EPSILON)
