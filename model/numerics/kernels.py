"""The pass over the parameters, once an event: all work that grows with their number.

Arrays are input-major: row j of W (k, K) holds what input j feeds to each of the K pre-activations; the tangents w
(k, R, K) and the traces S (k, K) likewise. Every inner loop runs along a row and is elementwise, so it vectorises
without reordering a sum. For every row j and pre-activation i of unit u,

    g      = Σ_r s_r·w_jri + b_i·z_j + d_u·S_ji     the gradient: s = δ·f, b = δ·D, d = Aᵀδ
    W_ji   ← optimiser step with g
    w_jri  ← w_jri/ρ0_r + e_ri·z_j                  NoBackTrack and UORO: e = ε·D/ρ
    w_jri  ← w_jri/ρ0_r + e_ri·S_ji                 with traces: e = ε/ρ, before S moves
    S_ji   ← A_uu·S_ji + D_i·z_j
    p_i    += W_ji·h_j                              Wᵀh, Wᵀv_r and Wᵀx_r of the next event, over the hidden rows
    q_ri   += W_ji·v_rj

`full_pass` does any of it, a row in several loops that find the row in the first-level cache. The passes named after
the estimator and the optimiser that they fuse do the commonest combinations in one loop, which reads and writes each
number once; they give the same bits (tested). Within a loop everything is loaded before anything is stored: rows of
4,096 bytes would otherwise wait for each other in the store buffer. Columns are counted without a sign: an index that
might be negative keeps a loop from being vectorised.
"""

import numpy as np

from ..jit import compiled
from ..types import Array

SGD, ADAM, KALMAN = 0, 1, 2

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8
LEAST_VARIANCE = 1e-3
"""Kalman: a parameter's variance given the bias is at least this share of its variance."""
SMALLEST = 1e-12
"""Kalman: added where a mean square could be 0."""


@compiled
def assign(out: Array, values: Array) -> None:
    """out ← values, same shape, one axis. (A slice assignment would compile numpy's shape checks, for seconds.)"""
    for i in range(out.shape[0]):
        out[i] = values[i]


@compiled
def zero(out: Array) -> None:
    """out ← 0, of any shape, contiguous."""
    flat = out.reshape(out.size)
    for i in range(flat.shape[0]):
        flat[i] = 0


@compiled
def dot(x: Array, y: Array) -> float:
    """Σ x_i y_i in eight interleaved partial sums: one order on every machine, and a processor's vectors can do it."""
    whole = x.shape[0] - x.shape[0] % 8
    real = x.dtype.type
    a, b, c, d = real(0), real(0), real(0), real(0)
    e, f, g, h = real(0), real(0), real(0), real(0)
    for i in range(0, whole, 8):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
        e += x[i + 4] * y[i + 4]
        f += x[i + 5] * y[i + 5]
        g += x[i + 6] * y[i + 6]
        h += x[i + 7] * y[i + 7]
    for i in range(whole, x.shape[0]):
        a += x[i] * y[i]
    return float(((a + b) + (c + d)) + ((e + f) + (g + h)))


@compiled
def products(W: Array, h: Array, p: Array, hi: int) -> None:
    """p = Wᵀh over the rows of the hidden units and the columns below `hi`; for parameters that do not change."""
    p[:] = 0
    for j in range(h.shape[0]):
        h_j = h[j]
        for i in range(np.uint64(hi)):
            p[i] += W[j, i] * h_j


@compiled
def pass_sgd(
    W: Array, w: Array, z: Array, b: Array, e: Array, h: Array, v: Array, p: Array, q: Array, ranges: tuple[int, ...],
    s: float, decay: float, eta: float,
) -> None:  # fmt: skip
    """NoBackTrack of rank one with W ← W - η g.

    Shapes: W (k, K); w (k, 1, K); z (k,); b, p (K,); e, q (1, K); h (n,); v (1, n); decay = 1/ρ0; `ranges` of
    `cells.columns`.
    """
    real = W.dtype.type
    s_, d, eta_, nothing = real(s), real(decay), real(eta), real(0.0)
    n = h.shape[0]
    p[:] = 0
    q[:] = 0
    for j in range(W.shape[0]):
        z_j = z[j]
        h_j, v_j = (h[j], v[0, j]) if j < n else (nothing, nothing)
        lo, hi = (ranges[0], ranges[1]) if j < n else (ranges[2], ranges[3])
        for i in range(np.uint64(lo), np.uint64(hi)):
            tangent = w[j, 0, i]
            weight = W[j, i] - eta_ * (b[i] * z_j + s_ * tangent)
            w[j, 0, i] = tangent * d + e[0, i] * z_j
            p[i] += weight * h_j
            q[0, i] += weight * v_j
            W[j, i] = weight


@compiled
def pass_adam(
    W: Array, w: Array, m1: Array, m2: Array, z: Array, b: Array, e: Array, h: Array, v: Array, p: Array, q: Array,
    ranges: tuple[int, ...], s: float, decay: float, eta: float, scale2: float,
) -> None:  # fmt: skip
    """NoBackTrack of rank one with Adam (`step_row`); shapes as in `pass_sgd`, m1 and m2 (k, K)."""
    real = W.dtype.type
    s_, d, eta_, scale2_, nothing = real(s), real(decay), real(eta), real(scale2), real(0.0)
    b1, b2, c1, c2, epsilon = real(BETA1), real(BETA2), real(1.0 - BETA1), real(1.0 - BETA2), real(EPSILON)
    n = h.shape[0]
    p[:] = 0
    q[:] = 0
    for j in range(W.shape[0]):
        z_j = z[j]
        h_j, v_j = (h[j], v[0, j]) if j < n else (nothing, nothing)
        lo, hi = (ranges[0], ranges[1]) if j < n else (ranges[2], ranges[3])
        for i in range(np.uint64(lo), np.uint64(hi)):
            tangent = w[j, 0, i]
            g = b[i] * z_j + s_ * tangent
            first = b1 * m1[j, i] + c1 * g
            second = b2 * m2[j, i] + c2 * (g * g)
            weight = W[j, i] - eta_ * first / (np.sqrt(scale2_ * second) + epsilon)
            w[j, 0, i] = tangent * d + e[0, i] * z_j
            p[i] += weight * h_j
            q[0, i] += weight * v_j
            m1[j, i] = first
            m2[j, i] = second
            W[j, i] = weight


@compiled
def pass_traces_adam(
    W: Array, S: Array, m1: Array, m2: Array, z: Array, b: Array, d: Array, own: Array, D: Array, h: Array, p: Array,
    ranges: tuple[int, ...], eta: float, scale2: float,
) -> None:  # fmt: skip
    """Traces without a residual, with Adam; S (k, K), and d, own, D (K,): d = Aᵀδ and A_uu of the column's unit."""
    real = W.dtype.type
    eta_, scale2_, nothing = real(eta), real(scale2), real(0.0)
    b1, b2, c1, c2, epsilon = real(BETA1), real(BETA2), real(1.0 - BETA1), real(1.0 - BETA2), real(EPSILON)
    n = h.shape[0]
    p[:] = 0
    for j in range(W.shape[0]):
        z_j = z[j]
        h_j = h[j] if j < n else nothing
        lo, hi = (ranges[0], ranges[1]) if j < n else (ranges[2], ranges[3])
        for i in range(np.uint64(lo), np.uint64(hi)):
            trace = S[j, i]
            g = b[i] * z_j + d[i] * trace
            first = b1 * m1[j, i] + c1 * g
            second = b2 * m2[j, i] + c2 * (g * g)
            weight = W[j, i] - eta_ * first / (np.sqrt(scale2_ * second) + epsilon)
            S[j, i] = own[i] * trace + D[i] * z_j
            p[i] += weight * h_j
            m1[j, i] = first
            m2[j, i] = second
            W[j, i] = weight


@compiled
def step_row(
    W: Array, g: Array, m1: Array, m2: Array, g0: Array, m0: Array, shift: Array, lo: int, hi: int, is_bias: bool,
    optimiser: int, eta: float, scale2: float,
) -> None:  # fmt: skip
    """One optimiser step on columns lo..hi of a row, all (K,).

    * SGD: W ← W - η g.
    * Adam (D. Kingma, J. Ba, arXiv:1412.6980): m1 ← β₁m1 + (1-β₁)g, m2 ← β₂m2 + (1-β₂)g², W ← W - η m1/(√(scale2·m2)
      + ε); the caller has put the bias corrections into η and scale2.
    * Kalman NoBackTrack: the quasi-diagonal outer-product metric (Y. Ollivier, arXiv:1303.0818), with
      γ = scale2, M00 = m0, M0i = m1, Mii = m2 and g0 the bias row's gradient:
      M ← (1-γ)M + γ·products of g;  d_i = (g_i - M0i g0/M00)/(Mii - M0i²/M00);  W ← W - η d. The bias row itself needs
      Σ M0i d_i, which the rows add up in `shift`; it comes last (`full_pass`).
    """
    real = W.dtype.type
    eta_, scale2_ = real(eta), real(scale2)
    if optimiser == ADAM:
        b1, b2, c1, c2, epsilon = real(BETA1), real(BETA2), real(1.0 - BETA1), real(1.0 - BETA2), real(EPSILON)
        for i in range(np.uint64(lo), np.uint64(hi)):
            first = b1 * m1[i] + c1 * g[i]
            second = b2 * m2[i] + c2 * (g[i] * g[i])
            W[i] -= eta_ * first / (np.sqrt(scale2_ * second) + epsilon)
            m1[i] = first
            m2[i] = second
    elif optimiser == KALMAN:
        keep, least, small = real(1.0 - scale2), real(LEAST_VARIANCE), real(SMALLEST)
        for i in range(np.uint64(lo), np.uint64(hi)):
            if not is_bias:
                cross = keep * m1[i] + scale2_ * (g0[i] * g[i])
                square = keep * m2[i] + scale2_ * (g[i] * g[i])
                slope = cross / (m0[i] + small)
                rest = max(square - slope * cross, least * square) + small
                step = (g[i] - slope * g0[i]) / rest
                shift[i] += slope * step
                W[i] -= eta_ * step
                m1[i] = cross
                m2[i] = square
    else:
        for i in range(np.uint64(lo), np.uint64(hi)):
            W[i] -= eta_ * g[i]


@compiled
def full_pass(
    W: Array, m0: Array, m1: Array, m2: Array, w: Array, S: Array, z: Array, b: Array, d: Array, own: Array, D: Array,
    e: Array, s: Array, decay: Array, x: Array, h: Array, v: Array, p: Array, q: Array, xq: Array, g: Array,
    ranges: tuple[int, ...], optimiser: int, eta: float, scale2: float,
) -> None:  # fmt: skip
    """The whole of the pass, for any rank R, with or without traces, with any optimiser.

    Shapes beyond those above: m0 (K,), or none but for Kalman; S (k, K), or none; e, q, xq (R, K); s, decay (R,); v, x
    (R, n); g (3, K) scratch. η = 0 leaves W and the moments alone.
    """
    n, k, R, traces, learning = h.shape[0], W.shape[0], w.shape[1], S.shape[0] > 0, eta != 0.0
    real = W.dtype.type
    p[:] = 0
    q[:] = 0
    xq[:] = 0
    g0, shift = g[1], g[2]
    shift[:] = 0
    for row in range(-1, k - 1):
        # The bias row first: the Kalman filter needs its gradient for all others.
        j = row if row >= 0 else k - 1
        z_j = z[j]
        lo, hi = (ranges[0], ranges[1]) if j < n else (ranges[2], ranges[3])
        if learning:
            for i in range(np.uint64(lo), np.uint64(hi)):
                g[0, i] = b[i] * z_j
            for r in range(R):
                s_r = s[r]
                for i in range(np.uint64(lo), np.uint64(hi)):
                    g[0, i] += s_r * w[j, r, i]
            if traces:
                for i in range(np.uint64(lo), np.uint64(hi)):
                    g[0, i] += d[i] * S[j, i]
            if row < 0:
                g0[:] = 0
                for i in range(np.uint64(lo), np.uint64(hi)):
                    g0[i] = g[0, i]
                if optimiser == KALMAN:
                    for i in range(W.shape[1]):
                        m0[i] = real(1.0 - scale2) * m0[i] + real(scale2) * (g0[i] * g0[i])
            if optimiser == SGD:
                step_row(W[j], g[0], g0, g0, g0, g0, shift, lo, hi, row < 0, optimiser, eta, scale2)
            else:
                step_row(W[j], g[0], m1[j], m2[j], g0, m0, shift, lo, hi, row < 0, optimiser, eta, scale2)
        for r in range(R):
            decay_r = decay[r]
            if traces:
                for i in range(np.uint64(lo), np.uint64(hi)):
                    w[j, r, i] = w[j, r, i] * decay_r + e[r, i] * S[j, i]
            else:
                for i in range(np.uint64(lo), np.uint64(hi)):
                    w[j, r, i] = w[j, r, i] * decay_r + e[r, i] * z_j
        if traces:
            for i in range(np.uint64(lo), np.uint64(hi)):
                S[j, i] = own[i] * S[j, i] + D[i] * z_j
        if j < n:
            h_j = h[j]
            for i in range(np.uint64(lo), np.uint64(hi)):
                p[i] += W[j, i] * h_j
            for r in range(R):
                v_j = v[r, j]
                for i in range(np.uint64(lo), np.uint64(hi)):
                    q[r, i] += W[j, i] * v_j
                if traces:
                    x_j = x[r, j]
                    for i in range(np.uint64(lo), np.uint64(hi)):
                        xq[r, i] += W[j, i] * x_j
    if learning and optimiser == KALMAN:
        for i in range(ranges[2], ranges[3]):
            W[k - 1, i] -= real(eta) * (g0[i] / (m0[i] + real(SMALLEST)) - shift[i])


@compiled
def apply_gradient(
    W: Array, m0: Array, m1: Array, m2: Array, gradient: Array, g: Array, ranges: tuple[int, ...], optimiser: int,
    eta: float, scale2: float,
) -> None:  # fmt: skip
    """One optimiser step with a gradient (k, K) that is known whole, by the same `step_row`; g (3, K) scratch."""
    k, n = W.shape[0], W.shape[0]
    real = W.dtype.type
    g0, shift = gradient[k - 1], g[2]
    shift[:] = 0
    if optimiser == KALMAN:
        for i in range(W.shape[1]):
            m0[i] = real(1.0 - scale2) * m0[i] + real(scale2) * (g0[i] * g0[i])
    for j in range(n):
        if optimiser == SGD:
            step_row(W[j], gradient[j], g0, g0, g0, g0, shift, 0, W.shape[1], j == k - 1, optimiser, eta, scale2)
        else:
            step_row(W[j], gradient[j], m1[j], m2[j], g0, m0, shift, 0, W.shape[1], j == k - 1, optimiser, eta, scale2)
    if optimiser == KALMAN:
        for i in range(ranges[2], ranges[3]):
            W[k - 1, i] -= real(eta) * (g0[i] / (m0[i] + real(SMALLEST)) - shift[i])
