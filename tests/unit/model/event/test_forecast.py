"""What is said of many steps, of late values and after a change of scale, on series whose right answers are known.

The values at which the tests hold are those of simple rules on the same input, or better: each is named in its test.
"""

import numpy as np
import numpy.typing as npt
import pytest

from nobacktrack import model

Float64 = npt.NDArray[np.float64]
HOUR = 3600.0
TABLE = np.random.default_rng(5).uniform(0, 100, 24)


def daily(count: int, seed: int) -> Float64:
    """An hourly series of the same day again and again, with noise of deviation 2."""
    return 100 + TABLE[np.arange(count) % 24] + 2 * np.random.default_rng(seed).standard_normal(count)


def learner(**config: object) -> model.Learner:
    return model.Learner(model.Config.from_dict({"targets": ["y"], **config}))


def rmse(errors: Float64) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def rolling(y: Float64, times: Float64 | None, steps: int, start: int, every: int) -> tuple[Float64, Float64]:
    """Errors and hits of the 90 % intervals (origins, steps) of forecasts from every so many events on."""
    one: model.Learner = learner()
    errors: list[Float64] = []
    inside: list[npt.NDArray[np.bool_]] = []
    one.observe_many(y[:start, None], times=None if times is None else times[:start])
    for at in range(start, len(y) - steps + 1, every):
        ahead, true = one.forecast(steps), y[at : at + steps]
        errors.append(ahead.mean[:, 0] - true)
        inside.append((ahead.lower[:, 0] <= true) & (true <= ahead.upper[:, 0]))
        one.observe_many(y[at : at + every, None], times=None if times is None else times[at : at + every])
    return np.array(errors), np.array(inside)


@pytest.mark.parametrize("timed", [True, False])
def test_a_day_is_foreseen_better_than_yesterday_tells_it(timed: bool) -> None:
    """Yesterday's values err by 2.83, the shape itself by 2."""
    y = daily(1400, 1)
    times: Float64 | None = np.arange(1400.0) * HOUR if timed else None
    errors, inside = rolling(y, times, 48, 480, 24)
    assert rmse(errors) < 2.6
    assert 0.82 <= inside.mean() <= 0.96


@pytest.mark.parametrize("seed", range(3))
def test_growth_goes_on(seed: int) -> None:
    """Each value 1 ± 0.5 more than the last: 200 steps on 200 more, and t + noise reaches 1099 after 100 steps."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(1 + rng.uniform(-0.5, 0.5, 3200))
    one = learner()
    one.observe_many(walk[:3000, None])
    ahead = one.forecast(200)
    assert abs(ahead.mean[-1, 0] - walk[2999] - 200) < 15
    assert np.mean((walk[3000:] >= ahead.lower[:, 0]) & (walk[3000:] <= ahead.upper[:, 0])) > 0.5
    two = learner()
    two.observe_many((np.arange(1000) + rng.standard_normal(1000))[:, None])
    line = two.forecast(100)
    assert abs(line.mean[-1, 0] - 1099) < 25
    assert line.lower[-1, 0] < 1099 < line.upper[-1, 0]


@pytest.mark.parametrize("period", [24, 96, 100])
def test_a_period_is_found_without_being_told(period: int) -> None:
    """The last period as forecast errs by 2.83."""
    y = 100 + 150 * np.sin(2 * np.pi * np.arange(3000) / period)
    y += 2 * np.random.default_rng(period).standard_normal(3000)
    errors, inside = rolling(y, None, period, 2000, 37)
    assert rmse(errors) < 3.0
    assert 0.8 <= inside.mean() <= 0.97


def test_twelve_years_of_months_with_a_trend() -> None:
    """The same month of last year errs by more than 20."""
    t = np.arange(156)
    y = (100 + 2 * t) * (1 + 0.2 * np.sin(2 * np.pi * t / 12)) + 3 * np.random.default_rng(5).standard_normal(156)
    one = learner()
    one.observe_many(y[:144, None])
    assert rmse(one.forecast(12).mean[:, 0] - y[144:]) < 14


def test_inputs_reach_every_step() -> None:
    rng = np.random.default_rng(2)
    p = rng.uniform(0, 1, 2000)
    one = learner(inputs=["p"], horizons=3)
    one.observe_many((100 + 30 * p + rng.standard_normal(2000))[:, None], p[:, None])
    for value in (0.0, 1.0):
        np.testing.assert_allclose(one.forecast(5, np.full((5, 1), value)).mean[:, 0], 100 + 30 * value, atol=1.5)


def test_noise_keeps_its_width() -> None:
    """90 % of normal noise of deviation 10 is 33 wide, however far ahead; uniform noise stays near its range."""
    rng = np.random.default_rng(3)
    one, two = learner(), learner()
    one.observe_many(10 * rng.standard_normal((3000, 1)))
    ahead = one.forecast(48)
    assert 27 < np.mean(ahead.upper - ahead.lower) < 40
    two.observe_many(rng.uniform(0, 100, (3000, 1)))
    far = two.forecast(1000)
    assert -110 < far.lower[-1, 0] < 20
    assert 80 < far.upper[-1, 0] < 210


def test_growth_by_a_share_is_followed() -> None:
    """Of 1 % an event: less than 5 % of each change is missed."""
    y = 1.01 ** np.arange(600)
    out = learner().observe_many(y[:, None])
    assert np.mean(np.abs(out.prediction[400:, 0] - y[400:]) / np.diff(y)[399:]) < 0.05


@pytest.mark.parametrize("late", [1, 3, 6, 12])
def test_labels_that_come_late_cost_little(late: int) -> None:
    """A forecast by the season alone errs by 2.5, however late."""
    y, times = daily(1440, 4), HOUR * np.arange(1440)
    one, errors, inside = learner(), [], []
    one.observe_many(y[:1000, None], times=times[:1000])
    for at in range(1000, 1400, 7):
        pending = one.copy().observe_many(np.full((late + 1, 1), np.nan), times=times[at : at + late + 1])
        errors.append(pending.prediction[-1, 0] - y[at + late])
        inside.append(pending.lower[-1, 0] <= y[at + late] <= pending.upper[-1, 0])
        one.observe_many(y[at : at + 7, None], times=times[at : at + 7])
    assert rmse(np.array(errors)) < 3.3
    assert np.mean(inside) >= 0.8


def test_missing_values_do_no_harm() -> None:
    y, times, rng = daily(4000, 6), HOUR * np.arange(4000), np.random.default_rng(6)
    missing = rng.random(4000) < 0.01
    out = learner().observe_many(np.where(missing, np.nan, y)[:, None], times=times)
    after = np.flatnonzero(missing[1000:-1] & ~missing[1001:]) + 1001
    assert rmse(out.prediction[after, 0] - y[after]) < 3.3
    assert not np.any(out.anomaly[after] > 0.99)
    half = np.where(rng.random(4000) < 0.5, np.nan, y)
    out = learner().observe_many(half[:, None], times=times)
    assert rmse(out.prediction[2000:, 0] - y[2000:]) < 4
    gap = y[:1449].copy()
    gap[1400:1448] = np.nan
    out = learner().observe_many(gap[:, None], times=times[:1449])
    assert rmse(out.prediction[1400:, 0] - y[1400:1449]) < 4


@pytest.mark.parametrize("stamp", [(1000, 4.07e9), (0, -1.5e9)])
def test_one_wrong_stamp_does_not_spoil_forecasts(stamp: tuple[int, float]) -> None:
    y, times = daily(1464, 7), 1.7e9 + HOUR * np.arange(1464)
    place, times[place] = stamp[0], stamp[1]
    one = learner()
    one.observe_many(y[:1440, None], times=times[:1440])
    assert rmse(one.forecast(24).mean[1:, 0] - y[1441:]) < 3.3


def test_a_series_that_is_divided_by_a_thousand() -> None:
    """From the fiftieth event after it on as good as the last value, and better soon."""
    t = np.arange(6000)
    y = 1000 + 100 * np.sin(2 * np.pi * t / 50) + 2 * np.random.default_rng(8).standard_normal(6000)
    y[3000:] /= 1000
    errors, changes = learner().observe_many(y[:, None]).prediction[:, 0] - y, np.diff(y, prepend=y[0])
    assert rmse(errors[3050:3100]) < 1.5 * rmse(changes[3050:3100])
    assert rmse(errors[3100:]) < 0.6 * rmse(changes[3100:])


@pytest.mark.parametrize(("first", "offset"), [(65535.0, 50.0), (0.0, 1e9)])
def test_an_absurd_first_reading_is_forgotten(first: float, offset: float) -> None:
    rng, walk = np.random.default_rng(9), np.zeros(3000)
    for t in range(1, 3000):
        walk[t] = 0.9 * walk[t - 1] + rng.standard_normal()
    clean = offset + 2.5 * walk + 5 * np.sin(np.arange(3000) * 2 * np.pi / 24)
    spoilt = clean.copy()
    spoilt[0] = first
    right, found = (learner().observe_many(y[:, None]).prediction[500:, 0] - clean[500:] for y in (clean, spoilt))
    assert rmse(found) < 1.1 * rmse(right)


def test_a_rare_input_and_a_pulse_that_never_lasts() -> None:
    """promo is 1 in every 200th event and adds 1000; a pulse without an input is over at the next event."""
    rng = np.random.default_rng(10)
    promo = (np.arange(6000) % 200 == 199).astype(float)
    y = 100 + 1000 * promo + rng.uniform(-1, 1, 6000)
    out = learner(inputs=["promo"]).observe_many(y[:, None], promo[:, None])
    errors, changes = (out.prediction[:, 0] - y)[4000:], np.diff(y)[3999:]
    assert rmse(errors) < 0.13 * rmse(changes)
    out = learner().observe_many(y[:, None])
    after = np.flatnonzero(promo[:-1]) + 1
    assert np.abs(out.prediction[after[-5:], 0] - 100).max() < 60
