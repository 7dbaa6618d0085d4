"""Recurrent cells: pointwise maps from the old state and the pre-activations to the new state, and their derivatives.

A cell gives its number of gates G, the columns that its hidden and its other rows feed, and one compiled function; no
other part of the package depends on the cell. Notation: a (G·n,) pre-activations, gate after gate; c_i = ∂h_i/∂h_i'
without going through a; D_gi = ∂h_i/∂a_gi. The old state is not written to: all derivatives are taken at it.
"""

from ..jit import compiled
from ..numerics.elementary import exp, log, logistic, tanh
from ..types import Array, Float64

LEAKY, GRU = 0, 1


@compiled
def columns(cell: int, n: int) -> tuple[int, int, int, int]:
    """(lo, hi) of the columns that the hidden rows feed, (lo, hi) of those that the others feed; the rest of W is 0.

    The gates of `gru` are in the order a_h, a_z, a_r, a_x, so that both are one range: a_h reads the state alone, a_x
    everything but the state.
    """
    if cell == GRU:
        return 0, 3 * n, n, 4 * n
    return 0, n, 0, n


@compiled
def advance(cell: int, h: Array, a: Array, rates: Float64, new: Array, c: Array, D: Array) -> None:
    """The new state (n,), c (n,) and D (G·n,) of the given cell."""
    if cell == GRU:
        advance_gru(h, a, new, c, D)
    else:
        advance_leaky(h, a, rates, new, c, D)


@compiled
def advance_leaky(h: Array, a: Array, rates: Float64, new: Array, c: Array, D: Array) -> None:
    """h' = (1-α) h + α tanh(a), c = 1-α, D = α(1-tanh² a)."""
    for i in range(h.shape[0]):
        y = tanh(a[i])
        new[i] = (1.0 - rates[i]) * h[i] + rates[i] * y
        c[i] = 1.0 - rates[i]
        D[i] = rates[i] * (1.0 - y * y)


@compiled
def advance_gru(h: Array, a: Array, new: Array, c: Array, D: Array) -> None:
    """z = σ(a_z), r = σ(a_r), ĥ = tanh(a_x + r·a_h), h' = z·h + (1-z)·ĥ; with e = (1-z)(1-ĥ²):

    c = z, D_z = (h-ĥ)z(1-z), D_r = e·a_h·r(1-r), D_x = e, D_h = e·r. The reset gate comes after the product, so that
    every parameter belongs to one unit (K. Cho et al., arXiv:1406.1078, in the variant of most libraries).
    """
    n = h.shape[0]
    for i in range(n):
        z, r = logistic(a[n + i]), logistic(a[2 * n + i])
        candidate = tanh(a[3 * n + i] + r * a[i])
        e = (1.0 - z) * (1.0 - candidate * candidate)
        new[i] = z * h[i] + (1.0 - z) * candidate
        c[i] = z
        D[i] = e * r
        D[n + i] = (h[i] - candidate) * z * (1.0 - z)
        D[2 * n + i] = e * a[i] * r * (1.0 - r)
        D[3 * n + i] = e


@compiled
def spread_rates(rates: Float64, shortest: float, longest: float) -> None:
    """α_i = 1/τ_i, τ log-uniform from `shortest` to `longest` events."""
    n = rates.shape[0]
    for i in range(n):
        share = i / (n - 1) if n > 1 else 0.0
        rates[i] = min(1.0, 1.0 / (shortest * exp(share * log(longest / shortest))))


@compiled
def set_biases(cell: int, W: Array, rates: Float64) -> None:
    """Start each unit of a gated cell with its time constant: σ(bias of z) = 1 - 1/τ, at least σ(-2).

    (The chrono initialisation of C. Tallec, Y. Ollivier, arXiv:1804.11188.) Columns that a row does not feed become 0.
    """
    n, (k, K) = rates.shape[0], W.shape
    lo, hi, other_lo, other_hi = columns(cell, n)
    for j in range(k):
        first, last = (lo, hi) if j < n else (other_lo, other_hi)
        for i in range(K):
            if i < first or i >= last:
                W[j, i] = 0.0
    if cell == GRU:
        for i in range(n):
            W[k - 1, n + i] = max(-2.0, log(max(1.0 / rates[i] - 1.0, 1e-3)))
