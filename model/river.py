"""The learner as an estimator of River (https://riverml.xyz): `NoBackTrackForecaster`.

The only file of this package that needs more than numpy and numba, and nothing else of it imports this one: install
`nobacktrack[river]`, and import it by name.
"""

import math
from calendar import timegm
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from river.time_series.base import Forecaster

from .codec.codec import from_bytes, to_bytes
from .config import Cell, Config, DType, Estimator, Optimiser, Readout, Season
from .learner import Learner
from .types import Float64

Features = Mapping[Any, Any]


class NoBackTrackForecaster(Forecaster):  # type: ignore[misc]
    """A recurrent network trained forward in time, as a forecaster of one number.

    The first `x` decides which exogenous features there are. A feature that is absent from a later `x` counts as a
    missing value; a feature that is new in a later `x` is ignored. None and NaN are missing values, in `y` too: the
    state advances, and nothing is learnt from them. The order of the features does not matter.

    Parameters
    ----------
    time
        Name of the feature that holds the time of the event: a datetime (taken as UTC without a zone) or seconds since
        the epoch. This feature is then not an input of the network.
    calendar
        Seasons whose phase the network reads from the time: `hour`, `day`, `week`, `year`. Without `time` there are
        none.
    lags, horizons, cell, units, time_constants, gain, estimator, rank, residual_weight, optimiser, learning_rate, \
    learning_rate_decay, readout, forgetting, seed, dtype
        As in `model.Config`.

    Examples
    --------

    Predict, then learn, and compare with the last value as prediction:

    >>> import math
    >>> from river import metrics
    >>> from nobacktrack.model.river import NoBackTrackForecaster

    >>> forecaster = NoBackTrackForecaster(units=16)
    >>> error, naive = metrics.MAE(), metrics.MAE()
    >>> last = 0.0
    >>> for t in range(500):
    ...     y = math.sin(t / 5) + math.sin(t / 13)
    ...     if t >= 100:
    ...         error.update(y, forecaster.forecast(horizon=1)[0])
    ...         naive.update(y, last)
    ...     forecaster.learn_one(y)
    ...     last = y
    >>> error.get() < 0.1 * naive.get()
    True

    Do not score a forecaster with River's `evaluate.evaluate` (River 0.26): it asks for the forecast of t+1, t+2, …
    before the forecaster has learnt the value of t, so its step +1 is two steps ahead. This loop learns first:

    >>> from river import evaluate, time_series

    >>> horizon, series = 3, [math.sin(t / 5) + math.sin(t / 13) for t in range(500)]
    >>> forecaster, errors = NoBackTrackForecaster(units=16), time_series.HorizonMetric(metrics.MAE())
    >>> for t in range(len(series) - horizon):
    ...     forecaster.learn_one(series[t])
    ...     errors.update(series[t + 1 : t + 1 + horizon], forecaster.forecast(horizon))

    >>> late = evaluate.evaluate([(None, y) for y in series], NoBackTrackForecaster(units=16), metrics.MAE(), horizon)
    >>> errors.get()[0] < late.get()[0]
    True

    References
    ----------
    Ollivier, Tallec, Charpiat: Training recurrent networks online without backtracking (arXiv:1507.07680).
    """

    def __init__(
        self,
        time: str | None = None,
        calendar: tuple[Season, ...] = ("day", "week"),
        lags: int = 48,
        horizons: int = 1,
        cell: Cell = "leaky",
        units: int = 64,
        time_constants: tuple[float, float] = (1.0, 30.0),
        gain: float = 0.9,
        estimator: Estimator = "nobacktrack-traces",
        rank: int = 1,
        residual_weight: float | str = 0.0,
        optimiser: Optimiser = "adam",
        learning_rate: float = 1e-3,
        learning_rate_decay: float = 0.1,
        readout: Readout = "rls",
        forgetting: float = 0.9995,
        seed: int = 0,
        dtype: DType = "float32",
    ) -> None:
        """Raises ConfigError for parameters that no learner can have."""
        self.time = time
        self.calendar = calendar
        self.lags = lags
        self.horizons = horizons
        self.cell = cell
        self.units = units
        self.time_constants = time_constants
        self.gain = gain
        self.estimator = estimator
        self.rank = rank
        self.residual_weight = residual_weight
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.readout = readout
        self.forgetting = forgetting
        self.seed = seed
        self.dtype = dtype
        self._features: tuple[Hashable, ...] = ()
        self._learner: Learner | None = None
        self._config()

    @property
    def learner(self) -> Learner | None:
        """The learner itself, with intervals, anomaly scores and diagnosis; None before the first `learn_one`."""
        return self._learner

    def learn_one(self, y: float | None, x: Features | None = None) -> None:
        """Learn one value `y`; `x` holds the exogenous features that were known before it.

        Raises ValueError, with nothing learnt, for a value that is infinite, or neither a number nor missing.
        """
        features = self._features
        if self._learner is None:
            features = tuple(sorted((name for name in x or {} if name != self.time), key=str))
        inputs, time = self._read(features, x)
        if self._learner is None:
            self._learner, self._features = Learner(self._config(len(features))), features
        self._learner.observe([_number("y", y)], inputs, time)

    def forecast(self, horizon: int, xs: Sequence[Features] | None = None) -> list[float]:
        """The next `horizon` values; NaN before a value has been learnt. Changes nothing.

        `xs` has the features of each step; without it they are missing. Raises ValueError when it has another length.
        """
        if xs is not None and len(xs) != horizon:
            raise ValueError(f"xs must have the features of each of {horizon} steps")
        if self._learner is None:
            return [math.nan] * horizon
        rows = [self._read(self._features, x) for x in (xs if xs is not None else [None] * horizon)]
        known = [time for _, time in rows if time is not None]
        times = known if len(known) == horizon else None
        inputs = np.array([row for row, _ in rows]).reshape(horizon, len(self._features))
        values: list[float] = self._learner.forecast(horizon, inputs, times).mean[:, 0].tolist()
        return values

    def _config(self, inputs: int = 0) -> Config:
        """The configuration, with as many inputs as there are features: their own names may be anything."""
        return Config(
            targets=("y",),
            inputs=tuple(f"x{place}" for place in range(inputs)),
            calendar=() if self.time is None else self.calendar,
            lags=self.lags,
            horizons=self.horizons,
            cell=self.cell,
            units=self.units,
            time_constants=self.time_constants,
            gain=self.gain,
            estimator=self.estimator,
            rank=self.rank,
            residual_weight=self.residual_weight,  # type: ignore[arg-type]
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            learning_rate_decay=self.learning_rate_decay,
            readout=self.readout,
            forgetting=self.forgetting,
            seed=self.seed,
            dtype=self.dtype,
        )

    def _read(self, features: tuple[Hashable, ...], x: Features | None) -> tuple[Float64, float | None]:
        """The features (inputs,) and the time of an event."""
        known = x or {}
        inputs = np.array([_number(name, known.get(name)) for name in features], np.float64)
        return inputs, None if self.time is None else _seconds(known.get(self.time))

    def __getstate__(self) -> dict[str, Any]:
        """The state for pickle and copy: the learner as bytes, which any version of Python and any machine can read."""
        learner = None if self._learner is None else to_bytes(self._learner)
        return {**self.__dict__, "_learner": learner}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`. Raises DamagedState or OtherFormat."""
        learner = state["_learner"]
        self.__dict__.update(state, _learner=None if learner is None else from_bytes(learner))


def _number(name: Hashable, value: Any) -> float:
    """A value, NaN where it is missing."""
    if value is None:
        return math.nan
    try:
        number = float(value) if not isinstance(value, str | bytes) else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise ValueError(f"{name} must be a number, or None where it is missing; the parameter time names a datetime")
    return number


def _seconds(value: Any) -> float | None:
    """Seconds since the epoch; None where the time is missing."""
    if hasattr(value, "utctimetuple"):
        # Not `timestamp`, to which a datetime without a zone is one of this machine's.
        return float(timegm(value.utctimetuple()) + value.microsecond / 1e6)
    if hasattr(value, "timetuple"):
        return float(timegm(value.timetuple()))
    seconds = _number("the time", value)
    return None if math.isnan(seconds) else seconds
