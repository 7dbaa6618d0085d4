"""Forecasts of many steps. Compiled.

The next step is the mixture of all experts, as for the next event. Later steps of a regression are those of the
forecaster (`ahead`), which predicts each step directly; symbols have no forecaster, and the network runs ahead on its
own probabilities.
"""

import math

from ..ahead import forecaster, inputs
from ..ahead.ladder import EXPERTS
from ..experts import autoregression
from ..interface import Rules
from ..jit import allocating, kernel_only
from ..numerics import kernels
from ..scores.intervals import MISCOVERAGE
from ..state import State
from ..types import Float64
from .predict import feed, forward, interval, point, workspace


@allocating
def forecast(
    state: State, rules: Rules, X: Float64, times: Float64, mean: Float64, lower: Float64, upper: Float64
) -> None:
    """Predict the next T steps, given the rows of X (T, x) and times (T,); fills mean, lower, upper (T, o).

    `state` is only read.
    """
    work = workspace(state, False)
    network, scales = state.network, state.scales
    feed(work.z, network.h, scales.fed, scales, X[0], times[0], rules.seasons)
    forward(state, rules, network.p, network.h, work)
    autoregression.predict(state, state.experts.lags, scales.fed, X[0], work)
    point(state, rules, scales.value, work, work.ahead)
    kernels.assign(mean[0], work.ahead[0])
    interval(state, rules, 0, mean[0], lower[0], upper[0])
    if not rules.symbols:
        _later(state, X, mean, lower, upper, work.forecasts[5, :EXPERTS])
        return
    h, p, fed = network.h.copy(), network.p.copy(), scales.fed.copy()
    for t in range(1, X.shape[0]):
        for a in range(mean.shape[1]):
            fed[a] = mean[t - 1, a]
            lower[t, a] = upper[t, a] = math.nan
        fed[mean.shape[1]] = 0.0
        kernels.assign(h, work.h)
        kernels.products(network.W, h, p, network.W.shape[1])
        feed(work.z, h, fed, scales, X[t], times[t], rules.seasons)
        forward(state, rules, p, h, work)
        kernels.assign(mean[t], work.scaled[0])


@kernel_only
def _later(state: State, X: Float64, mean: Float64, lower: Float64, upper: Float64, said: Float64) -> None:
    """Steps after the first, as the forecaster predicts them, with the effects of their inputs; `said` is scratch."""
    for t in range(1, X.shape[0]):
        for i in range(mean.shape[1]):
            mean[t, i] = forecaster.forecast(state.ahead, i, t + 1, said) + inputs.effect(state.ahead, i, X[t])
            lower[t, i] = mean[t, i] + forecaster.quantile(state.ahead, i, t + 1, MISCOVERAGE / 2.0)
            upper[t, i] = mean[t, i] + forecaster.quantile(state.ahead, i, t + 1, 1.0 - MISCOVERAGE / 2.0)
