"""NoBackTrack is unbiased: a theorem, checked by enumerating every sign, not by sampling."""

import itertools

import numpy as np
import pytest

from model import tangent
from tests.unit.network import Problem


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mean_over_all_signs_is_exact_rtrl(seed: int) -> None:
    problem = Problem.random(n=3, m=2, T=3, seed=seed)
    J, gradient = problem.exact()
    runs = [
        problem.nobacktrack(np.array(signs, dtype=float).reshape(3, 3))
        for signs in itertools.product((-1.0, 1.0), repeat=9)
    ]
    assert len(runs) == 512
    np.testing.assert_allclose(np.mean([run[0] for run in runs], axis=0), J, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.mean([run[1] for run in runs], axis=0), gradient, rtol=0, atol=1e-12)
    # One run alone is far off: the mean is what is exact.
    assert np.abs(runs[0][1] - gradient).max() > 1e-3


def test_gradient_of_the_newest_step_is_exact_for_every_sign() -> None:
    """With one step there is no past, so the gradient carries no noise at all."""
    problem = Problem.random(n=3, m=2, T=1, seed=3)
    exact = problem.exact()[1]
    for signs in itertools.product((-1.0, 1.0), repeat=3):
        np.testing.assert_allclose(problem.nobacktrack(np.array([signs]))[1], exact, rtol=0, atol=1e-15)


def test_rtrl_is_the_finite_difference_of_the_unrolled_loss() -> None:
    problem = Problem.random(n=3, m=2, T=5, seed=4)
    gradient = problem.exact()[1]
    step = 1e-5
    for place in np.ndindex(problem.W.shape):
        up, down = problem.W.copy(), problem.W.copy()
        up[place] += step
        down[place] -= step
        difference = (problem.loss(up) - problem.loss(down)) / (2 * step)
        assert gradient[place] == pytest.approx(difference, rel=1e-6, abs=1e-9)


def test_a_unit_without_slope_injects_nothing() -> None:
    v, e = np.zeros(2), np.full(2, 7.0)
    injected = tangent.inject(v, e, np.zeros(2), np.array([0.0, 0.5]), 2.0, np.ones(2), 1.0)
    assert v.tolist() == [0.0, 1.0]
    assert e.tolist() == [0.0, 0.5]
    assert injected == 1.0


@pytest.mark.parametrize(
    ("w_norm", "f", "expected"), [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (4.0, 1.0, 2.0), (1e30, 1e-30, 1e7)]
)
def test_rho0_balances_and_is_clamped(w_norm: float, f: float, expected: float) -> None:
    assert tangent.weigh(np.array([f]), w_norm) == expected


def test_expected_norm_is_the_mean_over_all_signs() -> None:
    """`weigh` uses √E|w|²; the expectation is over the newest signs, enumerated here."""
    rng = np.random.default_rng(5)
    w, D, z, f = rng.normal(size=(4, 3)), rng.uniform(0.1, 1, 3), rng.normal(size=4), rng.normal(size=3)
    rho0, injected, z_norm = 1.7, 0.0, float(np.linalg.norm(z))
    squares = []
    for signs in itertools.product((-1.0, 1.0), repeat=3):
        v, e = np.zeros(3), np.zeros(3)
        injected = tangent.inject(v, e, f, D, z_norm, np.array(signs), rho0)
        squares.append(np.sum((w / rho0 + np.outer(z, e)) ** 2))
    assert np.mean(squares) == pytest.approx(np.sum(w**2) / rho0**2 + injected, rel=1e-14)
