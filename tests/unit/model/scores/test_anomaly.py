"""The anomaly score on made-up streams: quiet on noise, loud on a spike and on a run of large errors."""

from collections.abc import Callable

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.scores import anomaly, intervals

W = intervals.WINDOW


def scores(errors: np.ndarray) -> np.ndarray:
    """Score of each absolute error of one target."""
    ring, ordered, total, out = np.zeros(W), np.zeros(W), anomaly.MEAN_SUM, np.empty(len(errors))
    for count, error in enumerate(errors):
        total = anomaly.accumulate(total, anomaly.p_value(ordered, count, error))
        out[count] = anomaly.score(anomaly.combined_p_value(total), 1)
        intervals.insert(ring, ordered, count, error)
    return out


def noise(kind: str, size: int, seed: int = 0) -> np.ndarray:
    draw: Callable[..., np.ndarray] = getattr(np.random.default_rng(seed), kind)
    return np.asarray(np.abs(draw(size=size)))


@pytest.mark.parametrize("kind", ["normal", "laplace", "uniform"])
def test_on_noise_a_window_has_a_score_above_s_with_probability_one_minus_s_at_most(kind: str) -> None:
    found = scores(noise(kind, 400 * W))[W:]
    windows = found.reshape(-1, W).max(axis=1)
    # 399 windows: the standard error of a share of a tenth is 0.015.
    assert (windows > 0.99).mean() <= 0.02
    assert (windows > 0.9).mean() <= 0.13
    assert found.mean() < 0.01


def test_the_largest_of_a_window_is_nothing_special() -> None:
    first = [noise("normal", W, seed).max() for seed in range(30)]
    after = [scores(np.append(noise("normal", 600, 100 + i), error))[-1] for i, error in enumerate(first)]
    assert np.median(after) < 0.5


def test_a_spike_of_eight_sigma_is_seen_at_that_event() -> None:
    found = [scores(np.append(noise("normal", 600, seed), 8.0))[-1] for seed in range(20)]
    assert min(found) > 0.85
    assert np.median(found) > 0.97
    # With four errors in the tail one knows less.
    assert np.median([scores(np.append(noise("normal", 40, seed), 8.0))[-1] for seed in range(20)]) > 0.9


def test_a_run_of_errors_none_of_which_would_be_enough() -> None:
    found = np.array([scores(np.append(noise("normal", 600, seed), np.full(6, 3.0))) for seed in range(10)])
    assert np.median(found[:, 600]) < 0.2
    assert found[:, -1].min() > 0.95


def test_a_level_of_large_errors_stays_near_one_and_then_becomes_ordinary() -> None:
    found = scores(np.append(noise("normal", 600), np.full(100, 8.0)))
    assert found[601:615].min() > 0.99
    assert found[-20:].max() < 0.1


def test_tail_is_counting_below_the_threshold_and_a_power_above() -> None:
    ordered = np.sort(noise("normal", W))
    level, index = ordered[W - 26], (1.0 + np.log(ordered[-25:] / ordered[W - 26]).sum()) / 29
    for error in (0.0, ordered[10], level):
        assert anomaly.p_value(ordered, W, error) == (1 + (ordered >= error).sum()) / (W + 1)
    for error in (1.01 * level, 3.0 * level):
        expected = 26 / (W + 1) * (error / level) ** (-1 / index)
        assert anomaly.p_value(ordered, W, error) == pytest.approx(expected, rel=1e-12)


def test_the_sum_of_ordinary_errors_has_the_probability_that_it_says() -> None:
    """Uniform p: the moments of the fading sum are exact, its distribution nearly so."""
    rng, total, found = np.random.default_rng(1), anomaly.MEAN_SUM, []
    for p in rng.uniform(size=200_000):
        total = anomaly.accumulate(total, p)
        found.append(anomaly.combined_p_value(total))
    for level in (0.5, 0.1, 0.01):
        assert (np.array(found) < level).mean() == pytest.approx(level, rel=0.3)


def test_a_jump_on_a_stream_that_was_predicted_exactly() -> None:
    Y = np.append(np.full(300, 5.0), 6.0)[:, None]
    found = model.Learner(model.Config(targets=("y",), units=4)).observe_many(Y).anomaly
    assert found[10:300].max() < 0.01
    assert found[300] > 0.99


def test_a_learner_sees_a_spike_in_one_of_its_targets() -> None:
    rng = np.random.default_rng(3)
    Y = rng.normal(size=(1000, 3))
    Y[900, 1] += 12.0
    found = model.Learner(model.Config(targets=("a", "b", "c"), units=8, calendar=())).observe_many(Y).anomaly
    assert found[900] > 0.9
    assert np.median(found[500:900]) < 0.01
