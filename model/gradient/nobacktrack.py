"""Rank-one tangents v_r ⊗ w_r, r = 1…R, unbiased estimates of ∂h/∂W: NoBackTrack and UORO.

Y. Ollivier, C. Tallec, G. Charpiat, arXiv:1507.07680, Euclidean version. With A = ∂h_t/∂h_{t-1}, F_i the
derivative of unit i through this step alone (D_i·z in its own rows), ε_i independent random signs:

    f  = A v                        ρ0 = √(|w|/|f|)      ρ_i = √|F_i|
    g  = (δ·f) w + Σ_i δ_i F_i      the gradient: the newest step's own part is exact
    v' = ρ0 f + Σ_i ε_i ρ_i e_i
    w' = w/ρ0 + Σ_i ε_i F_i/ρ_i

E[v' ⊗ w'] = A (v ⊗ w) + Σ_i e_i ⊗ F_i for any positive ρ that does not depend on the signs. UORO (C. Tallec,
Y. Ollivier, arXiv:1702.05043) takes one ρ = √(|Σ ε_i F_i|/√n) for all units. R tangents have independent signs, and
their gradients are averaged. This file computes the vectors; the pass over W and w is in `kernels`.
"""

import math

from ..jit import compiled
from ..types import Array, Float64

CLAMP = 1e7
"""ρ0 is kept in [1/CLAMP, CLAMP]."""
NORM_LIMIT = 1e6
"""Bound on |v||w|: a network that has left the contracting regime has no useful tangent."""


@compiled
def propagate(f: Float64, W_v: Array, v: Array, c: Array, D: Array) -> None:
    """f = A v = c·v + Σ_g D_g·(Wᵀv)_g. Shapes f, v, c (n,); W_v, D (K,)."""
    n = v.shape[0]
    for i in range(n):
        total = c[i] * v[i]
        for row in range(i, D.shape[0], n):
            total += D[row] * W_v[row]
        f[i] = total


@compiled
def balance(f: Float64, w_norm: float) -> float:
    """ρ0 = √(|w|/|f|), which gives both factors of the tangent equal length; 1 where either is 0.

    For |w|² its expectation over the signs given the past is used, |w'|² = |w|²/ρ0² + Σ_i |F_i|²/ρ_i²: it needs no
    pass over w, is known before the signs are, and any positive ρ0 leaves the estimate unbiased.
    """
    f_norm = norm(f)
    if f_norm == 0.0 or w_norm == 0.0:
        return 1.0
    return min(CLAMP, max(1.0 / CLAMP, math.sqrt(w_norm / f_norm)))


@compiled
def immediate_norms(D: Array, z: Array, ranges: tuple[int, ...], out: Float64) -> None:
    """|F_i| = √(Σ_g D_gi²|z_g|²) of each unit, z_g being what gate g reads. Shapes D (K,), z (k,), out (n,)."""
    n = out.shape[0]
    state, rest = 0.0, 0.0
    for j in range(z.shape[0]):
        if j < n:
            state += float(z[j]) * z[j]
        else:
            rest += float(z[j]) * z[j]
    for i in range(n):
        total = 0.0
        for row in range(i, D.shape[0], n):
            read = (state if ranges[0] <= row < ranges[1] else 0.0) + (rest if ranges[2] <= row < ranges[3] else 0.0)
            total += float(D[row]) * D[row] * read
        out[i] = math.sqrt(total)


@compiled
def uoro_scale(sizes: Float64) -> None:
    """UORO: replace the |F_i| (n,) of every unit by their root mean square (arXiv:1702.05043)."""
    mean = norm(sizes) / math.sqrt(sizes.shape[0])
    for i in range(sizes.shape[0]):
        sizes[i] = mean


@compiled
def inject(v: Array, e: Array, f: Float64, D: Array, sizes: Float64, signs: Float64, rho0: float) -> None:
    """v' = ρ0 f + ε√size, and e with w' = w/ρ0 + e ⊗ z, e_i = ε_i D_i/√size_i.

    A unit of size 0 injects nothing. Shapes v, f, sizes, signs (n,); e, D (K,).
    """
    n = v.shape[0]
    for i in range(n):
        rho = math.sqrt(sizes[i])
        v[i] = rho0 * f[i] + signs[i] * rho
        for row in range(i, D.shape[0], n):
            e[row] = signs[i] * D[row] / rho if rho > 0.0 else 0.0


@compiled
def norm(x: Array) -> float:
    """Euclidean norm, summed in order."""
    total = 0.0
    for i in range(x.shape[0]):
        total += float(x[i]) * float(x[i])
    return math.sqrt(total)
