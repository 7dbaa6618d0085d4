"""Truncated backpropagation through time: the method that keeps a window of the past, on the package's GRU cell.

At every event t the gradient of the loss ℓ_t alone goes back through the newest T steps and is applied at once, so that
it gets as many updates as the forward methods, and always its full window; each costs T passes. (Cut into blocks of T
events with one update each, as often done, an event costs one pass, but looks back T/2 steps on average.)

The network is that of the package: z_t = [h_{t-1}, u_t, 1] with u_t the symbol before as a one-hot vector, the GRU with
its reset gate after the product,

    z = σ(a_z)   r = σ(a_r)   ĥ = tanh(a_x + r·a_h)   h' = z·h + (1-z)·ĥ     a = Wᵀz_t = [a_h, a_z, a_r, a_x]

(a_x reads [u, 1] only, a_h reads h only), and a softmax of Vᵀφ, φ = [h', u, 1]. With c = ∂h'/∂h without what goes
through a, and D_g = ∂h'/∂a_g, one step back is

    b_g = δ·D_g      ∂ℓ/∂W += z_t ⊗ b      δ ← c·δ + W_h b

Both W and V are learnt by Adam with η_t = η0/(1 + κ√t).
"""

import math
from collections.abc import Callable
from typing import NamedTuple, ParamSpec, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from nobacktrack.model.types import Array, Float64, Int64

GATES = 4
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
P = ParamSpec("P")
R = TypeVar("R")


def fast(function: Callable[P, R]) -> Callable[P, R]:
    """Compile; sums may be reordered, which the package itself does not allow."""
    jit = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
    return jit(function)  # type: ignore[no-any-return]


class Network(NamedTuple):
    """Parameters and Adam's moments; real = float32 or float64."""

    W: Array
    """(k, 4n)."""
    V: Array
    """(k, A)."""
    W1: Array
    W2: Array
    V1: Array
    V2: Array


def initial(n: int, alphabet: int, seed: int, dtype: npt.DTypeLike = np.float32, gain: float = 1.0) -> Network:
    """Hidden rows uniform of variance gain²/n, input rows of variance 1 (one symbol is on at a time), the rest 0."""
    rng, k = np.random.default_rng((seed, 5)), n + alphabet + 1
    W = np.zeros((k, GATES * n))
    W[:n] = gain * math.sqrt(3.0 / n) * rng.uniform(-1.0, 1.0, (n, GATES * n))
    W[n : k - 1] = math.sqrt(3.0) * rng.uniform(-1.0, 1.0, (alphabet, GATES * n))
    return start(W, alphabet, dtype)


def start(W: Array, alphabet: int, dtype: npt.DTypeLike = np.float32) -> Network:
    """A network with the given recurrent parameters (k, 4n), of which the masked ones are set to 0, and V = 0."""
    n, W = W.shape[1] // GATES, np.array(W, dtype)
    W[:n, 3 * n :] = 0.0
    W[n:, :n] = 0.0
    V = np.zeros((W.shape[0], alphabet), dtype)
    return Network(W, V, np.zeros_like(W), np.zeros_like(W), np.zeros_like(V), np.zeros_like(V))


@fast
def forward(W: Array, z: Array, h: Array, a: Array, c: Array, D: Array) -> None:
    """From z (k,) to the new state h (n,), with a (4n,), c (n,) and D (4n,)."""
    n = h.shape[0]
    a[:] = 0.0
    for j in range(z.shape[0]):
        if z[j] != 0.0:
            for i in range(a.shape[0]):
                a[i] += W[j, i] * z[j]
    for i in range(n):
        update = 1.0 / (1.0 + math.exp(-a[n + i]))
        reset = 1.0 / (1.0 + math.exp(-a[2 * n + i]))
        new = math.tanh(a[3 * n + i] + reset * a[i])
        slope = (1.0 - update) * (1.0 - new * new)
        c[i] = update
        D[i] = slope * reset
        D[n + i] = (z[i] - new) * update * (1.0 - update)
        D[2 * n + i] = slope * a[i] * reset * (1.0 - reset)
        D[3 * n + i] = slope
        h[i] = update * z[i] + (1.0 - update) * new


@fast
def backward(W: Array, c: Array, D: Array, delta: Array, b: Array) -> None:
    """b = δ·D (4n,) of one step, and δ (n,) becomes the gradient by the state before it."""
    n = delta.shape[0]
    for i in range(b.shape[0]):
        b[i] = delta[i % n] * D[i]
    for j in range(n):
        total = c[j] * delta[j]
        for i in range(b.shape[0]):
            total += W[j, i] * b[i]
        delta[j] = total


@fast
def adam(x: Array, m1: Array, m2: Array, g: Array, eta: float, scale2: float) -> None:
    """Adam (arXiv:1412.6980) on one row; the bias corrections are in eta and scale2."""
    real = x.dtype.type
    eta_, scale2_, epsilon = real(eta), real(scale2), real(EPSILON)
    b1, b2, c1, c2 = real(BETA1), real(BETA2), real(1.0 - BETA1), real(1.0 - BETA2)
    for i in range(x.shape[0]):
        m1[i] = b1 * m1[i] + c1 * g[i]
        m2[i] = b2 * m2[i] + c2 * (g[i] * g[i])
        x[i] -= eta_ * m1[i] / (np.sqrt(scale2_ * m2[i]) + epsilon)


@fast
def learn(net: Network, symbols: Int64, window: int, rate: float, decay: float, bits: Float64) -> None:
    """Predict, score and learn every symbol (T,) in order, from the state 0; the losses go into bits (T,)."""
    W, V = net.W, net.V
    k, K, alphabet = W.shape[0], W.shape[1], V.shape[1]
    n = K // GATES
    Z, C, D = np.zeros((window, k), W.dtype), np.zeros((window, n), W.dtype), np.zeros((window, K), W.dtype)
    B = np.zeros((window, K), W.dtype)
    h, a, delta, g = np.zeros(n, W.dtype), np.zeros(K, W.dtype), np.zeros(n, W.dtype), np.zeros(K, W.dtype)
    logits, error = np.zeros(alphabet), np.zeros(alphabet, W.dtype)
    for t in range(symbols.shape[0]):
        place = t % window
        z = Z[place]
        z[:n] = h
        z[n:] = 0.0
        if t > 0:
            z[n + symbols[t - 1]] = 1.0
        z[k - 1] = 1.0
        forward(W, z, h, a, C[place], D[place])
        logits[:] = 0.0
        for j in range(k):
            feature = h[j] if j < n else z[j]
            for s in range(alphabet):
                logits[s] += V[j, s] * feature
        top, total = logits.max(), 0.0
        for s in range(alphabet):
            logits[s] = math.exp(logits[s] - top)
            total += logits[s]
        for s in range(alphabet):
            error[s] = logits[s] / total - (1.0 if s == symbols[t] else 0.0)
        bits[t] = -math.log2(logits[symbols[t]] / total)
        for j in range(n):
            delta[j] = 0.0
            for s in range(alphabet):
                delta[j] += V[j, s] * error[s]
        scale2 = 1.0 / (1.0 - BETA2 ** (t + 1))
        eta = rate / (1.0 + decay * math.sqrt(t)) / (1.0 - BETA1 ** (t + 1))
        for j in range(k):
            feature = h[j] if j < n else z[j]
            adam(V[j], net.V1[j], net.V2[j], feature * error, eta, scale2)
        depth = min(window, t + 1)
        for back in range(depth):
            step = (t - back) % window
            backward(W, C[step], D[step], delta, B[step])
        for j in range(k):
            g[:] = 0.0
            for step in range(depth):
                z_j = Z[step, j]
                if z_j != 0.0:
                    for i in range(K):
                        g[i] += z_j * B[step, i]
            if j < n:
                g[3 * n :] = 0.0
            else:
                g[:n] = 0.0
            adam(W[j], net.W1[j], net.W2[j], g, eta, scale2)
