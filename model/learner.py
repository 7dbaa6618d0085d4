"""The learner: a configuration, its complete state, and the functions that read and change the state."""

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
    """Predictions of the next H events, in units of the targets; NaN before a target has been seen.

    Each field has the shape (H, o): o targets, or one probability for each symbol of the alphabet.
    """

    mean: Float64
    """(H, o): predicted values."""
    lower: Float64
    """(H, o): lower ends of the 90 % intervals; NaN for symbols."""
    upper: Float64
    """(H, o): upper ends of the 90 % intervals; NaN for symbols."""


class Learner:
    """An online learner: it predicts each event, scores the prediction and learns from the event.

    Only `observe` and `observe_many` change it. Two threads must not use one learner at once; a call releases the
    interpreter lock while it computes. In the shapes below, q is the number of targets and o that of the outputs.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._rules = rules(config)
        self._state = initial(config)

    @classmethod
    def from_state(cls, config: Config, state: State) -> Self:
        """A learner that continues from `state` (of the shapes that `config` asks for) and owns it from then on."""
        learner = cls.__new__(cls)
        learner.config, learner._rules, learner._state = config, rules(config), state
        return learner

    @property
    def version(self) -> int:
        """Number of events learnt."""
        return int(self._state.clock[0])

    @property
    def state(self) -> State:
        """The complete state. Read it; do not write to it."""
        return self._state

    @property
    def step_size(self) -> float:
        """η of the next step of the recurrent parameters, with Adam's `error_scale`; 0 for the estimator `frozen`."""
        config, state = self.config, self._state
        if config.estimator == "frozen":
            return 0.0
        eta = step_sizes.step_size(config.learning_rate, config.learning_rate_decay, int(state.clock[1]))
        return eta * step_sizes.error_scale(state.scales.losses) if config.optimiser == "adam" else eta

    @property
    def nbytes(self) -> int:
        """Size of the complete state in bytes."""
        return sum(array.nbytes for _, array in arrays(self._state))

    def observe(self, y: npt.ArrayLike, x: npt.ArrayLike | None = None, time: float | None = None) -> Outcomes:
        """Predict, score and learn one event.

        y (q,): values of the targets, or the index of the symbol; NaN where missing. x (inputs,): values of the inputs,
        NaN where missing. time: seconds since the epoch. The fields of the outcome have no leading axis: `version` is a
        number, `prediction` has the shape (o,). Raises ValueError as `observe_many` does.
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
        """Predict, score and learn T events in order; the result equals that of T calls of `observe` bit for bit.

        Y (T, q): targets, NaN where missing. X (T, inputs): inputs, NaN where missing; required when the configuration
        has inputs. times (T,): seconds since the epoch, NaN where unknown. Raises ValueError, with nothing learnt, for
        a wrong shape, a value beyond ±1e100, or a symbol that is not an index of the alphabet.
        """
        targets = self._targets(Y)
        inputs = self._inputs(X, len(targets))
        out = outcomes(len(targets), self.config)
        step.observe(self._state, self._rules, targets, inputs, self._times(times, len(targets)), out)
        return out

    def forecast(self, horizon: int, X: npt.ArrayLike | None = None, times: npt.ArrayLike | None = None) -> Forecast:
        """Predict the next `horizon` events; the learner does not change.

        X (horizon, inputs): inputs of those events, NaN where missing; required when the configuration has inputs.
        times (horizon,): seconds since the epoch; by default the events come at the mean interval. Raises ValueError
        for a horizon below 1, a wrong shape or a value beyond ±1e100.
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
        """SHA-256 in hex over the configuration and the complete state; equal learners have equal digests."""
        digest = hashlib.sha256(self.config.fingerprint().encode())
        for name, array in arrays(self._state):
            digest.update(name.encode() + b"\0")
            digest.update(array.tobytes())
        return digest.hexdigest()

    def copy(self) -> Self:
        """An equal learner that shares no memory with this one."""
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
    """The numbers in an array of the type that the kernels are compiled for.

    A read-only or unaligned array has another type, for which numba would compile every kernel again.
    """
    return np.require(values, np.float64, ["C_CONTIGUOUS", "ALIGNED", "WRITEABLE"])
