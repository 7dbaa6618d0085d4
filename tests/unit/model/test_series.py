"""On the real series of the benchmark: it predicts better than persistence, and the intervals cover what they say."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nobacktrack import model
from tests.support.needs import DATA, needs_data

FILES = sorted((DATA / "nab").glob("*/*.csv"))
pytestmark = [needs_data("nab"), pytest.mark.slow]


def series(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp() for row in rows]
    return np.array([[float(row["value"])] for row in rows]), np.array(times)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nine_in_ten_values_are_inside_the_interval(path: Path) -> None:
    Y, times = series(path)
    out = model.Learner(model.Config(targets=("value",))).observe_many(Y, times=times)
    inside = (out.lower <= Y) & (out.upper >= Y)
    assert 0.88 <= inside[500:].mean() <= 0.92


def test_taxi_rides_are_predicted_well_with_the_defaults() -> None:
    [path] = [path for path in FILES if path.stem == "nyc_taxi"]
    Y, times = series(path)
    for given, bound in ((None, 0.6), (times, 0.5)):
        out = model.Learner(model.Config(targets=("value",))).observe_many(Y, times=given)
        error = np.sqrt(((out.prediction[1:] - Y[1:]) ** 2).mean() / (np.diff(Y, axis=0) ** 2).mean())
        assert error < bound


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_forecasts_that_run_ahead_do_not_run_away(path: Path) -> None:
    """48 steps from every 101st event of the last two thirds: near the values that the series has had."""
    Y, times = series(path)
    Y, times = Y[:6000], times[:6000]
    learner = model.Learner(model.Config(targets=("value",)))
    at, step = len(Y) // 3, 101
    learner.observe_many(Y[:at], times=times[:at])
    while at + 48 <= len(Y):
        ahead, low, high = learner.forecast(48).mean, Y[:at].min(), Y[:at].max()
        assert low - (high - low) / 2 <= ahead.min() <= ahead.max() <= high + (high - low) / 2
        learner.observe_many(Y[at : at + step], times=times[at : at + step])
        at += step


def test_forecasts_of_two_days_are_better_than_the_last_value() -> None:
    """48 steps from every 101st event: geometric mean over the series of the ratio of root mean squared errors."""
    ratios = []
    for path in FILES:
        Y, times = series(path)
        Y, times = Y[:6000], times[:6000]
        learner, at, step, error, persistence = (
            model.Learner(model.Config(targets=("value",))),
            len(Y) // 3,
            101,
            0.0,
            0.0,
        )
        learner.observe_many(Y[:at], times=times[:at])
        while at + 48 <= len(Y):
            error += ((learner.forecast(48).mean - Y[at : at + 48]) ** 2).sum()
            persistence += ((Y[at - 1] - Y[at : at + 48]) ** 2).sum()
            learner.observe_many(Y[at : at + step], times=times[at : at + step])
            at += step
        ratios.append((error + 1e-9) / (persistence + 1e-9))
    assert np.exp(np.mean(np.log(ratios)) / 2) < 0.85
