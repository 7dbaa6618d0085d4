"""Recurrent cells: pointwise maps from the old state and the pre-activations to the new state, and their derivatives.

A cell gives its number of gates G and one compiled function; the rest of the package knows no cell. Notation as in
ALGORITHM 1: a (G·n,) pre-activations, gate after gate; c_i = ∂h_i/∂h_i' without going through a; D_gi = ∂h_i/∂a_gi.
"""


from model.elementary import exp, log, tanh
from model.jit import compiled
from model.types import Array, Float64

GATES = {"leaky": 1}


@compiled
def advance_leaky(h: Array, a: Array, rates: Float64, new: Array, c: Array, D: Array) -> None:
    """h' = (1-α) h + α tanh(a), c = 1-α, D = α(1-tanh² a). Shapes (n,), D (G·n,) with G = 1.

    h is written nowhere: all derivatives are taken at the old state.
    """
    for i in range(h.shape[0]):
        y = tanh(a[i])
        new[i] = (1.0 - rates[i]) * h[i] + rates[i] * y
        c[i] = 1.0 - rates[i]
        D[i] = rates[i] * (1.0 - y * y)


@compiled
def spread_rates(rates: Float64, shortest: float, longest: float) -> None:
    """α_i = 1/τ_i, τ log-uniform from `shortest` to `longest` events."""
    n = rates.shape[0]
    for i in range(n):
        share = i / (n - 1) if n > 1 else 0.0
        rates[i] = min(1.0, 1.0 / (shortest * exp(share * log(longest / shortest))))
