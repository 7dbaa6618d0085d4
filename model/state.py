"""The complete state of a learner: everything that the next event needs, as named arrays.

Shapes: n units, K = G·n pre-activations, m network inputs, k = n+m+1 rows, p = n+m+1 features of the readout, q
targets, A symbols, x inputs, H horizons, R rank-one tangents, L lags of an autoregression of s features, E experts.
`real` is the configuration's dtype. An array that a configuration does not use has no elements, so that one compiled
kernel serves all configurations. The names of the fields are part of the stored format and of the digest.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .types import Array, Float64, Int64

PAGE = 4096
"""Bytes of a memory page."""
LARGE = 256 * 1024
"""Copies of arrays of at least this many bytes are aligned; smaller ones stay in the processor's nearest caches."""


class Network(NamedTuple):
    """The recurrent network and its optimiser."""

    W: Array
    """(k, K) real: recurrent parameters; rows are hidden units, inputs, bias."""
    m0: Array
    """(K,) real: Kalman's mean square of the bias gradients."""
    m1: Array
    """(k, K) real: Adam's first moment; Kalman's mean products with the bias gradient."""
    m2: Array
    """(k, K) real: Adam's second moment; Kalman's mean squares."""
    h: Array
    """(n,) real: the state."""
    p: Array
    """(K,) real: Wᵀh over the hidden rows, ready for the next event."""
    rates: Float64
    """(n,): α of each unit."""
    powers: Float64
    """(2,): β₁ᵗ and β₂ᵗ of Adam's bias correction."""


class Tangent(NamedTuple):
    """An estimate of ∂h/∂W: R rank-one tangents v ⊗ w, with or without the traces S; or the exact J."""

    v: Array
    """(R, n) real: the factor over the units."""
    w: Array
    """(k, R, K) real: the factor over the parameters."""
    q: Array
    """(R, K) real: Wᵀv over the hidden rows, ready for the next event."""
    w_norm: Float64
    """(R,): root of the expected |w|² given the tangent's past (see `gradient.nobacktrack.balance`)."""
    S: Array
    """(k, K) real: own-unit traces."""
    x: Array
    """(R, n) real: signs times ρ with which the traces enter v ⊗ w at the next event."""
    W_x: Array
    """(R, K) real: Wᵀx over the hidden rows, ready for the next event."""
    rho: Float64
    """(n,): ρ of each unit's trace; positive."""
    sizes: Float64
    """(n,): bound on |S_i| of each unit."""
    trust: Float64
    """(3,): running means from which λ is estimated, and their number of events (see `traces.residual_weight`)."""
    J: Array
    """(n, k, K) real: exact influence."""


class Readout(NamedTuple):
    """The linear readout: one head for each step ahead of a regression, or one softmax over symbols."""

    V: Float64
    """(H, p, o): o = q targets, or A symbols (H = 1)."""
    P: Float64
    """(p, p), symmetric to the last bit: covariance of recursive least squares."""
    M1: Float64
    """(H, p, o): Adam's first moment of a readout that is learnt by gradient."""
    M2: Float64
    """(H, p, o): Adam's second moment."""
    powers: Float64
    """(H, 2): β₁ᵗ and β₂ᵗ of each head."""
    steps: Int64
    """(H,): steps of Adam that each head has taken."""
    ring_phi: Float64
    """(H-1, p): features of the newest events, for the heads whose target is still to come; row = version mod (H-1)."""
    ring_kappa: Float64
    """(H-1, p): gains of the same events; 0 where nothing was learnt from the event."""
    ring_last: Float64
    """(H-1, q): the newest values before the same events."""
    ring_seen: Int64
    """(H-1, q): number of values seen before the same events."""
    ring_ahead: Float64
    """(H-1, H-1, q): forecasts that the heads made at the same events."""


class Scales(NamedTuple):
    """Running statistics of targets, inputs and times, and the network inputs that tell of the last event."""

    seen: Int64
    """(q,): number of values seen of each target."""
    last: Float64
    """(q,): newest value seen; 0 before the first."""
    mean: Float64
    """(q,): running mean of the values."""
    variance: Float64
    """(q,): running variance of the values."""
    change: Float64
    """(q,): running mean square of the changes."""
    losses: Float64
    """(2,): running means of the squared errors of network and of persistence, in units of the changes (see
    `step_sizes.error_scale`)."""
    value: Float64
    """(q,): the newest value, or its prediction where it was missing."""
    fed: Float64
    """(f,): what the network reads of the past at the next event: level, change and missing flag of each target; or one
    number a symbol and a missing flag."""
    profile: Float64
    """(q, seasons, slots): usual change of each target in each slot of each season (see `seasons.profile`)."""
    x_seen: Int64
    """(x,): number of values seen of each input."""
    x_mean: Float64
    """(x,): running mean of each input."""
    x_variance: Float64
    """(x,): running variance of each input."""
    counts: Float64
    """(A,): occurrences of each symbol."""
    clock: Float64
    """(3,): time of the newest event that had one, running mean of the intervals, intervals seen."""


class Experts(NamedTuple):
    """The autoregression of each target, and the statistics that weigh the experts (see `experts`)."""

    lags: Float64
    """(q, L): the newest changes, predicted ones where values were missing; the newest first."""
    V: Float64
    """(s, q): coefficients; s = L + 2 + seasons."""
    P: Float64
    """(q, s, s), each symmetric to the last bit: covariances of recursive least squares."""
    regret: Float64
    """(q, E): regret R of each expert (see `experts.mixture`)."""
    spread: Float64
    """(q, E): sum S of squared regrets of each expert."""
    loss: Float64
    """(q, 2): running mean of the mixture's squared errors, and their number."""


class Intervals(NamedTuple):
    """The newest absolute errors of each head and target, in units of its scale."""

    seen: Int64
    """(H, q): number of errors seen."""
    ring: Float64
    """(H, q, window): the errors in the order of time; the oldest is overwritten first."""
    ordered: Float64
    """(H, q, window): the same errors in ascending order."""
    level: Float64
    """(H, q): the level α that the interval aims at now."""
    surprise: Float64
    """(q,): fading sum of -ln of the tail probabilities of the newest errors one step ahead (see `scores.anomaly`)."""


class Ahead(NamedTuple):
    """The forecaster of each target (see `ahead.forecaster`); R rungs, E experts, K quantiles as in `ahead.ladder`."""

    counts: Int64
    """(q, 4): values so far, filled ones included; the two periods, 0 = none; missing values since the newest."""
    ring: Float64
    """(q, RING): the newest values; number t stands in place t mod RING."""
    differences: Float64
    """(q, PERIODS): D of each candidate period (see `ahead.periods`)."""
    usual: Float64
    """(q, 2, PERIODS): usual value of each phase of the two periods."""
    began: Int64
    """(q, 2): number of the value with which each usual value begins."""
    deviations: Float64
    """(q, 6): the newest deviations from the usual value, the newest first."""
    levels: Float64
    """(q, 13): running means (see `ahead.ladder`)."""
    regret: Float64
    """(q, R, E): weights of the mixtures (see `ahead.combination`)."""
    spread: Float64
    """(q, R, E)."""
    judged: Float64
    """(q, R, 7): how each rung did."""
    due: Int64
    """(q, R, SLOTS): numbers of the values for which predictions wait."""
    waiting: Float64
    """(q, R, SLOTS, E + 4): what the experts, the mixture and the gated mixture said, and the two scales."""
    quantiles: Float64
    """(q, R, 2, K): quantiles of the errors in units of each scale (see `ahead.quantiles`)."""
    sizes: Float64
    """(q, R, 2, 2): mean absolute error in each unit, and pinball loss."""
    V_1: Float64
    """(q, R, FEATURES_1): heads of the changes (see `ahead.heads`)."""
    P_1: Float64
    """(q, FEATURES_1, FEATURES_1)."""
    V_2: Float64
    """(q, R, FEATURES_2): heads of the deviations."""
    P_2: Float64
    """(q, FEATURES_2, FEATURES_2)."""
    head_1: Float64
    """(q, R): what the heads predict from the newest value, in units of the scale."""
    head_2: Float64
    """(q, R)."""
    head_due: Int64
    """(q, R, HEAD_SLOTS): numbers of the values for which heads wait."""
    head_waiting: Float64
    """(q, R, HEAD_SLOTS, RECORD): their gains and features."""
    quiet: Float64
    """(q, 2): changes in a row that were small beside the scale, and the largest of them (see `event.observe`)."""
    effects: Float64
    """(q, x): what a unit of each input adds to each target (see `ahead.inputs`)."""
    trusted: Float64
    """(q, 4): whether the effects count; events, squared errors and squared changes behind that."""
    raw: Float64
    """(q,): the newest measured values, effects included."""
    inputs: Float64
    """(x,): the newest inputs."""
    input_seen: Int64
    """(x,): values seen of each input."""
    P_inputs: Float64
    """(x, x): covariance of the effects; 0 for an input that has not changed yet."""
    input_step: Float64
    """(x,): changes of the inputs; rewritten by every event."""
    input_gain: Float64
    """(x,): gain; rewritten by every event in which an input changes."""


class State(NamedTuple):
    """A learner's complete state."""

    clock: Int64
    """(2,): number of events learnt (the version); number of optimiser steps taken."""
    network: Network
    tangent: Tangent
    readout: Readout
    scales: Scales
    experts: Experts
    intervals: Intervals
    ahead: Ahead


def arrays(state: State) -> Iterator[tuple[str, Array]]:
    """Every array of a state with its name, such as `network.W`, in a fixed order."""
    yield "clock", state.clock
    for name, part in state._asdict().items():
        if name != "clock":
            for field, array in part._asdict().items():
                yield f"{name}.{field}", array


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike, offset: int = 0) -> Array:
    """Zeros that begin `offset` bytes after the start of a memory page; `offset` a multiple of a cache line (64).

    numpy aligns to 16 bytes. A vector that straddles two cache lines costs a second access. A load also waits for a
    store to the same offset of another page, so arrays that one loop reads and writes get different offsets.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + PAGE, np.uint8)
    start = (offset - memory.ctypes.data) % PAGE
    return memory[start : start + size].view(dtype).reshape(shape)


def copy(state: State) -> State:
    """An equal state that shares no memory with the original."""
    clock, network, tangent, readout, scales, experts, intervals, ahead = state
    return State(
        clock.copy(),
        Network._make(map(_copy, network)),
        Tangent._make(map(_copy, tangent)),
        Readout._make(map(_copy, readout)),
        Scales._make(map(_copy, scales)),
        Experts._make(map(_copy, experts)),
        Intervals._make(map(_copy, intervals)),
        Ahead._make(map(_copy, ahead)),
    )


def _copy(array: Array) -> Array:
    if array.nbytes < LARGE:
        return array.copy()
    twin = aligned(array.shape, array.dtype, array.ctypes.data % PAGE)
    twin[...] = array
    return twin
