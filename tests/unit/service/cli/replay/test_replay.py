"""The scores of a replay."""

import math

import pytest

from nobacktrack.service.cli.replay.replay import Report
from nobacktrack.service.cli.scores import Scores
from nobacktrack.service.schemas import Event, Outcome


def outcome(**prediction: float | None) -> Outcome:
    return Outcome(
        version=1, prediction={**prediction}, lower={}, upper={}, loss=None, baseline_loss=None, anomaly=None, next=None
    )


def test_only_events_where_all_three_values_exist_count() -> None:
    scores = Scores(["a"])
    scores.add(Event(y={"a": 1.0}), outcome(a=None))  # no prediction, no last value
    scores.add(Event(y={"a": 3.0}), outcome(a=None))  # no prediction
    scores.add(Event(y={"a": None}), outcome(a=100.0))  # nothing to compare with
    scores.add(Event(y={"a": 7.0}), outcome(a=6.0))  # last value is 3
    scores.add(Event(y={"a": 7.0}), outcome(a=5.0))
    score = scores.targets["a"]
    assert score.scored == 2
    assert score.rmse == pytest.approx(math.sqrt((1 + 4) / 2))
    assert score.persistence_rmse == pytest.approx(math.sqrt((16 + 0) / 2))
    assert score.ratio == pytest.approx(math.sqrt(5 / 16))


def test_zero_is_a_value() -> None:
    scores = Scores(["a"])
    for _ in range(2):
        scores.add(Event(y={"a": 0.0}), outcome(a=0.0))
    assert scores.targets["a"].scored == 1
    assert scores.targets["a"].rmse == 0.0
    assert scores.targets["a"].ratio is None, "persistence was never wrong"


def test_the_ratio_of_all_targets_is_the_root_of_the_mean_square() -> None:
    scores = Scores(["a", "b", "never"])
    scores.add(Event(y={"a": 0.0, "b": 0.0}), outcome())
    scores.add(Event(y={"a": 10.0, "b": 2.0}), outcome(a=4.0, b=0.4))
    assert scores.targets["a"].ratio == pytest.approx(0.6)
    assert scores.targets["b"].ratio == pytest.approx(0.8)
    assert scores.ratio == pytest.approx(math.sqrt((0.36 + 0.64) / 2))
    report = Report("s", version=2, events=2, seconds=0.5, scores=scores)
    assert report.events_per_second == 4.0
    assert report.to_dict()["targets"]["never"] == {
        "scored": 0,
        "rmse": None,
        "persistence_rmse": None,
        "ratio": None,
    }
    assert report.to_table().row_count == 4
