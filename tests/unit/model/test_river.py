"""The learner as an estimator of River: River's own checks, and the same bits as the learner itself."""

import copy
import doctest
import inspect
import math
import pickle
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nobacktrack import model
from tests.support.needs import NEEDS

pytest.importorskip("river", reason=f"{NEEDS}the package river")

# River imports what scikit-learn has for other kinds of estimators; for a forecaster it uses nothing of it.
with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    patch.setattr(sys.modules["sklearn"], "datasets", ModuleType("datasets"), raising=False)
    from river import checks, evaluate, metrics, stats, time_series

    from nobacktrack.model import river as face
    from nobacktrack.model.river import NoBackTrackForecaster

    CHECKS = list(checks.yield_checks(NoBackTrackForecaster(units=4)))

START = datetime(2026, 1, 1, tzinfo=UTC)


def small(**parameters: Any) -> NoBackTrackForecaster:
    return NoBackTrackForecaster(units=4, **parameters)


class Last(time_series.base.Forecaster):  # type: ignore[misc]
    """The last value, however far ahead."""

    def __init__(self) -> None:
        self.last = stats.Shift(0)

    def learn_one(self, y: float, x: dict[str, Any] | None = None) -> None:
        self.last.update(y)

    def forecast(self, horizon: int, xs: list[dict[str, Any]] | None = None) -> list[float]:
        return [self.last.get()] * horizon


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_rivers_own_checks(check: Callable[[Any], None]) -> None:
    check(small())


def test_river_has_checks_for_forecasters() -> None:
    names = {check.__name__ for check in CHECKS}
    assert {"check_forecast", "check_learn_one", "check_repr_roundtrips_clone"} <= names


def test_the_example() -> None:
    [example] = [one for one in doctest.DocTestFinder().find(face, "face") if one.examples]
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)


def test_the_parameters_are_those_of_the_configuration() -> None:
    """Every field but those that one number and its features decide; every default the same."""
    signature = inspect.signature(NoBackTrackForecaster).parameters
    defaults = {name: one.default for name, one in signature.items() if name != "time"}
    config = model.Config(targets=("y",)).to_dict()
    for decided in ("targets", "inputs", "alphabet"):
        del config[decided]
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()} == config


def test_it_is_the_learner() -> None:
    learner = model.Learner(model.Config(targets=("y",), inputs=("x0", "x1"), units=4))
    forecaster = small(time="at")
    for n in range(30):
        hours = START + timedelta(hours=n)
        forecaster.learn_one(math.sin(n), {"b": n % 3, "at": hours, "a": n % 2 == 0})
        learner.observe([math.sin(n)], [n % 2 == 0, n % 3], hours.timestamp())
    assert forecaster.learner is not None
    assert forecaster.learner.digest() == learner.digest()
    later = [START + timedelta(hours=30 + n) for n in range(3)]
    expected = learner.forecast(3, [[1.0, n] for n in range(3)], [at.timestamp() for at in later])
    assert forecaster.forecast(3, [{"at": at, "a": 1, "b": n} for n, at in enumerate(later)]) == (
        expected.mean[:, 0].tolist()
    )
    # Without times they come at the mean interval, and without features those are missing.
    assert forecaster.forecast(2) == learner.forecast(2, [[np.nan, np.nan]] * 2).mean[:, 0].tolist()
    assert forecaster.learner.digest() == learner.digest()


def test_the_order_of_features_does_not_matter() -> None:
    one, other = small(), small()
    for n in range(10):
        one.learn_one(n, {"a": n, 2: -n, None: 1.0})
        other.learn_one(n, {None: 1.0, 2: -n, "a": n})
    assert one.forecast(2) == other.forecast(2)


def test_features_that_come_and_go() -> None:
    one, other = small(), small()
    for n in range(20):
        one.learn_one(n % 5, {"a": n % 3})
        other.learn_one(n % 5, {"a": n % 3})
    one.learn_one(1.0, {"new": 7.0})
    other.learn_one(1.0, {"a": None})
    assert one.forecast(1) == other.forecast(1)
    one.learn_one(2.0)
    other.learn_one(2.0, {"a": math.nan})
    assert one.forecast(1, [{"a": 1, "new": 9}]) == other.forecast(1, [{"a": 1}])
    bare = small()
    bare.learn_one(1.0)
    bare.learn_one(2.0, {"late": 1.0})
    assert bare.learner is not None
    assert bare.learner.config.inputs == ()


@pytest.mark.parametrize("missing", [None, math.nan, np.nan])
def test_missing_values(missing: float | None) -> None:
    forecaster = small()
    for n in range(20):
        forecaster.learn_one(missing if n % 4 == 3 else float(n % 5))
    assert forecaster.learner is not None
    assert forecaster.learner.version == 20
    assert all(math.isfinite(value) for value in forecaster.forecast(5))


def test_before_anything_is_known() -> None:
    forecaster = small()
    assert [math.isnan(value) for value in forecaster.forecast(3)] == [True] * 3
    forecaster.learn_one(None)
    assert [math.isnan(value) for value in forecaster.forecast(3)] == [True] * 3
    forecaster.learn_one(7)
    assert forecaster.forecast(2) == [7.0, 7.0]


@pytest.mark.parametrize("number", [True, 3, np.float32(2.5), np.int64(4)])
def test_numbers(number: Any) -> None:
    forecaster = small()
    forecaster.learn_one(number, {"a": number})
    assert forecaster.forecast(1, [{"a": number}]) == [float(number)]


@pytest.mark.parametrize("bad", ["1", b"1", [1.0], {}, START, 1j, math.inf, 1e101])
def test_what_is_no_number_is_not_learnt(bad: Any) -> None:
    forecaster = small()
    first: list[tuple[Any, dict[str, Any] | None]] = [(bad, None), (1.0, {"a": bad})]
    for y, x in first:
        with pytest.raises(ValueError, match="number"):
            small().learn_one(y, x)
    forecaster.learn_one(1.0, {"a": 1.0})
    before = pickle.dumps(forecaster)
    later: list[tuple[Any, dict[str, Any]]] = [(bad, {"a": 1.0}), (1.0, {"a": bad})]
    for y, x in later:
        with pytest.raises(ValueError, match="number"):
            forecaster.learn_one(y, x)
    assert pickle.dumps(forecaster) == before


def test_forecasts_of_a_wrong_length() -> None:
    forecaster = small()
    forecaster.learn_one(1.0, {"a": 1.0})
    with pytest.raises(ValueError, match="each of 3 steps"):
        forecaster.forecast(3, [{"a": 1.0}])
    with pytest.raises(ValueError, match="horizon"):
        forecaster.forecast(0)


def test_times() -> None:
    hour = timedelta(hours=1)
    same = [
        datetime(2026, 1, 1, 12, 30, 15, 500_000),  # noqa: DTZ001 - taken as UTC, that is the point
        datetime(2026, 1, 1, 12, 30, 15, 500_000, tzinfo=UTC),
        datetime(2026, 1, 1, 14, 30, 15, 500_000, tzinfo=timezone(2 * hour)),
        datetime(2026, 1, 1, 12, 30, 15, 500_000, tzinfo=UTC).timestamp(),
    ]
    assert len({face._seconds(value) for value in same}) == 1
    assert face._seconds(date(2026, 1, 1)) == START.timestamp()
    assert face._seconds(None) is face._seconds(math.nan) is None
    with pytest.raises(ValueError, match="must be a number"):
        small(time="at").learn_one(1.0, {"at": "yesterday"})


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301
def test_copies_go_on_bit_for_bit(duplicate: Callable[[Any], Any]) -> None:
    forecaster = small(time="at", estimator="nobacktrack", seed=3)
    for n in range(40):
        forecaster.learn_one(math.sin(n / 3), {"a": n % 4, "at": 60.0 * n})
    twin = duplicate(forecaster)
    assert repr(twin) == repr(forecaster)
    for n in range(40, 60):
        for one in (forecaster, twin):
            one.learn_one(math.sin(n / 3), {"a": n % 4, "at": 60.0 * n})
    assert forecaster.learner is not None
    assert twin.learner.digest() == forecaster.learner.digest()


def test_a_clone_is_new_and_has_the_parameters() -> None:
    forecaster = small(seed=5, time_constants=(2.0, 9.0))
    forecaster.learn_one(1.0)
    clone = forecaster.clone({"units": 6})
    assert (clone.units, clone.seed, clone.time_constants, clone.learner) == (6, 5, (2.0, 9.0), None)
    assert "units=6" in repr(clone)
    whole = forecaster.clone(include_attributes=True)
    assert whole.forecast(1) == forecaster.forecast(1) == [1.0]


def test_a_pickle_that_is_damaged_is_noticed() -> None:
    forecaster = small()
    forecaster.learn_one(1.0)
    state = forecaster.__getstate__()
    blob = bytearray(state["_learner"])
    blob[len(blob) // 2] ^= 1
    with pytest.raises(model.DamagedState):
        small().__setstate__({**state, "_learner": bytes(blob)})


def test_a_configuration_that_cannot_be() -> None:
    with pytest.raises(model.ConfigError, match="units"):
        NoBackTrackForecaster(units=0)


def test_rivers_evaluation_beats_the_last_value() -> None:
    """A season of 24 with noise, 1 to 6 steps ahead, as River evaluates forecasters."""
    noise = np.random.default_rng(1).normal(0.0, 0.1, 1200)
    series = [(None, math.sin(2 * math.pi * n / 24) + noise[n]) for n in range(1200)]

    def errors(forecaster: Any) -> list[float]:
        return list(evaluate.evaluate(iter(series), forecaster, metrics.MAE(), horizon=6).get())

    ours, naive = errors(NoBackTrackForecaster(units=16)), errors(Last())
    assert len(ours) == 6
    assert all(one < other for one, other in zip(ours, naive, strict=True))
    assert ours[5] < 0.5 * naive[5]


def test_rivers_evaluate_is_one_step_late_and_the_documented_loop_is_not() -> None:
    """Of persistence on y_t = t² the error h steps ahead is known: (t+h)² - t²."""
    horizon, series = 2, [float(t * t) for t in range(30)]
    late = evaluate.evaluate([(None, y) for y in series], Last(), metrics.MAE(), horizon)
    # The first forecasts are asked for when 0 to horizon - 1 have been learnt, and scored from horizon + 1 on.
    first = range(horizon, len(series) - horizon)
    assert late.get()[0] == pytest.approx(np.mean([series[t + 1] - series[t - 1] for t in first]))
    forecaster, errors = Last(), time_series.HorizonMetric(metrics.MAE())
    for t in range(len(series) - horizon):
        forecaster.learn_one(series[t])
        errors.update(series[t + 1 : t + 1 + horizon], forecaster.forecast(horizon))
    ahead = [np.mean([series[t + h] - series[t] for t in range(len(series) - horizon)]) for h in (1, 2)]
    assert errors.get() == pytest.approx(ahead)
