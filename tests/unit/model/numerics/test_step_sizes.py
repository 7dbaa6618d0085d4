"""Step sizes: how far parameters move when the error is small."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.numerics import step_sizes
from nobacktrack.model.numerics.kernels import BETA1, BETA2

DATA = np.sin(np.arange(3000) / 5)[:, None]


def test_caution_is_one_until_the_error_is_small_and_then_proportional_to_it() -> None:
    for share in (4.0, 1.0, 0.25, 0.1, 1e-3, 0.0):
        assert step_sizes.error_scale(np.array([share**2, 1.0]) * 7.0) == pytest.approx(
            min(1.0, 4.0 * share), rel=1e-12
        )
    assert step_sizes.error_scale(np.zeros(2)) == 1.0


def test_running_losses_follow_their_means() -> None:
    losses = np.ones(2)
    for _ in range(2000):
        step_sizes.track_losses(losses, 0.5, 3.0)
    np.testing.assert_allclose(losses, [0.5, 3.0], rtol=1e-6)


def test_a_network_that_predicts_well_moves_little() -> None:
    """No step of Adam is longer than η(1-β₁)/√(1-β₂), here times a factor that has become small."""
    learner = model.Learner(model.Config(targets=("y",), units=8, calendar=(), learning_rate_decay=0.0))
    learner.observe_many(DATA)
    factor, W = step_sizes.error_scale(learner.state.scales.losses), learner.state.network.W.copy()
    assert factor < 0.1
    learner.observe([0.3])
    factor = max(factor, step_sizes.error_scale(learner.state.scales.losses))
    longest = np.abs(learner.state.network.W - W).max()
    assert 0.0 < longest <= 1.001 * factor * 1e-3 * (1 - BETA1) / np.sqrt(1 - BETA2)


def test_the_step_size_that_is_told_is_the_next_one() -> None:
    for estimator, optimiser in (("nobacktrack", "sgd"), ("nobacktrack", "adam"), ("frozen", "adam")):
        config = {"targets": ["y"], "units": 8, "calendar": [], "estimator": estimator, "optimiser": optimiser}
        learner = model.Learner(model.Config.from_dict(config))
        learner.observe_many(DATA)
        scheduled = 1e-3 / (1.0 + 0.1 * learner.state.clock[1] ** 0.5)
        factor = step_sizes.error_scale(learner.state.scales.losses)
        assert factor < 1.0
        expected = {"sgd": scheduled, "adam": scheduled * factor}[optimiser] if estimator != "frozen" else 0.0
        assert learner.step_size == pytest.approx(expected, rel=1e-12)


def test_symbols_always_take_whole_steps() -> None:
    learner = model.Learner(model.Config(targets=("s",), alphabet=("a", "b"), units=4))
    learner.observe_many(np.tile([0.0, 1.0], 500)[:, None])
    assert step_sizes.error_scale(learner.state.scales.losses) == 1.0


def test_skill_is_the_share_that_is_foreseen() -> None:
    for loss, baseline, expected in ((0.25, 1.0, 0.75), (2.0, 1.0, 0.0), (0.0, 3.0, 1.0), (0.0, 0.0, 1.0)):
        assert step_sizes.skill(np.array([loss, baseline])) == expected
