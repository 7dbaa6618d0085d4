"""What `diagnose` says of estimators whose bias is known."""

import numpy as np
import pytest

from nobacktrack import model
from tests.unit.model.streams import stream


def learner(**more: object) -> model.Learner:
    config = model.Config(targets=("y",), units=5, calendar=(), dtype="float64", **more)  # type: ignore[arg-type]
    found = model.Learner(config)
    found.observe_many(stream(config, 60)[0])
    return found


def events() -> np.ndarray:
    return np.sin(np.arange(8) / 2.0)[:, None] * 10 + 100


@pytest.mark.parametrize(
    "more",
    [{"estimator": "nobacktrack"}, {"estimator": "uoro", "rank": 2}, {"residual_weight": 1.0}],
    ids=["nobacktrack", "uoro", "traces"],
)
def test_an_unbiased_estimator(more: dict[str, object]) -> None:
    """The statistic has mean 1 and, over many parameters that share few signs, stays within a few units of it."""
    subject = learner(**more)
    digest = subject.digest()
    found = model.diagnose(subject, events(), samples=400)
    assert subject.digest() == digest
    assert found.samples == 400
    assert found.bias_z < 6
    assert 0.0 < found.cosine < 1.0
    assert found.squared_error > 0.0


def test_traces_alone_are_biased_without_noise() -> None:
    found = model.diagnose(learner(), events(), samples=3)
    assert found.bias_z > 1e12, "the samples are the same but for rounding"
    assert 0.0 < found.squared_error < 1.0
    assert found.cosine > 0.7


def test_exact_rtrl_is_exact() -> None:
    found = model.diagnose(learner(estimator="rtrl", learning_rate=1e-3), events(), samples=2)
    assert (found.bias_z, found.squared_error) == (0.0, 0.0)
    assert found.cosine == pytest.approx(1.0, abs=1e-14)


def test_more_tangents_are_quieter() -> None:
    one, four = (
        model.diagnose(learner(estimator="nobacktrack", rank=rank), events(), samples=400).squared_error
        for rank in (1, 4)
    )
    # The squared error is all variance, which falls as 1/rank; the two learners differ a little in their weights.
    assert 2.0 < one / four < 8.0


@pytest.mark.parametrize(
    ("more", "Y", "message"),
    [
        ({"estimator": "frozen"}, [[1.0], [2.0]], "frozen"),
        ({}, [[1.0]], "at least 2"),
        ({}, [[1.0], [np.nan]], "has a target"),
    ],
)
def test_what_cannot_be_judged(more: dict[str, object], Y: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.diagnose(learner(**more), Y)
