"""exp, tanh, the logistic function, log, sine and cosine from +, -, ×, ÷ alone, in a fixed order.

The functions of a C library differ in their last bits between libraries and processors; these do not, so the
same events give the same parameters on every machine. All are float64 in and out, and within 4 units in the last
place of the exact value (tests/unit/model/numerics/test_elementary.py).
"""

import math

import numpy as np

from ..jit import compiled

_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has 32 significant bits, so k·_LN2_HIGH is exact for every |k| < 2**20.
_LN2_HIGH = 0.6931471803691238
_LN2_LOW = 1.9082149292705877e-10
_POWERS_OF_TWO = np.ldexp(1.0, np.arange(-1022, 1024))


@compiled
def _reduced(x: float) -> tuple[float, float]:
    """(2**k, e**r - 1) with x = k·ln 2 + r and |r| <= ln(2)/2; for |x| < 700.

    The series of e**r - 1 is cut after r**13/13!, where the next term is below 2**-57.
    """
    k = math.floor(x * _LOG2_E + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    tail = 1.0 + r / 13.0
    for i in range(12, 1, -1):
        tail = 1.0 + r * tail / i
    return _POWERS_OF_TWO[int(k) + 1022], r * tail


@compiled
def exp(x: float) -> float:
    """e**x; 0 below -700 and e**700 above 700, so it never overflows."""
    if x < -700.0:
        return 0.0
    scale, minus_one = _reduced(min(x, 700.0))
    return scale + scale * minus_one


@compiled
def tanh(x: float) -> float:
    """tanh x = (e**2x - 1)/(e**2x + 1), from e**2x - 1 so that small x keep their digits."""
    if x > 20.0:
        return 1.0
    if x < -20.0:
        return -1.0
    scale, minus_one = _reduced(2.0 * x)
    expm1 = scale * minus_one + (scale - 1.0)
    return expm1 / (expm1 + 2.0)


@compiled
def logistic(x: float) -> float:
    """1/(1 + e**-x), without cancellation on either side."""
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    e = exp(x)
    return e / (1.0 + e)


@compiled
def log(x: float) -> float:
    """ln x for finite x > 0: x = m·2**k with m in [√½, √2), ln m = 2·artanh((m-1)/(m+1)) by its series."""
    m, k = math.frexp(x)
    if m < 0.7071067811865476:
        m *= 2.0
        k -= 1
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = 0.0
    for i in range(21, 0, -2):
        series = series * square + 1.0 / i
    return k * _LN2_HIGH + (k * _LN2_LOW + 2.0 * s * series)


@compiled
def wave(turns: float) -> tuple[float, float]:
    """(sin 2πx, cos 2πx) for |x| < 2**52, by their series on half a turn; exact to 2**-50 of 1."""
    x = turns - math.floor(turns + 0.5)
    angle = 6.283185307179586 * x
    square = angle * angle
    sine, cosine = 1.0, 1.0
    for i in range(28, 1, -2):
        cosine = 1.0 - cosine * square / (i * (i - 1))
        sine = 1.0 - sine * square / (i * (i + 1))
    return angle * sine, cosine
