"""A learner: configuration and complete state, with the door of this package."""

import hashlib
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from model import signs, step
from model.cells import GATES, spread_rates
from model.config import Config
from model.intervals import MISCOVERAGE, WINDOW
from model.readout import PRIOR
from model.scaling import LARGEST, fits
from model.state import Intervals, Network, Readout, Scales, State, Tangent, aligned, arrays, copy
from model.step import Outcomes
from model.types import Float64


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
        self._rules = step.rules(config)
        self._state = initial(config)

    @classmethod
    def from_state(cls, config: Config, state: State) -> Self:
        """A learner that goes on from `state`, which it owns from then on."""
        learner = cls.__new__(cls)
        learner.config, learner._rules, learner._state = config, step.rules(config), state
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
    def nbytes(self) -> int:
        """Bytes of the complete state."""
        return sum(array.nbytes for _, array in arrays(self._state))

    def observe(self, y: npt.ArrayLike, x: npt.ArrayLike | None = None, time: float | None = None) -> Outcomes:
        """Predict, score and learn one event; y (q,) with NaN = missing, x (inputs,), time in seconds since the epoch.

        The fields of the outcome lose their leading axis: `version` is a number, `prediction` (q,).
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
        targets = self._matrix("Y", Y, len(self.config.targets))
        inputs = self._inputs(X, len(targets))
        del times  # the configurations of today read no clock
        out = step.outcomes(len(targets), len(self.config.targets))
        step.observe(self._state, self._rules, targets, inputs, out)
        return out

    def forecast(self, horizon: int, X: npt.ArrayLike | None = None) -> Forecast:
        """Predict the next `horizon` events, given the inputs X (horizon, inputs) where there are any.

        Changes nothing. Raises ValueError for a horizon below 1 or inputs of the wrong shape.
        """
        if horizon < 1:
            raise ValueError("horizon must be at least 1")
        inputs = self._inputs(X, horizon)
        wide = (horizon, len(self.config.targets))
        result = Forecast(np.empty(wide), np.empty(wide), np.empty(wide))
        step.forecast(self._state, inputs, *result)
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
        matrix = np.ascontiguousarray(values, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != columns:
            raise ValueError(f"{name} must have the shape (T, {columns})")
        if not fits(matrix):
            raise ValueError(f"every number in {name} must lie within ±{LARGEST:g}")
        return matrix

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


def initial(config: Config) -> State:
    """The state at version 0; every number follows from the configuration."""
    real = np.dtype(config.dtype)
    n, m, q, x = config.units, config.network_inputs, len(config.targets), len(config.inputs)
    k, K = n + m + 1, GATES[config.cell] * n
    adam = (k, K) if config.optimiser == "adam" and config.estimator != "frozen" else (0, 0)
    rank_one, exact = config.estimator == "nobacktrack", config.estimator == "rtrl"
    W = aligned((k, K), real)
    signs.fill_weights(W, n, config.gain, config.seed)
    rates = np.empty(n)
    spread_rates(rates, float(config.time_constants[0]), float(config.time_constants[1]))
    return State(
        clock=np.zeros(2, np.int64),
        network=Network(
            W=W,
            m1=aligned(adam, real),
            m2=aligned(adam, real),
            h=np.zeros(n, real),
            p=aligned((K,), real, 1536),
            rates=rates,
            powers=np.ones(2),
        ),
        tangent=Tangent(
            v=np.zeros(n * rank_one, real),
            w=aligned((k, K) if rank_one else (0, 0), real),
            q=aligned((K * rank_one,), real, 2560),
            w_norm=np.zeros(1),
            J=np.zeros((n, k, K) if exact else (0, 0, 0), real),
        ),
        readout=Readout(V=np.zeros((k, q)), P=PRIOR * np.eye(k)),
        scales=Scales(
            seen=np.zeros(q, np.int64),
            last=np.zeros(q),
            mean=np.zeros(q),
            variance=np.zeros(q),
            change=np.zeros(q),
            fed=np.zeros(3 * q),
            value=np.zeros(q),
            x_seen=np.zeros(x, np.int64),
            x_mean=np.zeros(x),
            x_variance=np.zeros(x),
        ),
        intervals=Intervals(
            seen=np.zeros(q, np.int64),
            ring=np.zeros((q, WINDOW)),
            ordered=np.zeros((q, WINDOW)),
            level=np.full(q, MISCOVERAGE),
        ),
    )


