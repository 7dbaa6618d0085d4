"""The usual change in every slot of a season: in its slot, by the clock, and of use."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.seasons import profile

WEEK = 604_800.0


def test_multiples_of_a_slot_are_in_its_middle_whatever_the_clock_does() -> None:
    length = WEEK / profile.SLOTS
    for k in (0, 1, 5, profile.SLOTS - 1, profile.SLOTS, 3 * profile.SLOTS + 2):
        for jitter in (-0.4, 0.0, 0.4):
            assert profile.slot((k + jitter) * length, WEEK) == k % profile.SLOTS
    assert 0 <= profile.slot(-1e100, WEEK) < profile.SLOTS


def test_a_slot_holds_the_fading_mean_of_its_changes() -> None:
    table, seasons = np.zeros((1, profile.SLOTS)), np.array([[WEEK, 2.0]])
    for week, change in enumerate((1.0, -2.0, 0.5)):
        profile.update(table, week * WEEK + 3600.0, change, seasons)
    r = profile.RATE
    assert table[0, 4] == pytest.approx(r * ((1 - r) ** 2 - 2.0 * (1 - r) + 0.5), rel=1e-14)
    assert np.count_nonzero(table) == 1
    profile.update(table, np.nan, 5.0, seasons)
    z = np.full(3, 9.0)
    profile.write_features(z, 1, 5 * WEEK + 3600.0, table[None], seasons)
    assert z.tolist() == [9.0, table[0, 4], 9.0]
    profile.write_features(z, 1, np.nan, table[None], seasons)
    assert z[1] == 0.0


def test_the_mean_of_a_season_is_over_the_slots_in_use() -> None:
    table = np.zeros(profile.SLOTS)
    assert profile.mean_change(table) == 0.0
    table[[3, 9, 40]] = [1.0, -4.0, 6.0]
    assert profile.mean_change(table) == 1.0


def test_a_week_that_no_lag_reaches_is_foreseen_also_with_events_missing() -> None:
    """Hourly changes drawn once and repeated every week, which 48 lags cannot know.

    The slots of the week can, and so can the forecaster, which finds the week by itself.
    """
    rng = np.random.default_rng(0)
    week = rng.normal(size=168)
    times = np.arange(12 * 168) * 3600.0
    Y = np.tile(week - week.mean(), 12).cumsum()[:, None]
    kept = rng.random(len(Y)) > 0.05
    out = {}
    for season in ((), ("week",)):
        learner = model.Learner(model.Config(targets=("y",), units=16, calendar=season))
        found = learner.observe_many(np.where(kept[:, None], Y, np.nan), times=times)
        out[season] = np.nanmean(found.loss[-168:]) / np.nanmean(found.baseline_loss[-168:])
    assert max(out.values()) < 0.5


def test_a_forecast_of_a_day_follows_the_seasons_and_no_forecast_runs_away() -> None:
    rng = np.random.default_rng(1)
    times = np.arange(1000) * 3600.0
    Y = (10 * np.sin(2 * np.pi * np.arange(1000) / 24) + 0.2 * rng.normal(size=1000))[:, None]
    learner = model.Learner(model.Config(targets=("y",), units=16))
    learner.observe_many(Y[:960], times=times[:960])
    ahead = learner.forecast(24).mean[:, 0]
    assert np.mean((ahead - Y[960:984, 0]) ** 2) < 0.3 * np.mean((Y[959] - Y[960:984, 0]) ** 2)
    # Two thousand steps of its own predictions stay where the stream has been.
    assert np.abs(learner.forecast(2000).mean).max() < 2 * np.abs(Y).max()
