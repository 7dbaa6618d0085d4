"""The quality of a learner's gradient: many draws of the random signs beside exact RTRL, on copies of the learner."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .config import MAX_RTRL_PARAMETERS, Config
from .initial_state import initial
from .learner import Learner
from .state import Network, State, copy
from .types import Float64


class Diagnosis(NamedTuple):
    """The estimated gradient g of the last event's loss, compared with the exact gradient G over S draws of the
    signs."""

    samples: int
    """S: number of draws."""
    bias_z: float
    """|mean g - G|² over its expectation for an unbiased estimator, Σ Var(g)/S: about 1 when unbiased."""
    squared_error: float
    """Mean of |g - G|²/|G|²."""
    cosine: float
    """Mean cosine of the angle between g and G."""


def diagnose(learner: Learner, Y: npt.ArrayLike, X: npt.ArrayLike | None = None, samples: int = 100) -> Diagnosis:
    """Compare the estimated gradient of the last event's loss with that of exact RTRL.

    Y (T, q) and X (T, inputs) are T >= 2 events that follow the learner's state. Copies of the learner in float64,
    with frozen recurrent weights and tangents that begin at 0, read all events: `samples` >= 2 copies with different
    seeds and one with exact RTRL (R. Williams, D. Zipser, 1989). The learner itself does not change.

    Raises ValueError when the network is too large for exact RTRL, the estimator is `frozen`, there are fewer than 2
    events or samples, or the exact gradient is 0 because the last event has no target.
    """
    config = learner.config
    if config.estimator == "frozen":
        raise ValueError("a frozen learner has no gradient to judge")
    if config.units * config.parameters > MAX_RTRL_PARAMETERS:
        raise ValueError(f"exact RTRL keeps units x parameters numbers, at most {MAX_RTRL_PARAMETERS}")
    Y = np.atleast_2d(np.asarray(Y, np.float64))
    if len(Y) < 2 or samples < 2:
        raise ValueError("diagnosing needs at least 2 events and 2 samples")
    inputs = None if X is None else np.atleast_2d(np.asarray(X, np.float64))
    exact = _gradient(learner, _frozen_weights(config, estimator="rtrl"), Y, inputs)
    size = float(np.linalg.norm(exact))
    if size == 0.0:
        raise ValueError("the exact gradient of the last event is 0: end with an event that has a target")
    drawn = np.array(
        [_gradient(learner, _frozen_weights(config, seed=seed), Y, inputs) for seed in range(1, samples + 1)]
    )
    errors = drawn - exact
    mean_variance = float(drawn.var(axis=0, ddof=1).sum()) / samples
    distance = float((errors.mean(axis=0) ** 2).sum())
    lengths = np.maximum(np.linalg.norm(drawn, axis=1), np.finfo(float).tiny)
    return Diagnosis(
        samples=samples,
        bias_z=distance / mean_variance if mean_variance > 0.0 else (math.inf if distance > 0.0 else 0.0),
        squared_error=float((errors**2).sum(axis=1).mean() / size**2),
        cosine=float((drawn @ exact / (lengths * size)).mean()),
    )


def _frozen_weights(config: Config, **more: Any) -> Config:
    """The configuration of a copy whose recurrent weights do not move."""
    return dataclasses.replace(
        config, dtype="float64", optimiser="sgd", learning_rate=0.0, learning_rate_decay=0.0, **more
    )


def _gradient(learner: Learner, config: Config, Y: Float64, X: Float64 | None) -> Float64:
    """The gradient (P,) of the last event's loss: the step that gradient descent with step size 1 takes."""
    clone = Learner.from_state(config, _with_fresh_tangents(learner.state, initial(config)))
    clone.observe_many(Y[:-1], None if X is None else X[:-1])
    stepper = Learner.from_state(dataclasses.replace(config, learning_rate=1.0), clone.state)
    before = stepper.state.network.W.copy()
    stepper.observe_many(Y[-1:], None if X is None else X[-1:])
    return np.asarray((before - stepper.state.network.W).ravel())


def _with_fresh_tangents(state: State, fresh: State) -> State:
    """The state `fresh` with all parts of `state` except its tangents and its optimiser's moments."""
    network = Network(
        W=state.network.W.astype(np.float64),
        m0=fresh.network.m0,
        m1=fresh.network.m1,
        m2=fresh.network.m2,
        h=state.network.h.astype(np.float64),
        p=state.network.p.astype(np.float64),
        rates=state.network.rates.copy(),
        powers=fresh.network.powers,
    )
    other = copy(state)
    return fresh._replace(
        clock=other.clock,
        network=network,
        readout=other.readout,
        scales=other.scales,
        experts=other.experts,
        intervals=other.intervals,
    )
