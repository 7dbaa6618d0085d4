"""The package's own elementary functions against exact values, and that they never leave the finite numbers."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

from nobacktrack.model.numerics import elementary

getcontext().prec = 50
POINTS = np.concatenate([np.linspace(-30, 30, 601), np.geomspace(1e-300, 1, 40), -np.geomspace(1e-12, 1, 40), [0.0]])


def ulps(value: float, exact: Decimal) -> float:
    """Distance in units of the last place of the exact value."""
    return float(abs(Decimal(value) - exact) / Decimal(math.ulp(float(exact))))


@pytest.mark.parametrize("x", POINTS)
def test_exp_tanh_logistic(x: float) -> None:
    e = Decimal(x).exp()
    assert ulps(elementary.exp(x), e) <= 4
    assert ulps(elementary.logistic(x), e / (1 + e)) <= 4
    double = (2 * Decimal(x)).exp()
    # Below 1e-20 the decimals themselves cancel; tanh x = x there.
    exact = Decimal(x) if abs(x) < 1e-20 else (double - 1) / (double + 1)
    assert ulps(elementary.tanh(x), exact) <= 4


@pytest.mark.parametrize("x", [5e-324, 1e-300, 0.5, 0.7071, 0.99999, 1.0, 1.0000001, 1.5, 2.0, 1e10, 1e308])
def test_log(x: float) -> None:
    assert abs(elementary.log(x) - float(Decimal(x).ln())) <= 4 * math.ulp(math.log(x))


def test_far_out_values_stay_finite() -> None:
    assert elementary.exp(-1e300) == 0.0
    assert math.isfinite(elementary.exp(1e300))
    assert (elementary.tanh(-1e300), elementary.tanh(1e300)) == (-1.0, 1.0)
    assert (elementary.logistic(-1e300), elementary.logistic(1e300)) == (0.0, 1.0)
