"""Series of real numbers: the squared error one or more steps ahead, learning and frozen, against plain predictors.

Everything is predicted before it is learnt, from the first event on; the learner's settings are the package's defaults
but for what is named.
"""

from collections.abc import Callable, Mapping

import numpy as np

from nobacktrack.model import Outcomes
from nobacktrack.model.types import Float64
from tests.bench.learning import autoregression, door, tasks
from tests.bench.learning.tasks import NotAvailable, Series

CHAOTIC: Mapping[str, Callable[[int, int], Series]] = {"Mackey-Glass": tasks.mackey_glass, "Lorenz": tasks.lorenz}
ETT_SCALE, ETT_SCORED = slice(0, 2880), slice(3600, 14400)
"""Rows by whose mean and deviation each variable is standardised, and rows over which the error is taken."""
ETT_PATHS = (24, 48)
NAB_FIRST = autoregression.LAGS + 2
"""Events that do not count, until every predictor has its inputs."""
Fields = Mapping[str, object]


def _outcomes(series: Series, fields: Fields, seed: int) -> Outcomes:
    names = tuple(f"y{i}" for i in range(series.values.shape[1]))
    return door.learner(targets=names, seed=seed, **fields).observe_many(series.values, times=series.times)


def chaotic(task: str, seed: int, length: int, fields: Fields | None) -> dict[str, float]:
    """Mean squared error over the variance, of the second half; persistence where `fields` is None."""
    series = CHAOTIC[task](seed, length)
    half, values = length // 2, series.values
    if fields is None:
        error = values[half:] - values[half - 1 : -1]
    else:
        error = values[half:] - _outcomes(series, fields, seed).prediction[half:]
    return {"error": float(np.mean(error**2) / values[half:].var())}


def _standardised(values: Float64) -> Float64:
    known = values[ETT_SCALE]
    return np.asarray((values - known.mean(axis=0)) / known.std(axis=0))


def ett(seed: int, fields: Fields | None) -> dict[str, float]:
    """ETTh1 one step ahead: mean squared error over the scored rows and the seven variables; None is persistence."""
    series = tasks.etth1()
    end = ETT_SCORED.stop
    series = series._replace(values=_standardised(series.values)[:end], times=series.times[:end])
    truth = series.values[ETT_SCORED]
    if fields is None:
        error = truth - series.values[ETT_SCORED.start - 1 : end - 1]
    else:
        error = truth - _outcomes(series, fields, seed).prediction[ETT_SCORED]
    return {"error": float(np.mean(error**2))}


def ett_ahead(seed: int, subject: str, fields: Fields | None) -> dict[str, float]:
    """ETTh1 along the next H values: for H = 24, 48, the mean over all H steps, and the last of them alone.

    A step h counts over the scored rows r, with the forecast made at row r-h. `subject` may be "persistence" (y_{r-h})
    or "same hour yesterday" (the newest value of that hour known at r-h); at 24 and 48 steps they are the same.
    """
    series = tasks.etth1()
    values = _standardised(series.values)[: ETT_SCORED.stop]
    longest = max(ETT_PATHS)
    forecasts = None
    if fields is not None:
        series = series._replace(values=values, times=series.times[: ETT_SCORED.stop])
        forecasts = _outcomes(series, {"horizons": longest, **fields}, seed)
    errors = np.empty(longest)
    rows = np.arange(ETT_SCORED.start, ETT_SCORED.stop)
    for h in range(1, longest + 1):
        if forecasts is not None:
            guess = door.ahead(forecasts, h)[rows - h]
        elif subject == "persistence":
            guess = values[rows - h]
        else:
            guess = values[rows - series.day * -(-h // series.day)]
        errors[h - 1] = np.mean((values[rows] - guess) ** 2)
    if np.isnan(errors).any():
        raise NotAvailable("some forecasts are missing")
    return {f"path {H}": float(errors[:H].mean()) for H in ETT_PATHS} | {
        f"step {H}": float(errors[H - 1]) for H in ETT_PATHS
    }


def nab(seed: int, fields: Fields | None, longest: int | None = None) -> dict[str, float]:
    """Root mean square error over persistence's, for each series, and geometric mean; `fields` None: autoregression."""
    ratios: dict[str, float] = {}
    for name, whole in tasks.nab().items():
        series = whole._replace(values=whole.values[:longest], times=whole.times[:longest])
        y = series.values[:, 0]
        guess = autoregression.predict(y) if fields is None else _outcomes(series, fields, seed).prediction[:, 0]
        error, change = y[NAB_FIRST:] - guess[NAB_FIRST:], y[NAB_FIRST:] - y[NAB_FIRST - 1 : -1]
        ratios[name] = float(np.sqrt(np.mean(error**2) / np.mean(change**2)))
    return ratios | {"geometric mean": float(np.exp(np.mean(np.log(list(ratios.values())))))}
