"""The state of a learner that has seen no event; every number follows from the configuration."""

import numpy as np

from .ahead import heads, ladder, quantiles
from .config import GATES, Config
from .interface import CELLS
from .network.cells import set_biases, spread_rates
from .network.readout import PRIOR
from .numerics import random_signs
from .numerics.step_sizes import PRIOR_SQUARE
from .scores.anomaly import MEAN_SUM
from .scores.intervals import MISCOVERAGE, WINDOW
from .seasons.profile import SLOTS
from .state import Ahead, Experts, Intervals, Network, Readout, Scales, State, Tangent, aligned


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
        ahead=_ahead(*((0, 0) if config.alphabet is not None else (len(config.targets), len(config.inputs)))),
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
    s, K = (L + 2 + len(config.calendar), 4) if L else (0, 0)
    variances = np.full(s, PRIOR)
    variances[:L] /= np.arange(1, L + 1)
    return Experts(
        lags=np.zeros((q, L)),
        V=np.zeros((s, q)),
        P=np.tile(np.diag(variances), (q if L else 0, 1, 1)),
        regret=np.zeros((q, K)),
        spread=np.zeros((q, K)),
        loss=np.zeros((q, 2)),
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


def _ahead(q: int, x: int = 0) -> Ahead:
    R, E = len(ladder.RUNGS), ladder.EXPERTS
    s_1, s_2 = ladder.FEATURES_1, ladder.FEATURES_2
    variances = np.full(s_1, heads.PRIOR)
    variances[: ladder.CHANGES] /= np.arange(1, ladder.CHANGES + 1)
    variances[-1] = heads.PRIOR_OF_1
    return Ahead(
        counts=np.zeros((q, 4), np.int64),
        ring=np.zeros((q, ladder.RING)),
        differences=np.zeros((q, ladder.PERIODS)),
        usual=np.zeros((q, 2, ladder.PERIODS)),
        began=np.zeros((q, 2), np.int64),
        deviations=np.zeros((q, 6)),
        levels=np.zeros((q, 13)),
        regret=np.zeros((q, R, E)),
        spread=np.zeros((q, R, E)),
        judged=np.zeros((q, R, 7)),
        due=np.full((q, R, ladder.SLOTS), -1),
        waiting=np.zeros((q, R, ladder.SLOTS, E + 4)),
        quantiles=np.tile(np.array(quantiles.START) * quantiles.NORMAL, (q, R, 2, 1)),
        sizes=np.ones((q, R, 2, 2)),
        V_1=np.zeros((q, R, s_1)),
        P_1=np.tile(np.diag(variances), (q, 1, 1)),
        V_2=np.zeros((q, R, s_2)),
        P_2=np.tile(heads.PRIOR * np.eye(s_2), (q, 1, 1)),
        head_1=np.zeros((q, R)),
        head_2=np.zeros((q, R)),
        head_due=np.full((q, R, ladder.HEAD_SLOTS), -1),
        head_waiting=np.zeros((q, R, ladder.HEAD_SLOTS, heads.RECORD)),
        quiet=np.zeros((q, 2)),
        effects=np.zeros((q, x)),
        trusted=np.zeros((q, 4)),
        raw=np.zeros(q),
        inputs=np.zeros(x),
        input_seen=np.zeros(x, np.int64),
        P_inputs=np.zeros((x, x)),
        input_step=np.zeros(x),
        input_gain=np.zeros(x),
    )
