"""One event: predict, score, learn. Compiled; composes every other part over a state that it changes in place.

The order of an event is the order of the functions of this file:

    feed → forward → (prediction, interval)  │ y becomes known │  score → learn → absorb → (ahead)
"""

import math

from ..ahead import forecaster, inputs
from ..ahead.ladder import EXPERTS, GAP
from ..experts import autoregression
from ..gradient.step import learn_network
from ..interface import RLS, RTRL, Outcomes, Rules, Work
from ..jit import allocating, kernel_only
from ..network import readout, softmax
from ..numerics import kernels, scaling, step_sizes
from ..scores import anomaly, intervals
from ..seasons import calendar, profile
from ..state import Scales, State
from ..types import Float64
from . import horizons
from .predict import feed, forward, interval, point, workspace

QUIET, QUIET_EVENTS = 0.005, 20
"""So many changes in a row, each below this share of the scale, show that the series has another scale now."""
PEAK_TO_DEVIATION = 0.5
"""Standard deviation of QUIET_EVENTS normal variables whose largest absolute value is 1, about."""


@kernel_only
def score(state: State, y: Float64, prediction: Float64, lower: Float64, upper: Float64) -> tuple[float, float, float]:
    """(loss, loss of persistence, anomaly score) of an event; adds its errors to the windows of the intervals."""
    scales, scores = state.scales, state.intervals
    loss, baseline, least, present, judged = 0.0, 0.0, 1.0, 0, 0
    for i in range(y.shape[0]):
        if math.isnan(y[i]) or scales.seen[i] < 2:
            continue
        change = y[i] - scales.last[i]
        # The newest change counts in its own scale, so that no single event decides a sum of losses.
        scale = math.sqrt(scaling.update_mean(change * change, scales.seen[i], scales.change[i]))
        error = (y[i] - prediction[i]) / scale if scale > 0.0 else 0.0
        step = change / scale if scale > 0.0 else 0.0
        loss += error * error
        baseline += step * step
        present += 1
        if state.ahead.counts[i, GAP] > 0:
            continue  # an error of several steps; the window has those of one step
        if scores.seen[0, i] > 0:
            judged += 1
            least = min(least, _combined_p_value(state, i, abs(error)))
            outside = y[i] < lower[i] or y[i] > upper[i]
            scores.level[0, i] = intervals.adapt(scores.level[0, i], outside)
        intervals.insert(scores.ring[0, i], scores.ordered[0, i], scores.seen[0, i], abs(error))
        scores.seen[0, i] += 1
    if present == 0:
        return math.nan, math.nan, math.nan
    return loss / present, baseline / present, anomaly.score(least, judged) if judged > 0 else math.nan


@kernel_only
def _combined_p_value(state: State, i: int, error: float) -> float:
    """P of the newest errors of target i, including `error`, which is not yet in the window."""
    scores = state.intervals
    p = anomaly.p_value(scores.ordered[0, i], scores.seen[0, i], error)
    scores.surprise[i] = anomaly.accumulate(scores.surprise[i], p)
    return anomaly.combined_p_value(scores.surprise[i])


@kernel_only
def score_symbol(state: State, y: float, prediction: Float64) -> tuple[float, float, float]:
    """(bits, bits of the symbols' frequencies, anomaly score) of an event; adds the bits to the window."""
    scores = state.intervals
    if math.isnan(y):
        return math.nan, math.nan, math.nan
    bits = softmax.surprisal(prediction[int(y)])
    baseline = softmax.surprisal(softmax.frequency(state.scales.counts, int(y)))
    seen = scores.seen[0, 0]
    anomaly_score = anomaly.score(_combined_p_value(state, 0, bits), 1) if seen > 0 else math.nan
    intervals.insert(scores.ring[0, 0], scores.ordered[0, 0], seen, bits)
    scores.seen[0, 0] += 1
    return bits, baseline, anomaly_score


@kernel_only
def learn_readout(state: State, rules: Rules, y: Float64, work: Work) -> bool:
    """δ = ∂ℓ/∂h (n,) of ℓ = ½ mean of squared errors, or nats, then a step of the readout; False without a target."""
    kept = state.readout
    kernels.zero(work.delta)
    kernels.zero(work.kappa)
    present = _symbol_error(y[0], work) if rules.symbols else _target_errors(state.scales, y, work)
    if present == 0:
        return False
    readout.error_to_state(kept.V[0], work.errors, work.delta)
    for unit in range(work.delta.shape[0]):
        work.delta[unit] /= present
    eta = rules.learning_rate * step_sizes.error_scale(state.scales.losses)
    if rules.readout == RLS:
        readout.rls_gain(kept.P, work.phi, work.kappa, rules.forgetting)
        for i in range(y.shape[0]):
            if not math.isnan(work.errors[i]):
                readout.rls_step(kept.V[0], work.kappa, i, work.errors[i])
    else:
        readout.adam_step(
            kept.V[0], kept.M1[0], kept.M2[0], kept.powers[0], work.phi, work.errors,
            step_sizes.step_size(eta, rules.learning_rate_decay, kept.steps[0]),
        )  # fmt: skip
        kept.steps[0] += 1
    if not rules.symbols:
        autoregression.learn(state, rules, y, work)
        horizons.score_forecasts(state, y)
        horizons.learn_heads(state, rules, y, eta, work)
    return True


@kernel_only
def _symbol_error(y: float, work: Work) -> int:
    """Write the errors of the probabilities to `work.errors`; gives the number of targets present, 0 or 1."""
    if math.isnan(y):
        return 0
    softmax.softmax_error(work.scaled[0], int(y), work.errors)
    return 1


@kernel_only
def _target_errors(scales: Scales, y: Float64, work: Work) -> int:
    """Write the errors of the first head to `work.errors` and update the running losses; gives the number of errors."""
    present, loss, baseline = 0, 0.0, 0.0
    for i in range(y.shape[0]):
        work.errors[i] = math.nan
        if math.isnan(y[i]) or scales.seen[i] == 0:
            continue
        change = y[i] - scales.value[i]
        # The newest change counts in its own scale, so that a jump of any size is a bounded target.
        scale = math.sqrt(scaling.update_mean_square(change, scales.seen[i], scales.change[i]))
        target = scaling.clip(change / scale, scaling.TARGET_CLIP) if scale > 0.0 else 0.0
        work.errors[i] = work.scaled[0, i] - target
        present += 1
        loss += work.errors[i] * work.errors[i]
        baseline += target * target
    if present > 0:
        step_sizes.track_losses(scales.losses, loss / present, baseline / present)
    return present


@kernel_only
def feed_back(scales: Scales, i: int, value: float, missing: bool, fed: Float64, previous: float) -> None:
    """Write level, change and flag of target i, as the network reads them at the next event."""
    scale = math.sqrt(scales.change[i])
    fed[3 * i] = scaling.standardise(value, scales.mean[i], scales.variance[i])
    fed[3 * i + 1] = scaling.clip((value - previous) / scale, scaling.CLIP) if scale > 0.0 else 0.0
    fed[3 * i + 2] = 1.0 if missing else 0.0


@kernel_only
def update_statistics(
    state: State, rules: Rules, y: Float64, x: Float64, prediction: Float64, time: float, work: Work
) -> None:
    """Update the running statistics with the targets and set the features that the next event reads."""
    scales, lags = state.scales, state.experts.lags
    inputs.learn(state.ahead, y, x)
    for i in range(y.shape[0]):
        forecaster.observe(state.ahead, i, y[i] - inputs.effect(state.ahead, i, x), work.forecasts)
        if math.isnan(y[i]):
            if scales.seen[i] > 0:
                feed_back(scales, i, prediction[i], True, scales.fed, scales.value[i])
                autoregression.push_lag(lags[i], prediction[i] - scales.value[i])
                scales.value[i] = prediction[i]
            continue
        change = y[i] - scales.last[i] if scales.seen[i] > 0 else 0.0
        if scales.seen[i] > 0:
            autoregression.push_lag(lags[i], y[i] - scales.value[i])
            # After a missing value this would be the change of several events.
            if scales.fed[3 * i + 2] == 0.0 and scales.change[i] > 0.0:
                profile.update(scales.profile[i], time, change / math.sqrt(scales.change[i]), rules.seasons)
            if scales.fed[3 * i + 2] == 0.0:
                scales.change[i] = scaling.update_mean_square(change, scales.seen[i], scales.change[i])
        scales.seen[i] += 1
        scales.mean[i], scales.variance[i] = scaling.update_moments(
            y[i], scales.seen[i], scales.mean[i], scales.variance[i]
        )
        feed_back(scales, i, y[i], False, scales.fed, scales.value[i] if scales.seen[i] > 1 else y[i])
        scales.value[i] = y[i]
        scales.last[i] = y[i]
        _follow_scale(state, i, change)


@kernel_only
def _follow_scale(state: State, i: int, change: float) -> None:
    """Begin anew with a smaller scale where target i, after its newest change, has long moved by far less than before.

    A running mean of squares would take thousands of events for it. What is kept in units of the scale stays.
    """
    scales, experts, quiet = state.scales, state.experts, state.ahead.quiet
    scale = math.sqrt(scales.change[i])
    if change == 0.0:
        return
    if abs(change) >= QUIET * scale:
        quiet[i, 0] = quiet[i, 1] = 0.0
        return
    quiet[i, 0] += 1.0
    quiet[i, 1] = max(quiet[i, 1], abs(change))
    if quiet[i, 0] < QUIET_EVENTS:
        return
    fallen = PEAK_TO_DEVIATION * quiet[i, 1]
    quiet[i, 0] = quiet[i, 1] = 0.0
    for lag in range(experts.lags.shape[1]):
        experts.lags[i, lag] *= fallen / scale
    for k in range(experts.regret.shape[1]):
        experts.regret[i, k] = experts.spread[i, k] = 0.0
    experts.loss[i, 0] = experts.loss[i, 1] = 0.0
    scales.change[i] = fallen * fallen
    scales.mean[i], scales.variance[i] = scales.value[i], scaling.CLIP * scales.change[i]


@kernel_only
def update_symbol_statistics(scales: Scales, y: float, prediction: Float64, fed: Float64) -> None:
    """Feed back the symbol and count it; where it is missing, feed back the probabilities and a flag."""
    missing = math.isnan(y)
    for a in range(prediction.shape[0]):
        fed[a] = prediction[a] if missing else 0.0
    fed[prediction.shape[0]] = 1.0 if missing else 0.0
    if not missing:
        fed[int(y)] = 1.0
        scales.counts[int(y)] += 1.0


@kernel_only
def update_input_statistics(scales: Scales, x: Float64, time: float) -> None:
    """Update the running statistics with the inputs and the time."""
    for i in range(x.shape[0]):
        if not math.isnan(x[i]):
            scales.x_seen[i] += 1
            scales.x_mean[i], scales.x_variance[i] = scaling.update_moments(
                x[i], scales.x_seen[i], scales.x_mean[i], scales.x_variance[i]
            )
    calendar.update_clock(scales.clock, time)


@kernel_only
def _later_steps(state: State, x: Float64, ahead: Float64, work: Work) -> None:
    """Write what the forecaster says of the steps after the next to `ahead` (H, q)."""
    for h in range(1, ahead.shape[0]):
        for i in range(ahead.shape[1]):
            said = forecaster.forecast(state.ahead, i, h + 1, work.forecasts[5, :EXPERTS])
            ahead[h, i] = said + inputs.effect(state.ahead, i, x)


@allocating
def observe(state: State, rules: Rules, Y: Float64, X: Float64, times: Float64, out: Outcomes) -> None:
    """Learn T events in order; Y (T, q), X (T, x), times (T,), NaN = missing. Fills `out`."""
    _observe(state, rules, Y, X, times, out, workspace(state, rules.estimator == RTRL))


@kernel_only
def _observe(state: State, rules: Rules, Y: Float64, X: Float64, times: Float64, out: Outcomes, work: Work) -> None:
    scales, network = state.scales, state.network
    no_inputs = X.shape[1] == 0
    for t in range(Y.shape[0]):
        y, x, prediction = Y[t], X[t], out.prediction[t]
        feed(work.z, network.h, scales.fed, scales, x, times[t], rules.seasons)
        forward(state, rules, network.p, network.h, work)
        autoregression.predict(state, state.experts.lags, scales.fed, x, work)
        point(state, rules, scales.value, work, work.ahead)
        kernels.assign(prediction, work.ahead[0])
        interval(state, rules, 0, prediction, out.lower[t], out.upper[t])
        if rules.symbols:
            out.loss[t], out.baseline_loss[t], out.anomaly[t] = score_symbol(state, y[0], prediction)
        else:
            out.loss[t], out.baseline_loss[t], out.anomaly[t] = score(state, y, prediction, out.lower[t], out.upper[t])
        learning = learn_readout(state, rules, y, work)
        horizons.remember(state, work)
        out.gradient_norm[t], out.tangent_norm[t], out.residual_weight[t], out.guarded[t] = learn_network(
            state, rules, learning, work
        )
        if rules.symbols:
            update_symbol_statistics(scales, y[0], prediction, scales.fed)
        else:
            update_statistics(state, rules, y, x, prediction, times[t], work)
        update_input_statistics(scales, x, times[t])
        state.clock[0] += 1
        out.version[t] = state.clock[0]
        if no_inputs:
            feed(work.z, network.h, scales.fed, scales, x, calendar.expected_time(scales.clock, 1), rules.seasons)
            forward(state, rules, network.p, network.h, work)
            autoregression.predict(state, state.experts.lags, scales.fed, x, work)
            point(state, rules, scales.value, work, out.ahead[t])
            if not rules.symbols:
                _later_steps(state, x, out.ahead[t], work)
        else:
            out.ahead[t, :, :] = math.nan
