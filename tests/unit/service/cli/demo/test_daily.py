"""The made-up series: its seasons, and that there is something to learn in it."""

import numpy as np
import pytest

from nobacktrack.model import Config, Learner
from nobacktrack.service.cli.demo.daily import PERIODS, Seasons


def series(seconds: int, start: float = 0.0) -> np.ndarray:
    """A measurement a second."""
    times = iter(range(seconds))
    source = Seasons(lambda: start + next(times), seed=1)
    samples = [source.sample() for _ in range(seconds)]
    assert all(list(sample) == list(Seasons.units) for sample in samples)
    return np.array([list(sample.values()) for sample in samples], dtype=float)


def test_it_has_the_seasons_that_it_says() -> None:
    seconds = round(PERIODS[-1]) * 2
    spectrum = np.abs(np.fft.rfft(series(seconds)[:, 0]))
    largest = set(np.argsort(spectrum[1:])[-3:] + 1)
    assert largest == {round(seconds / period) for period in PERIODS}


def test_it_goes_on_with_the_clock() -> None:
    """But for the noise, which is small beside the seasons."""
    visits = series(1000)[:, 0]
    assert np.ptp(visits) > 100
    assert series(1, start=999.0)[0, 0] == pytest.approx(visits[-1], abs=20)


def test_a_learner_beats_persistence_on_it() -> None:
    learner = Learner(Config(targets=tuple(Seasons.units), units=16))
    outcomes = learner.observe_many(series(600))
    assert np.nansum(outcomes.loss[300:]) < 0.7 * np.nansum(outcomes.baseline_loss[300:])
