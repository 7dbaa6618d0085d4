"""Every unbiased estimator is unbiased: a theorem, checked by enumerating every sign, not by sampling."""

import itertools

import numpy as np
import pytest

from nobacktrack.model import Config
from nobacktrack.model.gradient import nobacktrack
from tests.unit.model.driver import Network, influence

UNITS, STEPS = 3, 3
SIGNS = [np.array(signs).reshape(STEPS, 1, UNITS) for signs in itertools.product((-1.0, 1.0), repeat=STEPS * UNITS)]
CONFIGS = {
    "leaky": Config(targets=("y",), calendar=(), units=UNITS, time_constants=(1, 4)),
    "gru": Config(targets=("y",), calendar=(), units=UNITS, cell="gru"),
}
UNBIASED: dict[str, dict[str, object]] = {
    "nobacktrack": {},
    "uoro": {},
    "nobacktrack-traces": {"residual_weight": 1.0},
}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> Config:
    return CONFIGS[request.param]


@pytest.mark.parametrize("estimator", UNBIASED)
@pytest.mark.parametrize("seed", [0, 1])
def test_mean_over_all_signs_is_exact_rtrl(config: Config, estimator: str, seed: int) -> None:
    network = Network(config, STEPS, seed)
    delta = network.delta()
    exact, gradient = network.run("rtrl", delta=delta)
    assert len(SIGNS) == 512
    runs = [network.run(estimator, signs, delta, **UNBIASED[estimator]) for signs in SIGNS]
    mean = np.mean([influence(state) for state, _ in runs], axis=0)
    np.testing.assert_allclose(mean, influence(exact), rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.mean([one for _, one in runs], axis=0), gradient, rtol=0, atol=1e-12)
    # One run alone is far off: the mean is what is exact.
    assert np.abs(runs[0][1] - gradient).max() > 1e-4


def test_traces_without_the_residual_are_biased_and_have_no_noise(config: Config) -> None:
    network = Network(config, STEPS, 0)
    delta = network.delta()
    gradient = network.run("rtrl", delta=delta)[1]
    one = network.run("nobacktrack-traces", delta=delta)[1]
    assert np.abs(one - gradient).max() > 1e-4
    # Of two steps the older one is seen exactly, other units included: the bias begins with the third.
    short = Network(config, 2, 0)
    delta = short.delta()
    np.testing.assert_allclose(
        short.run("nobacktrack-traces", delta=delta)[1], short.run("rtrl", delta=delta)[1], rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("estimator", UNBIASED)
def test_the_newest_step_is_exact_for_every_sign(config: Config, estimator: str) -> None:
    """With one step there is no past, so the gradient carries no noise at all."""
    network = Network(config, 1, 3)
    delta = network.delta()
    gradient = network.run("rtrl", delta=delta)[1]
    for signs in SIGNS[:: 2 ** (UNITS * (STEPS - 1))]:
        found = network.run(estimator, signs[:1], delta, **UNBIASED[estimator])[1]
        np.testing.assert_allclose(found, gradient, rtol=0, atol=1e-15)


def test_tangents_are_averaged(config: Config) -> None:
    """The gradient of rank 2 is the mean of the two of rank 1 with the same signs."""
    network = Network(config, STEPS, 1)
    delta = network.delta()
    one, two = SIGNS[77], SIGNS[300]
    both = np.concatenate([one, two], axis=1)
    apart = [network.run("nobacktrack", signs, delta)[1] for signs in (one, two)]
    together = network.run("nobacktrack", both, delta, rank=2)[1]
    np.testing.assert_allclose(together, np.mean(apart, axis=0), rtol=0, atol=1e-12)


def test_rtrl_is_the_finite_difference_of_the_unrolled_loss(config: Config) -> None:
    network = Network(config, 5, 4)
    gradient = network.run("rtrl", delta=network.delta())[1]
    step = 1e-5
    for place in zip(*np.nonzero(network.W), strict=True):
        up, down = network.W.copy(), network.W.copy()
        up[place] += step
        down[place] -= step
        difference = (network.loss(up) - network.loss(down)) / (2 * step)
        assert gradient[place] == pytest.approx(difference, rel=1e-6, abs=1e-9)
    assert not gradient[network.W == 0.0].any()


def test_a_unit_without_slope_injects_nothing() -> None:
    v, e = np.zeros(2), np.full(2, 7.0)
    nobacktrack.inject(v, e, np.zeros(2), np.array([0.0, 0.5]), np.array([0.0, 1.0]), np.ones(2), 1.0)
    assert v.tolist() == [0.0, 1.0]
    assert e.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("w_norm", "f", "expected"), [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (4.0, 1.0, 2.0), (1e30, 1e-30, 1e7)]
)
def test_rho0_balances_and_is_clamped(w_norm: float, f: float, expected: float) -> None:
    assert nobacktrack.balance(np.array([f]), w_norm) == expected


@pytest.mark.parametrize("estimator", ["nobacktrack", "uoro"])
def test_the_norm_that_is_kept_is_the_expected_one(config: Config, estimator: str) -> None:
    """After one step E|w|² over the signs is what `w_norm` says."""
    network = Network(config, 1, 5)
    runs = [network.run(estimator, signs[:1])[0].tangent for signs in SIGNS[:8]]
    squares = [float((pair.w**2).sum()) for pair in runs]
    assert np.mean(squares) == pytest.approx(runs[0].w_norm[0] ** 2, rel=1e-13)


def test_the_bound_on_the_traces_holds(config: Config) -> None:
    network = Network(config, 40, 6)
    pair = network.run("nobacktrack-traces")[0].tangent
    for unit in range(UNITS):
        assert np.linalg.norm(pair.S[:, unit::UNITS]) <= pair.sizes[unit] * (1 + 1e-12)
