"""Random signs and numbers, each a hash of its place: there is no generator and no state to save.

A draw is a hash of (seed, purpose, a, b, c), three rounds of the 64-bit finaliser of splitmix64 (G. Steele,
D. Lea, C. Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014).
"""

import math

import numpy as np

from ..jit import compiled
from ..types import Array

# What a draw is for. Two purposes never share a number.
TANGENT, WEIGHTS = 1, 2

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_ONE = np.uint64(1)


@compiled
def _mix(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@compiled
def bits(seed: int, purpose: int, a: int, b: int) -> np.uint64:
    """64 random bits for the given place."""
    x = _mix(np.uint64(seed) + _GAMMA * np.uint64(purpose))
    x = _mix(x + _GAMMA * np.uint64(a + 1))
    return _mix(x + _GAMMA * np.uint64(b + 1))


@compiled
def fill_signs(out: Array, seed: int, tangent: int, step: int) -> None:
    """Write the signs ε (n,), each -1 or +1, of one tangent at one step."""
    word = np.uint64(0)
    for i in range(out.shape[0]):
        if i % 64 == 0:
            word = bits(seed, TANGENT + 16 * tangent, step, i // 64)
        out[i] = 1.0 if word & _ONE else -1.0
        word >>= _ONE


@compiled
def uniform(seed: int, a: int, b: int) -> float:
    """A number in [-1, 1) for place (a, b) of the initial parameters."""
    return float(bits(seed, WEIGHTS, a, b) >> _S11) * 2.0**-52 - 1.0


@compiled
def fill_weights(W: Array, n: int, gain: float, seed: int) -> None:
    """Write the initial parameters (k, K): uniform, of variance gain²/n in the rows of the n hidden units.

    The rows of the inputs have variance 1/m, the bias row 0.03: a unit starts in the curved part of tanh, not beyond.
    """
    k, K = W.shape
    m = k - n - 1
    for j in range(k):
        if j < n:
            scale = gain * math.sqrt(3.0 / n)
        elif j < k - 1:
            scale = math.sqrt(3.0 / m)
        else:
            scale = 0.3
        for i in range(K):
            W[j, i] = scale * uniform(seed, j, i)
