"""A whole learner: bulk equals one by one, a forecast changes nothing, odd streams do no harm."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.state import arrays
from tests.unit.model.streams import CONFIGS, stream


@pytest.fixture(params=CONFIGS, scope="module")
def config(request: pytest.FixtureRequest) -> model.Config:
    return CONFIGS[request.param]


def test_many_is_one_by_one(config: model.Config) -> None:
    Y, X, times = stream(config, 200)
    single, bulk, halves = model.Learner(config), model.Learner(config), model.Learner(config)
    outcomes = bulk.observe_many(Y, X, times)
    halves.observe_many(Y[:77], X[:77], times[:77])
    halves.observe_many(Y[77:], X[77:], times[77:])
    for t in range(len(Y)):
        for field, many in zip(single.observe(Y[t], X[t], times[t]), outcomes, strict=True):
            np.testing.assert_array_equal(field, many[t])
    assert single.digest() == bulk.digest() == halves.digest()
    assert bulk.version == 200
    assert outcomes.version.tolist() == list(range(1, 201))


def test_prediction_is_made_before_the_value_is_used(config: model.Config) -> None:
    """Changing the value of an event, or anything after it, changes nothing said before it, for any horizon."""
    Y, X, times = stream(config, 60)
    other = Y.copy()
    other[40:] = np.nan if config.alphabet else other[40:] + 1000.0
    later = times.copy()
    later[41:] += 5000.0
    one = model.Learner(config).observe_many(Y, X, times)
    two = model.Learner(config).observe_many(other, X, later)
    for field in ("prediction", "lower", "upper"):
        np.testing.assert_array_equal(getattr(one, field)[:41], getattr(two, field)[:41])
        if not np.isnan(getattr(one, field)).all():
            assert not np.array_equal(getattr(one, field)[41:], getattr(two, field)[41:], equal_nan=True)
    for field in ("loss", "anomaly", "ahead"):
        np.testing.assert_array_equal(getattr(one, field)[:40], getattr(two, field)[:40])


def test_forecast_changes_nothing_and_begins_with_next(config: model.Config) -> None:
    Y, X, times = stream(config, 50)
    learner = model.Learner(config)
    outcome = learner.observe_many(Y, X, times)
    digest = learner.digest()
    ahead = learner.forecast(9, np.zeros((9, len(config.inputs))))
    assert learner.digest() == digest
    assert ahead.mean.shape == ahead.lower.shape == ahead.upper.shape == (9, config.outputs)
    assert np.isfinite(ahead.mean).all()
    if config.alphabet:
        np.testing.assert_allclose(ahead.mean.sum(axis=1), 1.0, rtol=1e-12)
    else:
        assert (ahead.lower <= ahead.mean).all()
        assert (ahead.mean <= ahead.upper).all()
    if not config.inputs:
        # Every horizon's own readout says what the outcome said; after that the network runs ahead.
        np.testing.assert_array_equal(ahead.mean[: config.horizons], outcome.ahead[-1])
        clock = learner.state.scales.clock
        after = learner.observe(Y[0], time=clock[0] + clock[1])
        np.testing.assert_array_equal(after.prediction, ahead.mean[0])
        np.testing.assert_array_equal(after.lower, ahead.lower[0])


def test_first_events_have_no_prediction_and_persistence_is_scored_from_the_third() -> None:
    out = model.Learner(model.Config(targets=("y",), units=4)).observe_many([[5.0], [6.0], [8.0]])
    assert np.isnan(out.prediction[0, 0])
    assert out.prediction[1, 0] == 5.0
    assert np.isnan(out.loss[:2]).all()
    # The changes were 1 and 2, of mean square 2.5; persistence was wrong by 2.
    assert out.baseline_loss[2] == 4.0 / 2.5


def test_a_readout_of_zeros_is_persistence() -> None:
    learner = model.Learner(model.Config(targets=("y",), units=4))
    assert learner.observe_many([[1.0], [1.0], [1.0]]).next[-1, 0] == 1.0


def test_a_constant_stream_is_predicted_exactly_for_ever() -> None:
    learner = model.Learner(model.Config(targets=("y",), units=8))
    out = learner.observe_many(np.full((30_000, 1), 3.25))
    assert (out.prediction[1:] == 3.25).all()
    assert (out.loss[2:] == 0.0).all()
    assert (out.baseline_loss[2:] == 0.0).all()
    assert all(np.isfinite(array).all() for _, array in arrays(learner.state))


@pytest.mark.parametrize("jump", [1e6, -1e100, 1e-300])
def test_a_jump_of_any_size_leaves_a_finite_learner_that_goes_on(jump: float) -> None:
    Y, _, _ = stream(model.Config(targets=("y",)), 400)
    Y[200, 0] = jump
    learner = model.Learner(model.Config(targets=("y",), units=8))
    out = learner.observe_many(Y)
    assert all(np.isfinite(array).all() for _, array in arrays(learner.state))
    assert np.isfinite(out.prediction[1:]).all()


def test_missing_values_advance_the_version_and_teach_nothing() -> None:
    learner = model.Learner(model.Config(targets=("y",), units=4))
    learner.observe_many(stream(model.Config(targets=("y",)), 30)[0])
    V, W = learner.state.readout.V.copy(), learner.state.network.W.copy()
    out = learner.observe([np.nan])
    assert learner.version == 31
    assert np.isnan(out.loss)
    assert np.array_equal(V, learner.state.readout.V)
    assert np.array_equal(W, learner.state.network.W)
    assert np.isfinite(out.next).all()


def test_learning_beats_persistence_on_a_wave() -> None:
    t = np.arange(3000)
    out = model.Learner(model.Config(targets=("y",))).observe_many(np.sin(t / 5)[:, None])
    assert out.loss[1000:].mean() < 0.01 * out.baseline_loss[1000:].mean()


@pytest.mark.parametrize(
    ("Y", "X"),
    [
        ([[1.0, 2.0]], [[0.0]]),
        ([1.0], [[0.0]]),
        ([[1.0]], None),
        ([[1.0]], [[0.0], [1.0]]),
        ([[1.0]], [[0.0, 1.0]]),
        ([[np.inf]], [[0.0]]),
        ([[1.0]], [[-np.inf]]),
        ([[1.1e100]], [[0.0]]),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(Y: object, X: object) -> None:
    learner = model.Learner(model.Config(targets=("y",), inputs=("u",), units=3))
    digest = learner.digest()
    with pytest.raises(ValueError, match=r"must|missing"):
        learner.observe_many(Y, X)  # type: ignore[arg-type]
    assert learner.digest() == digest


def test_a_copy_shares_nothing(config: model.Config) -> None:
    Y, X, _ = stream(config, 20)
    learner = model.Learner(config)
    learner.observe_many(Y, X)
    twin = learner.copy()
    assert twin.digest() == learner.digest()
    twin.observe_many(Y, X)
    assert learner.version == 20
    assert twin.digest() != learner.digest()
