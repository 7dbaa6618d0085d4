"""The pass over the parameters: all of the work that grows with them, once an event.

Arrays are input-major: row j of W (k, K) holds what input j feeds to each of the K pre-activations, row j of the
tangent w (k, K) likewise. The inner loop runs along a row and is elementwise, so it vectorises without reordering a
sum; W and w are read and written once. Within the loop both are loaded before either is stored: rows of 4,096 bytes
would otherwise wait for each other in the store buffer.

One pass does, for every row j and pre-activation i,

    g      = s·w_ji + b_i·z_j          the gradient (ALGORITHM 2): s = δ·f, b = δ·D
    W_ji  ← optimiser step with g
    w_ji  ← w_ji/ρ0 + e_i·z_j          the tangent: e = ε·D/ρ
    p_i   += W_ji·h_j                  Wᵀh and Wᵀv of the next event, for the rows j < n of the hidden units
    q_i   += W_ji·v_j
"""

import numpy as np

from model.jit import compiled
from model.types import Array

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8


@compiled
def assign(out: Array, values: Array) -> None:
    """out ← values, same shape, one axis. (A slice assignment would compile numpy's shape checks, for seconds.)"""
    for i in range(out.shape[0]):
        out[i] = values[i]


@compiled
def pass_sgd(
    W: Array, w: Array, z: Array, b: Array, e: Array, h: Array, v: Array, p: Array, q: Array,
    s: float, decay: float, eta: float,
) -> None:
    """The pass with W ← W - η g. Shapes: W, w (k, K); z (k,); b, e, p, q (K,); h, v (n,); decay = 1/ρ0."""
    real = W.dtype.type
    a, d, eta_ = real(eta * s), real(decay), real(eta)
    n, (k, K) = h.shape[0], W.shape
    p[:] = 0
    q[:] = 0
    for j in range(k):
        z_j = z[j]
        eta_z = eta_ * z_j
        h_j = h[j] if j < n else real(0.0)
        v_j = v[j] if j < n else real(0.0)
        for i in range(K):
            tangent = w[j, i]
            weight = W[j, i] - (a * tangent + eta_z * b[i])
            w[j, i] = tangent * d + e[i] * z_j
            p[i] += weight * h_j
            q[i] += weight * v_j
            W[j, i] = weight


@compiled
def pass_adam(
    W: Array, w: Array, m1: Array, m2: Array, z: Array, b: Array, e: Array, h: Array, v: Array, p: Array, q: Array,
    s: float, decay: float, eta: float, scale2: float,
) -> None:
    """The pass with Adam (D. Kingma, J. Ba, arXiv:1412.6980, algorithm 1).

    m1 ← β₁m1 + (1-β₁)g, m2 ← β₂m2 + (1-β₂)g², W ← W - η m1/(√(scale2·m2) + ε); the caller has put Adam's bias
    corrections into η and scale2. Shapes as in `pass_sgd`, m1 and m2 (k, K).
    """
    real = W.dtype.type
    s_, d, eta_, scale2_ = real(s), real(decay), real(eta), real(scale2)
    b1, b2, c1, c2, epsilon = real(BETA1), real(BETA2), real(1.0 - BETA1), real(1.0 - BETA2), real(EPSILON)
    n, (k, K) = h.shape[0], W.shape
    p[:] = 0
    q[:] = 0
    for j in range(k):
        z_j = z[j]
        h_j = h[j] if j < n else real(0.0)
        v_j = v[j] if j < n else real(0.0)
        for i in range(K):
            tangent = w[j, i]
            g = s_ * tangent + b[i] * z_j
            first = b1 * m1[j, i] + c1 * g
            second = b2 * m2[j, i] + c2 * (g * g)
            weight = W[j, i] - eta_ * first / (np.sqrt(scale2_ * second) + epsilon)
            w[j, i] = tangent * d + e[i] * z_j
            p[i] += weight * h_j
            q[i] += weight * v_j
            m1[j, i] = first
            m2[j, i] = second
            W[j, i] = weight


@compiled
def products(W: Array, h: Array, p: Array) -> None:
    """p = Wᵀh over the rows of the hidden units; for parameters that do not change."""
    p[:] = 0
    for j in range(h.shape[0]):
        h_j = h[j]
        for i in range(W.shape[1]):
            p[i] += W[j, i] * h_j


@compiled
def apply(W: Array, m1: Array, m2: Array, gradient: Array, eta: float, scale2: float, adam: bool) -> None:
    """One optimiser step with a gradient (k, K) that is known whole; the same arithmetic as the passes."""
    real = W.dtype.type
    eta_, scale2_ = real(eta), real(scale2)
    b1, b2, c1, c2, epsilon = real(BETA1), real(BETA2), real(1.0 - BETA1), real(1.0 - BETA2), real(EPSILON)
    for j in range(W.shape[0]):
        for i in range(W.shape[1]):
            g = gradient[j, i]
            if adam:
                m1[j, i] = b1 * m1[j, i] + c1 * g
                m2[j, i] = b2 * m2[j, i] + c2 * (g * g)
                W[j, i] -= eta_ * m1[j, i] / (np.sqrt(scale2_ * m2[j, i]) + epsilon)
            else:
                W[j, i] -= eta_ * g
