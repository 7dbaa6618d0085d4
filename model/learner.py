"""A learner: configuration and complete state, with the door of this package."""

import hashlib
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .config import Config
from .event import forecast as ahead
from .event import observe as step
from .initial_state import initial
from .interface import Outcomes, outcomes, rules
from .numerics import step_sizes
from .numerics.scaling import LARGEST, fits
from .state import State, arrays, copy
from .types import Float64


class Forecast(NamedTuple):
    """Predictions of the next H values of q targets, each (H, q); NaN before a target has been seen."""

    mean: Float64
    lower: Float64
    upper: Float64


class Learner:
    """Learns from one event after the other; the only thing that changes it is `observe` and `observe_many`.

    Not safe for two threads at once; a call releases the interpreter lock while it computes.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._rules = rules(config)
        self._state = initial(config)

    @classmethod
    def from_state(cls, config: Config, state: State) -> Self:
        """A learner that goes on from `state`, which it owns from then on."""
        learner = cls.__new__(cls)
        learner.config, learner._rules, learner._state = config, rules(config), state
        return learner

    @property
    def version(self) -> int:
        """Events learnt."""
        return int(self._state.clock[0])

    @property
    def state(self) -> State:
        """The complete state; to be read, not written."""
        return self._state

    @property
    def step_size(self) -> float:
        """η of the next step of the recurrent parameters, Adam's `error_scale` included; 0 where they are frozen."""
        config, state = self.config, self._state
        if config.estimator == "frozen":
            return 0.0
        eta = step_sizes.step_size(config.learning_rate, config.learning_rate_decay, int(state.clock[1]))
        return eta * step_sizes.error_scale(state.scales.losses) if config.optimiser == "adam" else eta

    @property
    def nbytes(self) -> int:
        """Bytes of the complete state."""
        return sum(array.nbytes for _, array in arrays(self._state))

    def observe(self, y: npt.ArrayLike, x: npt.ArrayLike | None = None, time: float | None = None) -> Outcomes:
        """Predict, score and learn one event; y (q,) with NaN = missing, x (inputs,), time in seconds since the epoch.

        The fields of the outcome lose their leading axis: `version` is a number, `prediction` (o,).
        """
        many = self.observe_many(
            np.atleast_1d(np.asarray(y, np.float64))[None],
            None if x is None else np.atleast_1d(np.asarray(x, np.float64))[None],
            None if time is None else [time],
        )
        return Outcomes(*(field[0] for field in many))

    def observe_many(
        self, Y: npt.ArrayLike, X: npt.ArrayLike | None = None, times: npt.ArrayLike | None = None
    ) -> Outcomes:
        """T events in order, the same bits as T calls of `observe`; Y (T, q), X (T, inputs), times (T,).

        Raises ValueError, with nothing learnt, for a wrong shape, an infinite value or one beyond ±1e100.
        """
        targets = self._targets(Y)
        inputs = self._inputs(X, len(targets))
        out = outcomes(len(targets), self.config)
        step.observe(self._state, self._rules, targets, inputs, self._times(times, len(targets)), out)
        return out

    def forecast(self, horizon: int, X: npt.ArrayLike | None = None, times: npt.ArrayLike | None = None) -> Forecast:
        """Predict the next `horizon` events, given the inputs X (horizon, inputs) where there are any.

        Without times (horizon,) the events are taken to come at the mean interval. Changes nothing. Raises ValueError
        for a horizon below 1 or inputs of the wrong shape.
        """
        if horizon < 1:
            raise ValueError("horizon must be at least 1")
        inputs = self._inputs(X, horizon)
        wide = (horizon, self.config.outputs)
        result = Forecast(np.empty(wide), np.empty(wide), np.empty(wide))
        clock = self._state.scales.clock
        if times is None and clock[2] > 0:
            times = clock[0] + clock[1] * np.arange(1, horizon + 1)
        ahead.forecast(self._state, self._rules, inputs, self._times(times, horizon), *result)
        return result

    def digest(self) -> str:
        """SHA-256, hex, over configuration and complete state."""
        digest = hashlib.sha256(self.config.fingerprint().encode())
        for name, array in arrays(self._state):
            digest.update(name.encode() + b"\0")
            digest.update(array.tobytes())
        return digest.hexdigest()

    def copy(self) -> Self:
        """A learner that is equal and shares nothing."""
        return self.from_state(self.config, copy(self._state))

    def _matrix(self, name: str, values: npt.ArrayLike, columns: int) -> Float64:
        matrix = _plain(values)
        if matrix.ndim != 2 or matrix.shape[1] != columns:
            raise ValueError(f"{name} must have the shape (T, {columns})")
        if not fits(matrix):
            raise ValueError(f"every number in {name} must lie within ±{LARGEST:g}")
        return matrix

    def _targets(self, Y: npt.ArrayLike) -> Float64:
        matrix = self._matrix("Y", Y, len(self.config.targets))
        if self.config.alphabet is not None:
            known = matrix[~np.isnan(matrix)]
            if not np.all((known == np.floor(known)) & (known >= 0) & (known < len(self.config.alphabet))):
                raise ValueError(f"a symbol must be its index in the alphabet, 0 to {len(self.config.alphabet) - 1}")
        return matrix

    def _times(self, times: npt.ArrayLike | None, count: int) -> Float64:
        if times is None:
            return np.full(count, np.nan)
        values = _plain(np.atleast_1d(np.asarray(times, np.float64)))
        if values.shape != (count,) or not fits(values[None]):
            raise ValueError(f"times must be {count} numbers within ±{LARGEST:g}")
        return values

    def _inputs(self, X: npt.ArrayLike | None, count: int) -> Float64:
        names = self.config.inputs
        if X is None:
            if names:
                raise ValueError(f"X is missing: the inputs are {', '.join(names)}")
            return np.empty((count, 0))
        matrix = self._matrix("X", X, len(names))
        if len(matrix) != count:
            raise ValueError(f"X must have {count} rows")
        return matrix


def _plain(values: npt.ArrayLike) -> Float64:
    """The numbers in an array of the type that the kernels were compiled for.

    One that is read-only or not aligned is of another, for which everything would be compiled once more.
    """
    return np.require(values, np.float64, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])
