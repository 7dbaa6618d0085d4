"""The mixture of predictors: its regret bound, its weights, and that the network does not notice it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nobacktrack import model
from nobacktrack.model.experts import mixture
from nobacktrack.model.state import arrays

NUMBERS = st.floats(0.0, 0.5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=80))
def test_no_expert_is_regretted_more_than_the_theorem_allows(events: list[tuple[float, ...]]) -> None:
    """Whatever comes: R_k² <= (1 + S_k) Σ_j ln(1 + S_j), the potential argument of ML-Poly with any gradients."""
    K = 3
    regret, spread, loss = np.zeros(K), np.zeros(K), np.zeros(2)
    for *said, y in events:
        words = np.array(said)
        mixed = mixture.mix(regret, spread, words)
        assert min(said) - 1e-12 <= mixed <= max(said) + 1e-12
        mixture.update_weights(regret, spread, loss, words, mixed, y, 1.0)
    assert (regret <= np.sqrt((1 + spread) * np.log1p(spread).sum()) * (1 + 1e-9) + 1e-9).all()


def test_the_better_expert_gets_the_weight_and_loses_it_again() -> None:
    regret, spread, loss, rng = np.zeros(2), np.zeros(2), np.zeros(2), np.random.default_rng(0)
    found = []
    for t in range(8000):
        y = rng.normal()
        words = np.array([y, 0.0] if t < 4000 else [0.0, y])
        mixed = mixture.mix(regret, spread, words)
        mixture.update_weights(regret, spread, loss, words, mixed, y, 0.999)
        found.append((mixed - y) ** 2)
    assert np.mean(found[100:4000]) < 1e-3
    assert np.mean(found[-1000:]) < 1e-3


def test_what_is_mixed_does_not_change_what_the_network_learns() -> None:
    Y = np.random.default_rng(0).normal(size=(400, 2)).cumsum(axis=0)
    alone, mixed = (model.Learner(model.Config(targets=("a", "b"), units=6, calendar=(), lags=lags)) for lags in (0, 8))
    one, two = alone.observe_many(Y), mixed.observe_many(Y)
    assert not np.array_equal(one.prediction[50:], two.prediction[50:])
    different = {
        name
        for (name, first), (_, second) in zip(arrays(alone.state), arrays(mixed.state), strict=True)
        if not np.array_equal(first, second)
    }
    assert different == {
        "experts.lags", "experts.V", "experts.P", "experts.regret", "experts.spread", "experts.loss",
        "intervals.ring", "intervals.ordered", "intervals.level", "intervals.surprise",
    }  # fmt: skip


def test_the_autoregression_finds_its_coefficients() -> None:
    """Δ_t = 0.6 Δ_{t-1} - 0.3 Δ_{t-2} + noise, by least squares from 5,000 events."""
    rng, change = np.random.default_rng(1), np.zeros(5000)
    for t in range(2, len(change)):
        change[t] = 0.6 * change[t - 1] - 0.3 * change[t - 2] + rng.normal()
    learner = model.Learner(model.Config(targets=("y",), units=2, lags=4, calendar=(), forgetting=1.0))
    learner.observe_many(change.cumsum()[:, None])
    np.testing.assert_allclose(learner.state.experts.V[:4, 0], [0.6, -0.3, 0.0, 0.0], atol=0.05)
    newest = change[-4:][::-1]
    np.testing.assert_allclose(learner.state.experts.lags[0], newest, rtol=1e-9)


@pytest.mark.parametrize("lags", [0, 48])
def test_a_random_walk_costs_little_more_than_persistence(lags: int) -> None:
    """Nothing can be learnt there; beside the network persistence speaks, and keeps the loss near its own."""
    Y = np.random.default_rng(2).normal(size=(3000, 1)).cumsum(axis=0)
    out = model.Learner(model.Config(targets=("y",), lags=lags)).observe_many(Y)
    ratio = out.loss[50:].mean() / out.baseline_loss[50:].mean()
    assert ratio > 1.0
    if lags:
        assert ratio < 1.02


def test_an_event_without_a_value_enters_the_lags_as_it_was_predicted() -> None:
    learner = model.Learner(model.Config(targets=("y",), units=4, lags=5, calendar=()))
    learner.observe_many(np.random.default_rng(3).normal(size=(50, 1)).cumsum(axis=0))
    value, V = learner.state.scales.value[0], learner.state.experts.V.copy()
    out = learner.observe([np.nan])
    assert learner.state.experts.lags[0, 0] == out.prediction[0] - value
    assert np.array_equal(V, learner.state.experts.V)
