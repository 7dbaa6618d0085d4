"""Forecasts of many steps: the heads of the configuration, then the learner fed with its own predictions. Compiled."""

import math

import numpy as np

from ..experts import autoregression
from ..interface import Rules
from ..jit import allocating
from ..numerics import kernels, step_sizes
from ..state import State
from ..types import Float64
from .observe import feed_back
from .predict import feed, forward, interval, point, workspace


@allocating
def forecast(
    state: State, rules: Rules, X: Float64, times: Float64, mean: Float64, lower: Float64, upper: Float64
) -> None:
    """The next T steps, given the rows of X (T, x) and times (T,); `state` is only read. Fills the rest, (T, o).

    Up to the horizons of the configuration each step has its own readout. Beyond them the learner runs ahead: it
    takes its one-step predictions for observed values and goes on from where the last readout leaves off. A
    prediction that rests on predictions is less certain, so each change is damped, once more a step, by
    √`step_sizes.skill` towards the change that the seasons alone predict (a damped trend: E. Gardner, E. McKenzie,
    *Forecasting trends in time series*, 1985). Without times there are no seasons to fall back on; the damping is
    then the root of that. The interval of step s is that of the last readout times √(s/H), as errors that add up
    independently would have it.
    """
    work = workspace(state, False)
    network, scales, H = state.network, state.scales, state.readout.V.shape[0]
    h, p, fed, last = network.h.copy(), network.p.copy(), scales.fed.copy(), scales.last.copy()
    value, lags = scales.value.copy(), state.experts.lags.copy()
    direct, offset = np.zeros(work.ahead.shape), np.zeros(mean.shape[1])
    damping_rate, damping = math.sqrt(step_sizes.skill(scales.losses)), 1.0
    if rules.seasons.shape[0] == 0 or math.isnan(times[0]):
        damping_rate = math.sqrt(damping_rate)
    for t in range(X.shape[0]):
        feed(work.z, h, fed, scales, X[t], times[t], rules.seasons)
        forward(state, rules, p, h, work)
        autoregression.predict(state, lags, fed, work)
        point(state, rules, last, work, work.ahead)
        if t == 0:
            for i in range(H):
                kernels.assign(direct[i], work.ahead[i])
        head = min(t, H - 1)
        for i in range(mean.shape[1]):
            if not rules.symbols:
                usual = math.sqrt(scales.change[i]) * autoregression.seasonal_change(state, work, i)
                work.ahead[0, i] = last[i] + damping * (work.ahead[0, i] - last[i]) + (1.0 - damping) * usual
            if t < H:
                offset[i] = direct[t, i] - work.ahead[0, i]
            mean[t, i] = direct[t, i] if t < H else work.ahead[0, i] + offset[i]
        damping *= damping_rate
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
                    autoregression.push_lag(lags[i], step - value[i])
                    value[i] = step
                    last[i] = step
        kernels.assign(h, work.h)
        kernels.products(network.W, h, p, network.W.shape[1])
