"""Influence balancing: one parameter whose short-term effect has the wrong sign (arXiv:1702.05043, section 5).

    s' = A s + θ·(1, …, 1, -1, …, -1)     A: ½ on the diagonal and on the first superdiagonal;  ten +1, thirteen -1
    ℓ  = ½ (s'_0 - 1)²                    θ starts at ½, s at 1

θ raises s_0 at once, and lowers it later, when what it did to the thirteen far units has come through: in the long run
s_0 = -6θ, so the best θ is -1/6. In the terms of the package the units are h' = ½h + D·a with a_i = D_i·½h_{i+1} + θ
and D = ±1: a network whose one parameter is the bias of every unit, read through z = [1], so that F_i = D_i. Its
tangent is the package's own, with w one number.
"""

import numpy as np

from nobacktrack.model.gradient import nobacktrack as tangent
from nobacktrack.model.gradient import traces
from nobacktrack.model.types import Float64

UNITS, POSITIVE = 23, 10
START, OPTIMUM = 0.5, -1.0 / 6.0
D = np.where(np.arange(UNITS) < POSITIVE, 1.0, -1.0)
C = np.full(UNITS, 0.5)
W = np.diag(0.5 * D[:-1], -1)
"""(n, n), input-major: W[i+1, i] = D_i/2."""
A = np.diag(C) + D[:, None] * W.T
LOST = 1e3
"""|θ| from which a run is given up."""


def influence(steps: int) -> Float64:
    """∂s_{t,0}/∂θ after 1…steps steps from a state taken for granted; the last is nearly -6."""
    G, first = np.zeros(UNITS), np.empty(steps)
    for step in range(steps):
        G = A @ G + D
        first[step] = G[0]
    return first


def least_window(blocks: bool, most: int = 400) -> int:
    """Smallest window of truncated backpropagation with a gradient of the right sign, here and for all longer ones.

    In blocks of T steps the gradient is that of the sum of the block's losses, which look back 1…T steps; else that of
    each loss alone, which looks back T.
    """
    effect = influence(most)
    right = (np.cumsum(effect) if blocks else effect) < 0.0
    return int(np.flatnonzero(~right)[-1]) + 2


def exact(steps: int, rate: float) -> float:
    """θ after learning by exact real-time recurrent learning."""
    theta, s, G = START, np.ones(UNITS), np.zeros(UNITS)
    for _ in range(steps):
        s, G = A @ s + theta * D, A @ G + D
        theta -= rate * (s[0] - 1.0) * G[0]
    return float(theta)


def truncated(steps: int, rate: float, window: int) -> float:
    """θ after learning in blocks of `window` steps, each with its own loss's gradient and one update."""
    theta, s = START, np.ones(UNITS)
    for _ in range(steps // window):
        G, gradient = np.zeros(UNITS), 0.0
        for _ in range(window):
            s, G = A @ s + theta * D, A @ G + D
            gradient += (s[0] - 1.0) * G[0]
        theta -= rate * gradient
        if abs(theta) > LOST:
            break
    return float(theta)


def nobacktrack(steps: int, rate: float, rank: int, seed: int) -> float:
    """θ after learning by `rank` rank-one tangents v ⊗ w, gradients averaged; |F_i| = 1 for every unit."""
    signs = np.random.default_rng((seed, 6)).choice((-1.0, 1.0), (steps, rank, UNITS))
    v, w = np.zeros((rank, UNITS)), np.zeros(rank)
    f, e, sizes = np.zeros(UNITS), np.zeros(UNITS), np.ones(UNITS)
    theta, s = START, np.ones(UNITS)
    for t in range(steps):
        s = A @ s + theta * D
        error = s[0] - 1.0
        gradient = error * D[0]
        for r in range(rank):
            tangent.propagate(f, W.T @ v[r], v[r], C, D)
            gradient += error * f[0] * w[r] / rank
            rho0 = tangent.balance(f, abs(float(w[r])))
            tangent.inject(v[r], e, f, D, sizes, signs[t, r], rho0)
            w[r] = w[r] / rho0 + e.sum()
        theta -= rate * gradient
        if abs(theta) > LOST:
            break
    return float(theta)


def with_traces(steps: int, rate: float, rank: int, seed: int, residual_weight: float | None) -> float:
    """θ after learning by own-unit traces, and `rank` tangents on the rest that count λ; None estimates λ online.

    S_i is one number a unit, the part of ∂h_i/∂θ that stayed in unit i.
    """
    signs = np.random.default_rng((seed, 7)).choice((-1.0, 1.0), (steps, rank, UNITS))
    v, w, x, rho = np.zeros((rank, UNITS)), np.zeros(rank), np.zeros((rank, UNITS)), np.ones(UNITS)
    S, own, d, statistics = np.zeros((1, UNITS)), np.zeros(UNITS), np.zeros(UNITS), np.zeros(3)
    f, e, sizes, delta = np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS)
    theta, s = START, np.ones(UNITS)
    traces.self_influence(own, W, C, D)
    for t in range(steps):
        s = A @ s + theta * D
        delta[0] = s[0] - 1.0
        traces.backpropagate(d, W, delta * D, C, delta, UNITS)
        delta_f = v @ d
        exact = delta[0] * D[0] + float(d @ S[0])
        weight = residual_weight
        if weight is None:
            weight = traces.residual_weight(statistics, w[:, None], delta_f, exact**2)
        gradient = exact + weight * float(delta_f @ w) / rank
        for r in range(rank):
            tangent.propagate(f, W.T @ v[r], v[r], C, D)
            rho0 = tangent.balance(f, abs(float(w[r])))
            traces.inject(v[r], e, f, W.T @ x[r], x[r], own, C, D, rho0)
            w[r] = w[r] / rho0 + float(e @ S[0])
        S[0] = own * S[0] + D
        traces.balance(rho, sizes, S, W, D, t % UNITS)
        for r in range(rank):
            traces.draw_signs(x[r], rho, signs[t, r])
        theta -= rate * gradient
        if abs(theta) > LOST:
            break
    return float(theta)
