"""The state of a learner that has seen no event; every number follows from the configuration."""

import numpy as np

from .config import GATES, Config
from .interface import CELLS
from .network.cells import set_biases, spread_rates
from .network.readout import PRIOR
from .numerics import random_signs
from .numerics.step_sizes import PRIOR_SQUARE
from .scores.anomaly import MEAN_SUM
from .scores.intervals import MISCOVERAGE, WINDOW
from .seasons.profile import SLOTS
from .state import Experts, Intervals, Network, Readout, Scales, State, Tangent, aligned


def initial(config: Config) -> State:
    """The state at version 0."""
    return State(
        clock=np.zeros(2, np.int64),
        network=_network(config),
        tangent=_tangent(config),
        readout=_readout(config),
        scales=_scales(config),
        experts=_experts(config),
        intervals=_intervals(config),
    )


def _network(config: Config) -> Network:
    real, n = np.dtype(config.dtype), config.units
    k, K = n + config.network_inputs + 1, GATES[config.cell] * n
    adaptive = config.optimiser != "sgd" and config.estimator != "frozen"
    moments = (k, K) if adaptive else (0, 0)
    rates = np.empty(n)
    spread_rates(rates, *config.time_constants)
    W = aligned((k, K), real)
    random_signs.fill_weights(W, n, config.gain, config.seed)
    # A state that followed the calendar from the start would hold less of the series. It learns to where that helps.
    W[k - 1 - config.seasonal : k - 1] = 0.0
    set_biases(CELLS.index(config.cell), W, rates)
    m0, m1, m2 = np.zeros(K * adaptive, real), aligned(moments, real), aligned(moments, real)
    if config.optimiser == "kalman":
        m0[:] = m2[:] = PRIOR_SQUARE
    return Network(W, m0, m1, m2, np.zeros(n, real), aligned((K,), real, 1536), rates, np.ones(2))


def _tangent(config: Config) -> Tangent:
    real, n, R = np.dtype(config.dtype), config.units, config.tangents
    k, K = n + config.network_inputs + 1, GATES[config.cell] * n
    traces, exact = config.estimator == "nobacktrack-traces", config.estimator == "rtrl"
    crossing = R * traces
    return Tangent(
        v=np.zeros((R, n), real),
        w=aligned((k, R, K) if R else (0, 0, 0), real),
        q=aligned((R, K), real, 2560),
        w_norm=np.zeros(R),
        S=aligned((k, K) if traces else (0, 0), real),
        x=np.zeros((crossing, n), real),
        W_x=np.zeros((crossing, K), real),
        rho=np.ones(n * traces),
        sizes=np.zeros(n * traces),
        trust=np.zeros(3),
        J=np.zeros((n, k, K) if exact else (0, 0, 0), real),
    )


def _readout(config: Config) -> Readout:
    p, o, q, later = config.units + config.network_inputs + 1, config.outputs, len(config.targets), config.horizons - 1
    by_gradient = config.readout == "gradient"
    moments = (config.horizons, p, o) if by_gradient else (0, 0, 0)
    return Readout(
        V=np.zeros((config.horizons, p, o)),
        P=PRIOR * np.eye(0 if by_gradient else p),
        M1=np.zeros(moments),
        M2=np.zeros(moments),
        powers=np.ones((config.horizons, 2)),
        steps=np.zeros(config.horizons, np.int64),
        ring_phi=np.zeros((later, p)),
        ring_kappa=np.zeros((later, p)),
        ring_last=np.zeros((later, q)),
        ring_seen=np.zeros((later, q), np.int64),
        ring_ahead=np.zeros((later, later, q)),
    )


def _scales(config: Config) -> Scales:
    q, x = len(config.targets), len(config.inputs)
    return Scales(
        seen=np.zeros(q, np.int64),
        last=np.zeros(q),
        mean=np.zeros(q),
        variance=np.zeros(q),
        change=np.zeros(q),
        losses=np.ones(2),
        value=np.zeros(q),
        fed=np.zeros(config.fed_back),
        profile=np.zeros((q if config.alphabet is None else 0, len(config.calendar), SLOTS)),
        x_seen=np.zeros(x, np.int64),
        x_mean=np.zeros(x),
        x_variance=np.zeros(x),
        counts=np.zeros(0 if config.alphabet is None else len(config.alphabet)),
        clock=np.array([0.0, 0.0, -1.0]),
    )


def _experts(config: Config) -> Experts:
    q, L = len(config.targets), config.lags
    s, K = (L + 2 + len(config.calendar), 3) if L else (0, 0)
    variances = np.full(s, PRIOR)
    variances[:L] /= np.arange(1, L + 1)
    return Experts(
        lags=np.zeros((q, L)),
        V=np.zeros((s, q)),
        P=np.tile(np.diag(variances), (q if L else 0, 1, 1)),
        regret=np.zeros((q, K)),
        spread=np.zeros((q, K)),
    )


def _intervals(config: Config) -> Intervals:
    heads, q = config.horizons, len(config.targets)
    return Intervals(
        seen=np.zeros((heads, q), np.int64),
        ring=np.zeros((heads, q, WINDOW)),
        ordered=np.zeros((heads, q, WINDOW)),
        level=np.full((heads, q), MISCOVERAGE),
        surprise=np.full(q, MEAN_SUM),
    )
