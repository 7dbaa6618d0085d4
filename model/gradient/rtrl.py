"""Exact real-time recurrent learning with the full J = ∂h/∂W, for small networks and as the reference of the tests.

R. Williams, D. Zipser, *A learning algorithm for continually running fully recurrent neural networks*, 1989.
O(n²·k·K) an event, O(n·k·K) memory.
"""

import math

from ..jit import compiled
from ..types import Array


@compiled
def advance(J: Array, W: Array, z: Array, c: Array, D: Array, ranges: tuple[int, ...], scratch: Array) -> None:
    """J ← A J + Σ_i e_i ⊗ F_i, A_il = c_i 1{i=l} + Σ_g D_gi W_l,gi. Shapes J, scratch (n, k, K); W (k, K); z (k,).

    `ranges` of `cells.columns`: where a row does not feed a gate there is no parameter, and J stays 0.
    """
    n, k, K = J.shape
    for i in range(n):
        for j in range(k):
            for row in range(K):
                scratch[i, j, row] = c[i] * J[i, j, row]
        for unit in range(n):
            slope = D[i] * W[unit, i]
            for gate in range(i + n, K, n):
                slope += D[gate] * W[unit, gate]
            for j in range(k):
                for row in range(K):
                    scratch[i, j, row] += slope * J[unit, j, row]
        for j in range(k):
            lo, hi = (ranges[0], ranges[1]) if j < n else (ranges[2], ranges[3])
            for row in range(i, K, n):
                if lo <= row < hi:
                    scratch[i, j, row] += D[row] * z[j]
    for i in range(n):
        for j in range(k):
            for row in range(K):
                J[i, j, row] = scratch[i, j, row]


@compiled
def largest(J: Array) -> float:
    """The largest magnitude in J; infinite when one is not a number."""
    found = 0.0
    for value in J.flat:
        if not (abs(value) <= found):
            found = abs(value) if value == value else math.inf
    return float(found)


@compiled
def gradient(J: Array, delta: Array, out: Array) -> None:
    """out = Σ_i δ_i J_i. Shapes J (n, k, K), delta (n,), out (k, K)."""
    for j in range(J.shape[1]):
        for row in range(J.shape[2]):
            out[j, row] = 0.0
    for i in range(J.shape[0]):
        for j in range(J.shape[1]):
            for row in range(J.shape[2]):
                out[j, row] += delta[i] * J[i, j, row]
