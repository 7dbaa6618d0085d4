"""Arguments of the kernels beside the state (rules, scratch space), and their results (outcomes)."""

from typing import NamedTuple

import numpy as np

from .config import HARMONICS, PERIODS, Config
from .types import Array, Float64, Int64

FROZEN, NOBACKTRACK, TRACES, UORO, RTRL = 0, 1, 2, 3, 4
ESTIMATORS = ("frozen", "nobacktrack", "nobacktrack-traces", "uoro", "rtrl")
OPTIMISERS = ("sgd", "adam", "kalman")
CELLS = ("leaky", "gru")
RLS, GRADIENT = 0, 1
READOUTS = ("rls", "gradient")

SHRUNK, SKIPPED = 1, 2
"""Bits of `Outcomes.guarded`: a tangent was cut to its bound; a step was not taken and the tangents were reset."""


class Rules(NamedTuple):
    """A configuration in the numbers that the kernels read."""

    cell: int
    estimator: int
    optimiser: int
    residual_weight: float
    """λ of the traces' residual; negative means `auto`."""
    learning_rate: float
    learning_rate_decay: float
    readout: int
    forgetting: float
    seed: int
    symbols: bool
    """Whether the target is a symbol."""
    seasons: Float64
    """(s, 2): period in seconds and number of harmonics of each season."""


class Outcomes(NamedTuple):
    """Predictions, scores and measurements of T events. NaN means that there is no such number.

    The outcome of one event has the same fields without the leading T. The learner itself does not read them.
    """

    version: Int64
    """(T,): number of events learnt, including this one."""
    prediction: Float64
    """(T, o): prediction made before y was used: values of the targets, or probabilities of the symbols."""
    lower: Float64
    """(T, o): lower end of the 90 % interval; NaN for symbols."""
    upper: Float64
    """(T, o): upper end of the 90 % interval; NaN for symbols."""
    loss: Float64
    """(T,): mean of (y - ŷ)²/s² over the targets present, with s² the mean square of the changes so far; or -log₂ p of
    the symbol, in bits."""
    baseline_loss: Float64
    """(T,): the same loss of persistence; for symbols, of the symbols' frequencies so far."""
    anomaly: Float64
    """(T,): in [0, 1]; the probability that a whole window of ordinary events has no errors as surprising as the newest
    few (see `scores.anomaly`)."""
    ahead: Float64
    """(T, H, o): forecasts of the next H values, made after y was used; NaN when the configuration has inputs, because
    those of the next event are not known yet."""
    gradient_norm: Float64
    """(T,): upper bound on the norm of the recurrent gradient; for exact RTRL the norm itself."""
    tangent_norm: Float64
    """(T,): largest |v||w| of the rank-one tangents; 0 where there are none."""
    residual_weight: Float64
    """(T,): λ, the weight of the traces' residual that was used."""
    guarded: Int64
    """(T,): SHRUNK where a tangent was cut to its bound, SKIPPED where a step was not taken and the tangents reset."""

    @property
    def next(self) -> Float64:
        """(T, o): forecast of the next event, the first step of `ahead`."""
        return self.ahead[..., 0, :]


class Work(NamedTuple):
    """Scratch space of one call; its contents mean nothing between two events."""

    z: Array
    """(k,) real: what every unit reads, [h, u, 1]."""
    a: Array
    """(K,) real: pre-activations."""
    h: Array
    """(n,) real: the new state."""
    c: Array
    """(n,) real: direct derivative."""
    D: Array
    """(K,) real: derivative of the new state by the pre-activations."""
    b: Array
    """(K,) real: δ∘D."""
    d: Array
    """(K,) real: Aᵀδ of the column's unit."""
    own: Array
    """(K,) real: A_ii of the column's unit, its influence on itself."""
    e: Array
    """(R, K) real: coefficients of the newest term of w."""
    g: Array
    """(3, K) real: one row of the gradient, its bias row, the Kalman filter's sums."""
    s: Array
    """(R,) real: weight of each tangent in the gradient."""
    decay: Array
    """(R,) real: 1/ρ0."""
    f: Float64
    """(n,): A v."""
    delta_f: Float64
    """(R,): δ·f of each tangent."""
    sizes: Float64
    """(n,): |F_i|, norm of each unit's immediate derivative."""
    delta: Float64
    """(n,): ∂ℓ/∂h."""
    signs: Float64
    """(R, n): the random signs of this event."""
    phi: Float64
    """(p,): features of the readout."""
    kappa: Float64
    """(p,): gain κ of the readout's least squares."""
    scaled: Float64
    """(H, o): ŷ of every head, as a change in units of the scale; or the probabilities of the symbols."""
    ahead: Float64
    """(H, o): the same in the units of the targets."""
    gradient: Array
    """(k, K) real: gradient of exact RTRL."""
    J: Array
    """(n, k, K) real: scratch of `rtrl.advance`."""
    lagged: Float64
    """(q, s): features of each target's autoregression."""
    gain: Float64
    """(s,): gain κ of the autoregression's least squares."""
    expert_predictions: Float64
    """(q, E): prediction of each expert, as a change in units of the scale."""
    forecasts: Float64
    """(6, FEATURES_1): scratch of the forecaster of many steps."""
    mixed: Float64
    """(o,): the mixture of the experts one step ahead, in the same units; or the probabilities."""
    errors: Float64
    """(o,): ŷ - y of a head, in units of the scale, or p - 1_y; NaN where there is no target."""


def rules(config: Config) -> Rules:
    """The rules of a configuration, for the kernels."""
    return Rules(
        cell=CELLS.index(config.cell),
        estimator=ESTIMATORS.index(config.estimator),
        optimiser=OPTIMISERS.index(config.optimiser),
        residual_weight=-1.0 if config.residual_weight == "auto" else float(config.residual_weight),
        learning_rate=config.learning_rate,
        learning_rate_decay=config.learning_rate_decay,
        readout=READOUTS.index(config.readout),
        forgetting=config.forgetting,
        seed=config.seed,
        symbols=config.alphabet is not None,
        seasons=np.array([(PERIODS[name], HARMONICS[name]) for name in config.calendar]).reshape(-1, 2),
    )


def outcomes(count: int, config: Config) -> Outcomes:
    """Empty arrays for the outcomes of `count` events."""
    wide, narrow = (count, config.outputs), (count,)
    return Outcomes(
        version=np.zeros(narrow, np.int64),
        prediction=np.empty(wide), lower=np.empty(wide), upper=np.empty(wide),
        loss=np.empty(narrow), baseline_loss=np.empty(narrow), anomaly=np.empty(narrow),
        ahead=np.empty((count, config.horizons, config.outputs)),
        gradient_norm=np.zeros(narrow), tangent_norm=np.zeros(narrow), residual_weight=np.zeros(narrow),
        guarded=np.zeros(narrow, np.int64),
    )  # fmt: skip
