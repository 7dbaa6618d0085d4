"""Direct readouts of further steps: each learns from labels that exist, in the right places."""

import numpy as np
import pytest

from nobacktrack import model

H = 6


@pytest.fixture(scope="module")
def wave() -> tuple[np.ndarray, model.Outcomes]:
    t = np.arange(3000)
    Y = (np.sin(t / 7) + 0.5 * np.sin(t / 3))[:, None] * 10
    config = model.Config(targets=("y",), units=24, horizons=H, calendar=())
    return Y, model.Learner(config).observe_many(Y)


def test_every_head_predicts_the_value_so_many_steps_ahead(wave: tuple[np.ndarray, model.Outcomes]) -> None:
    Y, out = wave
    for h in range(H):
        forecast, value = out.ahead[:, h, 0], Y[:, 0]
        error = forecast[1000 : -H - 1] - value[1001 + h : len(value) - H + h]
        persistence = value[1000 : -H - 1] - value[1001 + h : len(value) - H + h]
        assert (error**2).mean() < 0.01 * (persistence**2).mean()


def test_a_label_is_not_used_before_it_exists() -> None:
    """Change one value: no forecast made before it moves, and each head's first change comes with its label."""
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(80, 1)).cumsum(axis=0)
    other = Y.copy()
    other[50] += 5.0
    config = model.Config(targets=("y",), units=5, horizons=H, estimator="frozen", calendar=())
    one, two = (model.Learner(config).observe_many(values) for values in (Y, other))
    np.testing.assert_array_equal(one.ahead[:50], two.ahead[:50])
    assert (one.ahead[50] != two.ahead[50]).all()


def test_heads_beside_the_first_do_not_change_it() -> None:
    Y = np.random.default_rng(1).normal(size=(200, 2)).cumsum(axis=0)
    alone, many = (
        model.Learner(model.Config(targets=("a", "b"), units=6, horizons=horizons)).observe_many(Y)
        for horizons in (1, H)
    )
    np.testing.assert_array_equal(alone.prediction, many.prediction)
    np.testing.assert_array_equal(alone.lower, many.lower)


def test_intervals_of_every_horizon_cover() -> None:
    """Forecasts as they were given, against what came: nine in ten inside, at every horizon."""
    rng = np.random.default_rng(2)
    y = np.zeros(4000)
    for t in range(1, len(y)):
        y[t] = 0.9 * y[t - 1] + rng.normal()
    learner = model.Learner(model.Config(targets=("y",), units=8, horizons=3, calendar=()))
    inside = np.zeros(3)
    learner.observe_many(y[:500, None])
    for t in range(500, len(y) - 3):
        ahead = learner.forecast(3)
        inside += (ahead.lower[:, 0] <= y[t : t + 3]) & (y[t : t + 3] <= ahead.upper[:, 0])
        learner.observe(y[t : t + 1])
    share = inside / (len(y) - 503)
    # The level follows the misses: 1/(γT) = 0.03 is the theorem's bound on the distance.
    assert np.abs(share - 0.9).max() < 0.03
