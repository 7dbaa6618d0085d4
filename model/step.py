"""One event: predict, score, learn. Compiled; composes every other part over a state that it changes in place.

The order of an event is the order of the functions of this file:

    feed → forward → (prediction, interval)  │ y becomes known │  score → learn → absorb → (next)
"""

import math
from typing import NamedTuple

import numpy as np

from model import intervals, kernels, readout, rtrl, scaling, tangent
from model.cells import advance_leaky
from model.config import Config
from model.jit import compiled, inner
from model.optim import step_size
from model.signs import fill_signs
from model.state import PAGE, Scales, State
from model.types import Array, Float64

FROZEN, NOBACKTRACK, RTRL = 0, 1, 2
SGD, ADAM = 0, 1
TARGET_CLIP = 4.0
"""A learning target, in root mean square changes, is cut to ±TARGET_CLIP: one jump must not undo what was learnt."""


class Rules(NamedTuple):
    """A configuration as the kernels read it."""

    estimator: int
    optimiser: int
    learning_rate: float
    learning_rate_decay: float
    forgetting: float
    seed: int


class Outcomes(NamedTuple):
    """What the learner says of T events: for people, not for the next event. NaN = nothing to say."""

    version: np.ndarray
    """(T,) int64: events learnt, this one included."""
    prediction: Float64
    """(T, q): made before y was used."""
    lower: Float64
    """(T, q): lower end of the 90 % interval."""
    upper: Float64
    """(T, q): upper end."""
    loss: Float64
    """(T,): mean over the targets present of (y - ŷ)²/s², s² the mean square of the target's changes so far."""
    baseline_loss: Float64
    """(T,): the same for persistence."""
    anomaly: Float64
    """(T,): largest, over the targets, of the share of recent errors that this one exceeds; in [0, 1)."""
    next: Float64
    """(T, q): forecast of the next y; NaN where inputs of the next event would be needed."""
    gradient_norm: Float64
    """(T,): bound |δ·f||w| + |δ∘D||z| on the norm of the gradient, or the norm itself for exact RTRL."""
    tangent_norm: Float64
    """(T,): |v||w|; 0 without a rank-one tangent."""
    guarded: np.ndarray
    """(T,) int64: 1 where the tangent was shrunk to its bound."""


class Work(NamedTuple):
    """Scratch space of one call."""

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
    e: Array
    """(K,) real: what is injected into w, before ⊗ z."""
    f: Float64
    """(n,): A v."""
    delta: Float64
    """(n,): ∂ℓ/∂h."""
    signs: Float64
    """(n,)."""
    phi: Float64
    """(p,): features of the readout."""
    kappa: Float64
    """(p,): gain."""
    scaled: Float64
    """(q,): ŷ in units of the scale."""
    gradient: Array
    """(k, K) real: for exact RTRL."""
    J: Array
    """(n, k, K) real: for exact RTRL."""


def rules(config: Config) -> Rules:
    """The numbers of a configuration that the kernels need."""
    return Rules(
        estimator=("frozen", "nobacktrack", "rtrl").index(config.estimator),
        optimiser=("sgd", "adam").index(config.optimiser),
        learning_rate=float(config.learning_rate),
        learning_rate_decay=float(config.learning_rate_decay),
        forgetting=float(config.forgetting),
        seed=config.seed,
    )


def outcomes(count: int, targets: int) -> Outcomes:
    """Room for the outcomes of `count` events."""
    wide, narrow = (count, targets), (count,)
    return Outcomes(
        version=np.zeros(narrow, np.int64),
        prediction=np.empty(wide), lower=np.empty(wide), upper=np.empty(wide),
        loss=np.empty(narrow), baseline_loss=np.empty(narrow), anomaly=np.empty(narrow),
        next=np.empty(wide),
        gradient_norm=np.zeros(narrow), tangent_norm=np.zeros(narrow), guarded=np.zeros(narrow, np.int64),
    )


@inner
def lane(size: int, like: Array, offset: int) -> Array:
    """Zeros of the type of `like`, `offset` bytes after the start of a page: `state.aligned` for compiled code."""
    step = like.itemsize
    memory = np.zeros(size + PAGE // step, like.dtype)
    start = ((offset - memory.ctypes.data) % PAGE) // step
    return memory[start : start + size]


@inner
def workspace(state: State, exact: bool) -> Work:
    """Scratch space that fits a state; `exact` for RTRL, which needs the most."""
    W, q = state.network.W, state.scales.last.shape[0]
    k, K = W.shape
    n = state.network.h.shape[0]
    real = W.dtype
    return Work(
        np.zeros(k, real), np.zeros(K, real), np.zeros(n, real), np.zeros(n, real), np.zeros(K, real),
        lane(K, W, 512), lane(K, W, 1024), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(k), np.zeros(k),
        np.zeros(q), np.zeros((k, K) if exact else (0, 0), real), np.zeros((n, k, K) if exact else (0, 0, 0), real),
    )


@inner
def feed(z: Array, h: Array, fed: Float64, scales: Scales, x: Float64) -> None:
    """z = [h, u, 1]: u holds what is fed back of the targets, then each input standardised and its missing flag."""
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
    z[place] = 1.0


@inner
def forward(state: State, p: Array, h: Array, work: Work) -> None:
    """From z and p = Wᵀh to the new state, its derivatives, φ and ŷ; only the inputs' m+1 rows of W are read."""
    W, n = state.network.W, h.shape[0]
    kernels.assign(work.a, p)
    for j in range(n, W.shape[0]):
        z_j = work.z[j]
        for i in range(W.shape[1]):
            work.a[i] += W[j, i] * z_j
    advance_leaky(h, work.a, state.network.rates, work.h, work.c, work.D)
    for i in range(n):
        work.phi[i] = work.h[i]
    for j in range(n, W.shape[0]):
        work.phi[j] = work.z[j]
    readout.predict(state.readout.V, work.phi, work.scaled)


@inner
def point(scales: Scales, last: Float64, scaled: Float64, out: Float64) -> None:
    """Predictions (q,) in the targets' units: last + s·ŷ; NaN before a first value."""
    for i in range(out.shape[0]):
        out[i] = last[i] + math.sqrt(scales.change[i]) * scaled[i] if scales.seen[i] > 0 else math.nan


@inner
def interval(state: State, prediction: Float64, lower: Float64, upper: Float64) -> None:
    """Ends of the interval (q,) around the predictions; NaN before a first error."""
    scores = state.intervals
    for i in range(prediction.shape[0]):
        if scores.seen[i] > 0:
            half = intervals.half_width(scores.ordered[i], scores.seen[i], scores.level[i])
            half *= math.sqrt(state.scales.change[i])
        else:
            half = math.nan
        lower[i] = prediction[i] - half
        upper[i] = prediction[i] + half


@inner
def score(state: State, y: Float64, prediction: Float64, lower: Float64, upper: Float64) -> tuple[float, float, float]:
    """(loss, loss of persistence, anomaly); the errors go into the windows of the intervals."""
    scales, scores = state.scales, state.intervals
    loss, baseline, anomaly, present, judged = 0.0, 0.0, 0.0, 0, 0
    for i in range(y.shape[0]):
        if math.isnan(y[i]) or scales.seen[i] < 2:
            continue
        change = y[i] - scales.last[i]
        # The newest change counts in its own scale, so that no single event decides a sum of losses.
        scale = math.sqrt(scaling.mean_with(change * change, scales.seen[i], scales.change[i]))
        error = (y[i] - prediction[i]) / scale if scale > 0.0 else 0.0
        step = change / scale if scale > 0.0 else 0.0
        loss += error * error
        baseline += step * step
        present += 1
        if scores.seen[i] > 0:
            judged += 1
            anomaly = max(anomaly, intervals.exceeded(scores.ordered[i], scores.seen[i], abs(error)))
            scores.level[i] = intervals.adapt(scores.level[i], y[i] < lower[i] or y[i] > upper[i])
        intervals.insert(scores.ring[i], scores.ordered[i], scores.seen[i], abs(error))
        scores.seen[i] += 1
    if present == 0:
        return math.nan, math.nan, math.nan
    return loss / present, baseline / present, anomaly if judged > 0 else math.nan


@inner
def learn_readout(state: State, y: Float64, work: Work, forgetting: float) -> bool:
    """δ = ∂ℓ/∂h (n,) of ℓ = ½ mean of squared errors, then a step of the readout; False when nothing can be learnt."""
    scales, V = state.scales, state.readout.V
    present = 0
    work.delta[:] = 0.0
    for i in range(y.shape[0]):
        if not math.isnan(y[i]) and scales.seen[i] > 0:
            present += 1
    if present == 0:
        return False
    readout.condition(state.readout.P, work.phi, work.kappa, forgetting)
    for i in range(y.shape[0]):
        if math.isnan(y[i]) or scales.seen[i] == 0:
            continue
        change = y[i] - scales.last[i]
        # The newest change counts in its own scale, so that a jump of any size is a bounded target.
        scale = math.sqrt(scaling.absorb_change(change, scales.seen[i], scales.change[i]))
        target = scaling.clip(change / scale, TARGET_CLIP) if scale > 0.0 else 0.0
        error = work.scaled[i] - target
        for unit in range(work.delta.shape[0]):
            work.delta[unit] += V[unit, i] * error / present
        readout.learn(V, work.kappa, i, error)
    return True


@inner
def learn_network(state: State, rules: Rules, learning: bool, work: Work) -> tuple[float, float, int]:
    """Advance state and tangent, step W if `learning`; (gradient norm, tangent norm, guarded)."""
    network = state.network
    n = network.h.shape[0]
    if rules.estimator == FROZEN:
        kernels.assign(network.h, work.h)
        kernels.products(network.W, network.h, network.p)
        return 0.0, 0.0, 0
    eta, scale2 = 0.0, 1.0
    if learning:
        eta = step_size(rules.learning_rate, rules.learning_rate_decay, state.clock[1])
        state.clock[1] += 1
        if rules.optimiser == ADAM:
            network.powers[0] *= kernels.BETA1
            network.powers[1] *= kernels.BETA2
            eta /= 1.0 - network.powers[0]
            scale2 = 1.0 / (1.0 - network.powers[1])
    if rules.estimator == RTRL:
        return _learn_exactly(state, rules, learning, work, eta, scale2), 0.0, 0
    for row in range(work.D.shape[0]):
        work.b[row] = work.delta[row % n] * work.D[row]
    pair = state.tangent
    z_norm = tangent.norm(work.z)
    tangent.carry(work.f, pair.q, pair.v, work.c, work.D)
    rho0 = tangent.weigh(work.f, pair.w_norm[0])
    s = 0.0
    for i in range(n):
        s += work.delta[i] * work.f[i]
    gradient_norm = abs(s) * pair.w_norm[0] + tangent.norm(work.b) * z_norm
    fill_signs(work.signs, rules.seed, 0, state.clock[0])
    injected = tangent.inject(pair.v, work.e, work.f, work.D, z_norm, work.signs, rho0)
    pair.w_norm[0] = math.sqrt(pair.w_norm[0] * pair.w_norm[0] / (rho0 * rho0) + injected)
    tangent_norm = tangent.norm(pair.v) * pair.w_norm[0]
    guarded = 0
    if tangent_norm > tangent.NORM_LIMIT:
        shrink = tangent.NORM_LIMIT / tangent_norm
        for i in range(n):
            pair.v[i] *= shrink
        tangent_norm, guarded = tangent.NORM_LIMIT, 1
    kernels.assign(network.h, work.h)
    if rules.optimiser == ADAM and learning:
        kernels.pass_adam(
            network.W, pair.w, network.m1, network.m2, work.z, work.b, work.e, network.h, pair.v, network.p, pair.q,
            s, 1.0 / rho0, eta, scale2,
        )
    else:
        kernels.pass_sgd(
            network.W, pair.w, work.z, work.b, work.e, network.h, pair.v, network.p, pair.q, s, 1.0 / rho0, eta
        )
    return gradient_norm, tangent_norm, guarded


@inner
def _learn_exactly(state: State, rules: Rules, learning: bool, work: Work, eta: float, scale2: float) -> float:
    network, J = state.network, state.tangent.J
    rtrl.advance(J, network.W, work.z, work.c, work.D, work.J)
    size = 0.0
    if learning:
        rtrl.gradient(J, work.delta, work.gradient)
        for j in range(network.W.shape[0]):
            size += tangent.norm(work.gradient[j]) ** 2
        kernels.apply(network.W, network.m1, network.m2, work.gradient, eta, scale2, rules.optimiser == ADAM)
    kernels.assign(network.h, work.h)
    kernels.products(network.W, network.h, network.p)
    return math.sqrt(size)


@inner
def feed_back(scales: Scales, i: int, value: float, missing: bool, fed: Float64, previous: float) -> None:
    """Write level, change and flag of target i, as the network reads them at the next event."""
    scale = math.sqrt(scales.change[i])
    fed[3 * i] = scaling.standardise(value, scales.mean[i], scales.variance[i])
    fed[3 * i + 1] = scaling.clip((value - previous) / scale, scaling.CLIP) if scale > 0.0 else 0.0
    fed[3 * i + 2] = 1.0 if missing else 0.0


@inner
def absorb(scales: Scales, y: Float64, x: Float64, prediction: Float64) -> None:
    """Take the values into the running statistics and set what is fed back at the next event."""
    for i in range(y.shape[0]):
        if math.isnan(y[i]):
            if scales.seen[i] > 0:
                feed_back(scales, i, prediction[i], True, scales.fed, scales.value[i])
                scales.value[i] = prediction[i]
            continue
        if scales.seen[i] > 0:
            scales.change[i] = scaling.absorb_change(y[i] - scales.last[i], scales.seen[i], scales.change[i])
        scales.seen[i] += 1
        scales.mean[i], scales.variance[i] = scaling.absorb(
            y[i], scales.seen[i], scales.mean[i], scales.variance[i]
        )
        feed_back(scales, i, y[i], False, scales.fed, scales.value[i] if scales.seen[i] > 1 else y[i])
        scales.value[i] = y[i]
        scales.last[i] = y[i]
    for i in range(x.shape[0]):
        if not math.isnan(x[i]):
            scales.x_seen[i] += 1
            scales.x_mean[i], scales.x_variance[i] = scaling.absorb(
                x[i], scales.x_seen[i], scales.x_mean[i], scales.x_variance[i]
            )


@compiled
def observe(state: State, rules: Rules, Y: Float64, X: Float64, out: Outcomes) -> None:
    """Learn T events in order; Y (T, q), X (T, x), NaN = missing. Fills `out`."""
    work = workspace(state, rules.estimator == RTRL)
    no_inputs = X.shape[1] == 0
    for t in range(Y.shape[0]):
        y, x = Y[t], X[t]
        prediction = out.prediction[t]
        feed(work.z, state.network.h, state.scales.fed, state.scales, x)
        forward(state, state.network.p, state.network.h, work)
        point(state.scales, state.scales.last, work.scaled, prediction)
        interval(state, prediction, out.lower[t], out.upper[t])
        out.loss[t], out.baseline_loss[t], out.anomaly[t] = score(state, y, prediction, out.lower[t], out.upper[t])
        learning = learn_readout(state, y, work, rules.forgetting)
        out.gradient_norm[t], out.tangent_norm[t], out.guarded[t] = learn_network(state, rules, learning, work)
        absorb(state.scales, y, x, prediction)
        state.clock[0] += 1
        out.version[t] = state.clock[0]
        if no_inputs:
            feed(work.z, state.network.h, state.scales.fed, state.scales, x)
            forward(state, state.network.p, state.network.h, work)
            point(state.scales, state.scales.last, work.scaled, out.next[t])
        else:
            out.next[t, :] = math.nan


@compiled
def forecast(state: State, X: Float64, mean: Float64, lower: Float64, upper: Float64) -> None:
    """Run ahead on own predictions for the rows of X (H, x); `state` is only read. Fills mean, lower, upper (H, q).

    Each prediction is fed back as if it had been observed. The interval of step s is the one-step interval times √s,
    as errors that add up independently would have it.
    """
    work = workspace(state, False)
    network, scales = state.network, state.scales
    h, p, fed, last = network.h.copy(), network.p.copy(), scales.fed.copy(), scales.last.copy()
    value = scales.value.copy()
    for t in range(X.shape[0]):
        feed(work.z, h, fed, scales, X[t])
        forward(state, p, h, work)
        point(scales, last, work.scaled, mean[t])
        interval(state, mean[t], lower[t], upper[t])
        spread = math.sqrt(t + 1.0)
        for i in range(last.shape[0]):
            lower[t, i] = mean[t, i] - spread * (mean[t, i] - lower[t, i])
            upper[t, i] = mean[t, i] + spread * (upper[t, i] - mean[t, i])
            if scales.seen[i] > 0:
                feed_back(scales, i, mean[t, i], False, fed, value[i])
                value[i] = mean[t, i]
                last[i] = mean[t, i]
        kernels.assign(h, work.h)
        kernels.products(network.W, h, p)
