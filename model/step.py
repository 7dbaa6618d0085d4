"""One event: predict, score, learn. Compiled; composes every other part over a state that it changes in place.

The order of an event is the order of the functions of this file:

    feed → forward → (prediction, interval)  │ y becomes known │  score → learn → absorb → (ahead)
"""

import math

import numpy as np

from model import anomaly, calendar, experts, horizons, intervals, kernels, optim, profile, readout, scaling, symbols
from model.cells import advance
from model.jit import compiled, inner
from model.learn import learn_network
from model.outcome import RLS, RTRL, Outcomes, Rules, Work
from model.state import PAGE, Scales, State
from model.types import Array, Float64


@inner
def lane(rows: int, size: int, like: Array, offset: int) -> Array:
    """Zeros of the type of `like`, `offset` bytes after the start of a page: `state.aligned` for compiled code."""
    step = like.itemsize
    memory = np.zeros(rows * size + PAGE // step, like.dtype)
    start = ((offset - memory.ctypes.data) % PAGE) // step
    return memory[start : start + rows * size].reshape((rows, size))


@inner
def workspace(state: State, exact: bool) -> Work:
    """Scratch space that fits a state; `exact` for RTRL, which needs the most."""
    W, (H, _, o) = state.network.W, state.readout.V.shape
    (k, K), n, R = W.shape, state.network.h.shape[0], state.tangent.v.shape[0]
    kept, real = state.experts, W.dtype
    q, s = kept.lags.shape[0], kept.V.shape[0]
    gradient, J = np.zeros((k, K) if exact else (0, 0), real), np.zeros((n, k, K) if exact else (0, 0, 0), real)
    # In the order of the fields; compiled code takes no more keywords than a few.
    return Work(
        np.zeros(k, real), np.zeros(K, real), np.zeros(n, real), np.zeros(n, real), lane(1, K, W, 3072)[0],
        lane(1, K, W, 512)[0], lane(1, K, W, 2048)[0], lane(1, K, W, 3584)[0], lane(R, K, W, 1024),
        np.zeros((3, K), real), np.zeros(R, real), np.zeros(R, real), np.zeros(n), np.zeros(R), np.zeros(n),
        np.zeros(n), np.zeros((R, n)), np.zeros(k), np.zeros(k), np.zeros((H, o)), np.zeros((H, o)), gradient, J,
        np.zeros((q, s)), np.zeros(s), np.zeros((q, kept.regret.shape[1])), np.zeros(o), np.zeros(o),
    )  # fmt: skip


@inner
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
    place = calendar.read(z, place, time, scales.clock, seasons)
    profile.read(z, place, time, scales.profile, seasons)
    z[z.shape[0] - 1] = 1.0


@inner
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
        symbols.softmax(work.scaled[0])


@inner
def point(state: State, rules: Rules, last: Float64, work: Work, out: Float64) -> None:
    """Values (H, o), last + s·ŷ, of the mixture for the next step and of the network's heads for those after it.

    NaN before a first value; the probabilities of symbols as they are.
    """
    for h in range(out.shape[0]):
        for i in range(out.shape[1]):
            step = work.mixed[i] if h == 0 else work.scaled[h, i]
            if rules.symbols:
                out[h, i] = step
            elif state.scales.seen[i] > 0:
                out[h, i] = last[i] + math.sqrt(state.scales.change[i]) * step
            else:
                out[h, i] = math.nan


@inner
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


@inner
def score(state: State, y: Float64, prediction: Float64, lower: Float64, upper: Float64) -> tuple[float, float, float]:
    """(loss, loss of persistence, anomaly); the errors go into the windows of the intervals."""
    scales, scores = state.scales, state.intervals
    loss, baseline, least, present, judged = 0.0, 0.0, 1.0, 0, 0
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
        if scores.seen[0, i] > 0:
            judged += 1
            least = min(least, _surprise(state, i, abs(error)))
            outside = y[i] < lower[i] or y[i] > upper[i]
            scores.level[0, i] = intervals.adapt(scores.level[0, i], outside)
        intervals.insert(scores.ring[0, i], scores.ordered[0, i], scores.seen[0, i], abs(error))
        scores.seen[0, i] += 1
    if present == 0:
        return math.nan, math.nan, math.nan
    return loss / present, baseline / present, anomaly.score(least, judged) if judged > 0 else math.nan


@inner
def _surprise(state: State, i: int, error: float) -> float:
    """P of the newest errors of target i, `error` included; before it goes into the window."""
    scores = state.intervals
    p = anomaly.tail(scores.ordered[0, i], scores.seen[0, i], error)
    scores.surprise[i] = anomaly.follow(scores.surprise[i], p)
    return anomaly.improbability(scores.surprise[i])


@inner
def score_symbol(state: State, y: float, prediction: Float64) -> tuple[float, float, float]:
    """(bits, bits of the symbols' frequencies, anomaly); the bits go into the window."""
    scores = state.intervals
    if math.isnan(y):
        return math.nan, math.nan, math.nan
    bits = symbols.surprise(prediction[int(y)])
    baseline = symbols.surprise(symbols.frequency(state.scales.counts, int(y)))
    seen = scores.seen[0, 0]
    strange = anomaly.score(_surprise(state, 0, bits), 1) if seen > 0 else math.nan
    intervals.insert(scores.ring[0, 0], scores.ordered[0, 0], seen, bits)
    scores.seen[0, 0] += 1
    return bits, baseline, strange


@inner
def learn_readout(state: State, rules: Rules, y: Float64, work: Work) -> bool:
    """δ = ∂ℓ/∂h (n,) of ℓ = ½ mean of squared errors, or nats, then a step of the readout; False without a target."""
    kept = state.readout
    kernels.zero(work.delta)
    kernels.zero(work.kappa)
    present = _miss_symbol(y[0], work) if rules.symbols else _miss(state.scales, y, work)
    if present == 0:
        return False
    readout.pull(kept.V[0], work.errors, work.delta)
    for unit in range(work.delta.shape[0]):
        work.delta[unit] /= present
    eta = rules.learning_rate * optim.caution(state.scales.losses)
    if rules.readout == RLS:
        readout.condition(kept.P, work.phi, work.kappa, rules.forgetting)
        for i in range(y.shape[0]):
            if not math.isnan(work.errors[i]):
                readout.learn(kept.V[0], work.kappa, i, work.errors[i])
    else:
        readout.descend(
            kept.V[0], kept.M1[0], kept.M2[0], kept.powers[0], work.phi, work.errors,
            optim.step_size(eta, rules.learning_rate_decay, kept.steps[0]),
        )  # fmt: skip
        kept.steps[0] += 1
    if not rules.symbols:
        experts.learn(state, rules, work)
        horizons.judge(state, y)
        horizons.learn(state, rules, y, eta, work)
    return True


@inner
def _miss_symbol(y: float, work: Work) -> int:
    """The errors of the probabilities into `work`; how many targets there are, 0 or 1."""
    if math.isnan(y):
        return 0
    symbols.miss(work.scaled[0], int(y), work.errors)
    return 1


@inner
def _miss(scales: Scales, y: Float64, work: Work) -> int:
    """The errors of the first head into `work`, and their mean square into the running ones; how many there are."""
    present, loss, baseline = 0, 0.0, 0.0
    for i in range(y.shape[0]):
        work.errors[i] = math.nan
        if math.isnan(y[i]) or scales.seen[i] == 0:
            continue
        change = y[i] - scales.last[i]
        # The newest change counts in its own scale, so that a jump of any size is a bounded target.
        scale = math.sqrt(scaling.absorb_change(change, scales.seen[i], scales.change[i]))
        target = scaling.clip(change / scale, scaling.TARGET_CLIP) if scale > 0.0 else 0.0
        work.errors[i] = work.scaled[0, i] - target
        present += 1
        loss += work.errors[i] * work.errors[i]
        baseline += target * target
    if present > 0:
        optim.judge(scales.losses, loss / present, baseline / present)
    return present


@inner
def feed_back(scales: Scales, i: int, value: float, missing: bool, fed: Float64, previous: float) -> None:
    """Write level, change and flag of target i, as the network reads them at the next event."""
    scale = math.sqrt(scales.change[i])
    fed[3 * i] = scaling.standardise(value, scales.mean[i], scales.variance[i])
    fed[3 * i + 1] = scaling.clip((value - previous) / scale, scaling.CLIP) if scale > 0.0 else 0.0
    fed[3 * i + 2] = 1.0 if missing else 0.0


@inner
def absorb(state: State, rules: Rules, y: Float64, prediction: Float64, time: float) -> None:
    """Take the targets into the running statistics and set what is fed back at the next event."""
    scales, lags = state.scales, state.experts.lags
    for i in range(y.shape[0]):
        if math.isnan(y[i]):
            if scales.seen[i] > 0:
                feed_back(scales, i, prediction[i], True, scales.fed, scales.value[i])
                experts.shift(lags[i], prediction[i] - scales.value[i])
                scales.value[i] = prediction[i]
            continue
        if scales.seen[i] > 0:
            experts.shift(lags[i], y[i] - scales.value[i])
            # After a missing value it would be the change of several events.
            if scales.fed[3 * i + 2] == 0.0 and scales.change[i] > 0.0:
                change = (y[i] - scales.last[i]) / math.sqrt(scales.change[i])
                profile.learn(scales.profile[i], time, change, rules.seasons)
            scales.change[i] = scaling.absorb_change(y[i] - scales.last[i], scales.seen[i], scales.change[i])
        scales.seen[i] += 1
        scales.mean[i], scales.variance[i] = scaling.absorb(y[i], scales.seen[i], scales.mean[i], scales.variance[i])
        feed_back(scales, i, y[i], False, scales.fed, scales.value[i] if scales.seen[i] > 1 else y[i])
        scales.value[i] = y[i]
        scales.last[i] = y[i]


@inner
def absorb_symbol(scales: Scales, y: float, prediction: Float64, fed: Float64) -> None:
    """Feed back the symbol, or the probabilities and a flag where it is missing; a known one is counted."""
    missing = math.isnan(y)
    for a in range(prediction.shape[0]):
        fed[a] = prediction[a] if missing else 0.0
    fed[prediction.shape[0]] = 1.0 if missing else 0.0
    if not missing:
        fed[int(y)] = 1.0
        scales.counts[int(y)] += 1.0


@inner
def absorb_inputs(scales: Scales, x: Float64, time: float) -> None:
    """Take inputs and time into the running statistics."""
    for i in range(x.shape[0]):
        if not math.isnan(x[i]):
            scales.x_seen[i] += 1
            scales.x_mean[i], scales.x_variance[i] = scaling.absorb(
                x[i], scales.x_seen[i], scales.x_mean[i], scales.x_variance[i]
            )
    calendar.absorb(scales.clock, time)


@compiled
def observe(state: State, rules: Rules, Y: Float64, X: Float64, times: Float64, out: Outcomes) -> None:
    """Learn T events in order; Y (T, q), X (T, x), times (T,), NaN = missing. Fills `out`."""
    work = workspace(state, rules.estimator == RTRL)
    scales, network = state.scales, state.network
    no_inputs = X.shape[1] == 0
    for t in range(Y.shape[0]):
        y, x, prediction = Y[t], X[t], out.prediction[t]
        feed(work.z, network.h, scales.fed, scales, x, times[t], rules.seasons)
        forward(state, rules, network.p, network.h, work)
        experts.predict(state, state.experts.lags, scales.fed, work)
        point(state, rules, scales.last, work, work.ahead)
        kernels.assign(prediction, work.ahead[0])
        interval(state, rules, 0, prediction, out.lower[t], out.upper[t])
        if rules.symbols:
            out.loss[t], out.baseline_loss[t], out.anomaly[t] = score_symbol(state, y[0], prediction)
        else:
            out.loss[t], out.baseline_loss[t], out.anomaly[t] = score(state, y, prediction, out.lower[t], out.upper[t])
        learning = learn_readout(state, rules, y, work)
        horizons.keep(state, work)
        out.gradient_norm[t], out.tangent_norm[t], out.trust[t], out.guarded[t] = learn_network(
            state, rules, learning, work
        )
        if rules.symbols:
            absorb_symbol(scales, y[0], prediction, scales.fed)
        else:
            absorb(state, rules, y, prediction, times[t])
        absorb_inputs(scales, x, times[t])
        state.clock[0] += 1
        out.version[t] = state.clock[0]
        if no_inputs:
            feed(work.z, network.h, scales.fed, scales, x, calendar.ahead(scales.clock, 1), rules.seasons)
            forward(state, rules, network.p, network.h, work)
            experts.predict(state, state.experts.lags, scales.fed, work)
            point(state, rules, scales.last, work, out.ahead[t])
        else:
            out.ahead[t, :, :] = math.nan


@compiled
def forecast(
    state: State, rules: Rules, X: Float64, times: Float64, mean: Float64, lower: Float64, upper: Float64
) -> None:
    """The next T steps, given the rows of X (T, x) and times (T,); `state` is only read. Fills the rest, (T, o).

    Up to the horizons of the configuration each step has its own readout. Beyond, the learner runs ahead on its own
    one-step predictions, as if they had been observed, from where the last readout leaves off. What it runs on was
    itself predicted: so each change is damped, once more a step, by `optim.skill`, towards what the seasons alone say
    (a damped trend: E. Gardner, E. McKenzie, *Forecasting trends in time series*, 1985). The interval of step s is that
    of the last readout times √(s/H), as errors that add up independently would have it.
    """
    work = workspace(state, False)
    network, scales, H = state.network, state.scales, state.readout.V.shape[0]
    h, p, fed, last = network.h.copy(), network.p.copy(), scales.fed.copy(), scales.last.copy()
    value, lags = scales.value.copy(), state.experts.lags.copy()
    direct, offset = np.zeros(work.ahead.shape), np.zeros(mean.shape[1])
    skill, damping = optim.skill(scales.losses), 1.0
    for t in range(X.shape[0]):
        feed(work.z, h, fed, scales, X[t], times[t], rules.seasons)
        forward(state, rules, p, h, work)
        experts.predict(state, lags, fed, work)
        point(state, rules, last, work, work.ahead)
        if t == 0:
            for i in range(H):
                kernels.assign(direct[i], work.ahead[i])
        head = min(t, H - 1)
        for i in range(mean.shape[1]):
            if not rules.symbols:
                usual = math.sqrt(scales.change[i]) * experts.usual(state, work, i)
                work.ahead[0, i] = last[i] + damping * (work.ahead[0, i] - last[i]) + (1.0 - damping) * usual
            if t < H:
                offset[i] = direct[t, i] - work.ahead[0, i]
            mean[t, i] = direct[t, i] if t < H else work.ahead[0, i] + offset[i]
        damping *= skill
        interval(state, rules, head, mean[t], lower[t], upper[t])
        spread = math.sqrt((t + 1.0) / (head + 1.0))
        for i in range(mean.shape[1]):
            lower[t, i] = mean[t, i] - spread * (mean[t, i] - lower[t, i])
            upper[t, i] = mean[t, i] + spread * (upper[t, i] - mean[t, i])
        if rules.symbols:
            for a in range(mean.shape[1]):
                fed[a] = mean[t, a]
            fed[mean.shape[1]] = 0.0
        else:
            for i in range(last.shape[0]):
                if scales.seen[i] > 0:
                    step = work.ahead[0, i]
                    feed_back(scales, i, step, False, fed, value[i])
                    experts.shift(lags[i], step - value[i])
                    value[i] = step
                    last[i] = step
        kernels.assign(h, work.h)
        kernels.products(network.W, h, p, network.W.shape[1])
