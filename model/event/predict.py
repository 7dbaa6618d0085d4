"""The part of an event before its value is known: network inputs, new state, prediction, interval. Compiled."""

import math

import numpy as np

from ..ahead import forecaster
from ..ahead.ladder import FEATURES_1, GAP
from ..interface import Rules, Work
from ..jit import allocating, kernel_only
from ..network import readout, softmax
from ..network.cells import advance
from ..numerics import kernels, scaling
from ..scores import intervals
from ..seasons import calendar, profile
from ..state import PAGE, Scales, State
from ..types import Array, Float64


@allocating
def aligned_rows(rows: int, size: int, like: Array, offset: int) -> Array:
    """Zeros of the type of `like`, `offset` bytes after the start of a page: `state.aligned` for compiled code."""
    step = like.itemsize
    memory = np.zeros(rows * size + PAGE // step, like.dtype)
    start = ((offset - memory.ctypes.data) % PAGE) // step
    return memory[start : start + rows * size].reshape((rows, size))


@allocating
def workspace(state: State, exact: bool) -> Work:
    """Scratch space that fits a state; `exact` for RTRL, which needs the most."""
    W, (H, _, o) = state.network.W, state.readout.V.shape
    (k, K), n, R = W.shape, state.network.h.shape[0], state.tangent.v.shape[0]
    kept, real = state.experts, W.dtype
    q, s = kept.lags.shape[0], kept.V.shape[0]
    gradient, J = np.zeros((k, K) if exact else (0, 0), real), np.zeros((n, k, K) if exact else (0, 0, 0), real)
    # In the order of the fields; compiled code takes no more keywords than a few.
    return Work(
        np.zeros(k, real), np.zeros(K, real), np.zeros(n, real), np.zeros(n, real), aligned_rows(1, K, W, 3072)[0],
        aligned_rows(1, K, W, 512)[0], aligned_rows(1, K, W, 2048)[0], aligned_rows(1, K, W, 3584)[0],
        aligned_rows(R, K, W, 1024), np.zeros((3, K), real), np.zeros(R, real), np.zeros(R, real), np.zeros(n),
        np.zeros(R), np.zeros(n), np.zeros(n), np.zeros((R, n)), np.zeros(k), np.zeros(k), np.zeros((H, o)),
        np.zeros((H, o)), gradient, J, np.zeros((q, s)), np.zeros(s), np.zeros((q, kept.regret.shape[1])),
        np.zeros((6, FEATURES_1)), np.zeros(o), np.zeros(o),
    )  # fmt: skip


@kernel_only
def feed(z: Array, h: Array, fed: Float64, scales: Scales, x: Float64, time: float, seasons: Float64) -> None:
    """z = [h, u, 1]: u holds what is fed back, each input and its missing flag, the interval, the seasons' phases and
    usual changes."""
    n = h.shape[0]
    for i in range(n):
        z[i] = h[i]
    place = n
    for i in range(fed.shape[0]):
        z[place] = fed[i]
        place += 1
    for i in range(x.shape[0]):
        missing = math.isnan(x[i])
        z[place] = 0.0 if missing else scaling.standardise(x[i], scales.x_mean[i], scales.x_variance[i])
        z[place + 1] = 1.0 if missing else 0.0
        place += 2
    place = calendar.write_features(z, place, time, scales.clock, seasons)
    profile.write_features(z, place, time, scales.profile, seasons)
    z[z.shape[0] - 1] = 1.0


@kernel_only
def forward(state: State, rules: Rules, p: Array, h: Array, work: Work) -> None:
    """From z and p = Wᵀh to the new state, its derivatives, φ and ŷ; only the inputs' m+1 rows of W are read."""
    W, n = state.network.W, h.shape[0]
    kernels.assign(work.a, p)
    for j in range(n, W.shape[0]):
        z_j = work.z[j]
        if z_j != 0.0:
            for i in range(W.shape[1]):
                work.a[i] += W[j, i] * z_j
    advance(rules.cell, h, work.a, state.network.rates, work.h, work.c, work.D)
    for i in range(n):
        work.phi[i] = work.h[i]
    for j in range(n, W.shape[0]):
        work.phi[j] = work.z[j]
    for head in range(work.scaled.shape[0]):
        readout.predict(state.readout.V[head], work.phi, work.scaled[head])
    if rules.symbols:
        softmax.softmax(work.scaled[0])


@kernel_only
def point(state: State, rules: Rules, base: Float64, work: Work, out: Float64) -> None:
    """Values (H, o), base + s·ŷ, of the mixture for the next step and of the network's heads for those after it.

    NaN before a first value; the probabilities of symbols as they are.
    """
    for h in range(out.shape[0]):
        for i in range(out.shape[1]):
            step = work.mixed[i] if h == 0 else work.scaled[h, i]
            if rules.symbols:
                out[h, i] = step
            elif state.scales.seen[i] > 0:
                out[h, i] = base[i] + math.sqrt(state.scales.change[i]) * step
            else:
                out[h, i] = math.nan


@kernel_only
def interval(state: State, rules: Rules, head: int, prediction: Float64, lower: Float64, upper: Float64) -> None:
    """Ends of the interval (o,) around the predictions of a head; NaN before a first error, and for symbols."""
    scores = state.intervals
    for i in range(prediction.shape[0]):
        half = math.nan
        if not rules.symbols and scores.seen[head, i] > 0:
            half = intervals.half_width(scores.ordered[head, i], scores.seen[head, i], scores.level[head, i])
            half *= math.sqrt(state.scales.change[i])
        lower[i] = prediction[i] - half
        upper[i] = prediction[i] + half
        if not rules.symbols and state.ahead.counts[i, GAP] > 0:
            lower[i] = prediction[i] + forecaster.quantile(state.ahead, i, 1, intervals.MISCOVERAGE / 2.0)
            upper[i] = prediction[i] + forecaster.quantile(state.ahead, i, 1, 1.0 - intervals.MISCOVERAGE / 2.0)
