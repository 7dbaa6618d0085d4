"""Own-unit traces, kept exactly, and NoBackTrack on the rest.

Split ∂h/∂W = S + R. S_i is the trace of unit i's own loop, S_i' = A_ii S_i + F_i: one number a parameter, no noise
(J. Menick et al., arXiv:2006.07232, call it SnAp-1). R is what goes through other units; it starts as
Σ_j E_j ⊗ S_j with E = A - diag(A), and NoBackTrack carries it with x_j = ε_j ρ_j, ρ_j = √(|S_j|/|E_j|):

    g_j  = δ_j F_j + d_j S_j + λ (d·v) w_j        d = Aᵀδ, so that the newest step, other units included, is exact
    v'   = ρ0 A v + E x
    w'_j = w_j/ρ0 + ε_j S_j/ρ_j                   then S is advanced

λ = 1 is unbiased; λ = 0 is biased and has no noise; between them λ trades one for the other.
"""

import math

from ..jit import compiled
from ..numerics.kernels import dot
from ..types import Array, Float64
from .nobacktrack import CLAMP

MEMORY = 1000
"""Events over which `residual_weight` averages."""


@compiled
def self_influence(own: Array, W: Array, c: Array, D: Array) -> None:
    """A_ii = c_i + Σ_g D_gi W_i,gi of each column's unit. Shapes own, D (K,); W (k, K); c (n,)."""
    n = c.shape[0]
    for i in range(n):
        total = c[i]
        for row in range(i, D.shape[0], n):
            total += D[row] * W[i, row]
        for row in range(i, D.shape[0], n):
            own[row] = total


@compiled
def backpropagate(d: Array, W: Array, b: Array, c: Array, delta: Float64, hi: int) -> None:
    """d_j = (Aᵀδ)_j = c_j δ_j + W_j·b with b = δ·D, in every column of unit j. Shapes d, b (K,); W (k, K); c (n,)."""
    n = c.shape[0]
    for j in range(n):
        value = c[j] * delta[j] + dot(W[j, :hi], b[:hi])
        for row in range(j, d.shape[0], n):
            d[row] = value


@compiled
def balance(rho: Float64, sizes: Float64, S: Array, W: Array, D: Array, unit: int) -> None:
    """ρ = √(|S|/|E|) and |S| of one unit anew, from the arrays themselves.

    Any positive ρ that does not depend on the coming signs leaves the estimate unbiased, so one unit an event is
    enough, and the cost stays linear; between its turns a unit's |S| is bounded by `bound_norms`.
    Shapes rho, sizes (n,); S, W (k, K); D (K,).
    """
    n = rho.shape[0]
    trace, influence = 0.0, 0.0
    for row in range(unit, D.shape[0], n):
        for j in range(S.shape[0]):
            trace += float(S[j, row]) * S[j, row]
    for i in range(n):
        if i != unit:
            entry = 0.0
            for row in range(i, D.shape[0], n):
                entry += float(D[row]) * W[unit, row]
            influence += entry * entry
    sizes[unit] = math.sqrt(trace)
    if trace > 0.0 and influence > 0.0:
        rho[unit] = min(CLAMP, max(1.0 / CLAMP, math.sqrt(math.sqrt(trace / influence))))


@compiled
def bound_norms(sizes: Float64, own: Array, immediate: Float64) -> None:
    """|S_i'| <= |A_ii||S_i| + |F_i|: keeps `sizes` above every trace, so that none grows beyond bounds unseen."""
    for i in range(sizes.shape[0]):
        sizes[i] = abs(own[i]) * sizes[i] + immediate[i]


@compiled
def inject(v: Array, e: Array, f: Float64, W_x: Array, x: Array, own: Array, c: Array, D: Array, rho0: float) -> None:
    """v' = ρ0 f + E x with E x = A x - diag(A) x, and e = ε/ρ = 1/x in every column of a unit.

    x = ερ was drawn with the event before, when Wᵀx could be had in the same pass; where it is 0 nothing is injected.
    Shapes v, f, x, c (n,); e, W_x, own, D (K,).
    """
    n = v.shape[0]
    for i in range(n):
        crossing = (c[i] - own[i]) * x[i]
        for row in range(i, D.shape[0], n):
            crossing += D[row] * W_x[row]
            e[row] = 1.0 / x[i] if x[i] != 0.0 else 0.0
        v[i] = rho0 * f[i] + crossing


@compiled
def draw_signs(x: Array, rho: Float64, signs: Float64) -> None:
    """x = ερ of the next event; shapes (n,)."""
    for i in range(x.shape[0]):
        x[i] = signs[i] * rho[i]


@compiled
def residual_weight(statistics: Float64, row: Array, delta_f: Float64, exact: float) -> float:
    """λ = max(0, 1 - |e|/|R|): what is left out of the residual R is never longer than e, the part that is exact.

    Where |R| <= |e|, e alone already descends, as e·(e + R) >= |e|² - |e||R|, and any λ > 0 would only add noise: the
    noise of a tangent lasts as long as the tangent, so that averaging over events does little against it. Where R is
    longer than e, e may point the wrong way, and λ goes to 1; from |R| >= 2|e| on, (e + λR)·(e + R) >= 0 whatever the
    angle. With g_r = (d·v_r) w_r from R >= 2 independent tangents, the mean of g_r·g_s over r ≠ s estimates |R|²
    without bias. It and |e|² = `exact` are averaged in `statistics` (3,), with the number of events, over one row of
    the parameters an event, each in its turn. Shapes row (R, K), delta_f (R,) = d·v_r.
    """
    R = delta_f.shape[0]
    cross = 0.0
    for r in range(R):
        for s in range(r):
            cross += delta_f[r] * delta_f[s] * dot(row[r], row[s])
    statistics[2] += 1.0
    weight = 1.0 / min(statistics[2], MEMORY)
    statistics[0] += weight * (cross * 2.0 / (R * (R - 1)) - statistics[0])
    statistics[1] += weight * (exact - statistics[1])
    return 1.0 - math.sqrt(statistics[1] / statistics[0]) if statistics[0] > statistics[1] else 0.0
