"""What the network reads of the time."""

import math

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.numerics.elementary import wave
from nobacktrack.model.seasons import calendar

SEASONS = np.array([[86_400.0, 2.0], [604_800.0, 1.0]])


def read(time: float, clock: list[float]) -> list[float]:
    z = np.full(9, np.nan)
    assert calendar.write_features(z, 1, time, np.array(clock), SEASONS) == 8
    return [float(number) for number in z[1:8]]


@pytest.mark.parametrize("turns", [0.0, 0.25, 0.5, 0.123, -0.4, 7.9, 1e6 + 0.3])
def test_wave(turns: float) -> None:
    exact = 2 * math.pi * (turns - round(turns))
    assert wave(turns) == pytest.approx((math.sin(exact), math.cos(exact)), abs=2**-50)


def test_phases_of_each_season() -> None:
    six_in_the_morning = 6 * 3600.0
    found = read(six_in_the_morning, [0.0, 0.0, -1.0])
    week = 2 * math.pi * 0.25 / 7
    assert found == pytest.approx([0.0, 1.0, 0.0, 0.0, -1.0, math.sin(week), math.cos(week)], abs=1e-14)
    # A day later the day's phase is the same.
    assert read(six_in_the_morning + 86_400, [0.0, 0.0, -1.0])[1:5] == pytest.approx(found[1:5], abs=1e-12)


def test_no_time_is_all_zeros() -> None:
    assert read(math.nan, [100.0, 60.0, 5.0]) == [0.0] * 7


@pytest.mark.parametrize(
    ("time", "interval"),
    [(160.0, 0.0), (220.0, math.log(2)), (130.0, -math.log(2)), (100.0, 0.0), (50.0, 0.0)],
)
def test_interval(time: float, interval: float) -> None:
    assert read(time, [100.0, 60.0, 5.0])[0] == pytest.approx(interval, abs=1e-15)


def test_the_clock_keeps_the_mean_interval_and_does_not_go_back() -> None:
    clock = np.array([0.0, 0.0, -1.0])
    for time in (math.nan, 1000.0, 1060.0, 1030.0, math.nan, 1060.0, 1180.0):
        calendar.update_clock(clock, time)
    assert clock.tolist() == [1180.0, 90.0, 2.0]
    assert calendar.expected_time(clock, 2) == 1360.0


def test_a_gap_of_a_year_does_not_swamp_the_mean_interval() -> None:
    clock = np.array([0.0, 60.0, 1000.0])
    calendar.update_clock(clock, 3.15e7)
    assert clock[1] < 61.0


def test_a_daily_wave_at_irregular_times_is_learnt_from_the_clock_alone() -> None:
    """Values that jump at random times: only the phase of the day says where they are."""
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(1e3, 4e4, 2000))
    Y = np.sin(2 * np.pi * times / 86_400)[:, None]
    with_clock = model.Learner(model.Config(targets=("y",), units=16)).observe_many(Y, times=times)
    without = model.Learner(model.Config(targets=("y",), units=16, calendar=())).observe_many(Y, times=times)
    assert with_clock.loss[-500:].mean() < 0.01 < 0.1 < without.loss[-500:].mean()
