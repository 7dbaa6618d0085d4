"""The predictors beside the network, and the mixture of all predictions.

For each target of a regression four experts predict the change from the newest value, in units of the root mean
square of past changes: persistence (0), a linear autoregression, the network's readout, and the forecaster of many
steps (`ahead`). The autoregression reads
the newest L changes, the level, the usual changes of the seasons (`profile`) and a constant, and is learnt by recursive
least squares like the readout. Its lags start with variance PRIOR/(i+1): a priori a change tells the less the longer
ago it was (R. Litterman, *Forecasting with Bayesian vector autoregressions*, 1986), which is what keeps many lags from
doing harm while events are few. `mixture` weighs the three.

The network learns from the error of its own readout, so what is mixed with it does not change what it learns.
"""

import math

from ..ahead import forecaster, inputs
from ..ahead.ladder import EXPERTS, GAP
from ..interface import Rules, Work
from ..jit import kernel_only
from ..network import readout
from ..numerics.scaling import CLIP, TARGET_CLIP, clip
from ..seasons import profile
from ..state import State
from ..types import Float64
from . import mixture

PERSISTENCE, AUTOREGRESSION, NETWORK, FORECASTER = 0, 1, 2, 3
LARGEST = 1000.0
"""What the forecaster says, and the value that it is judged by, count up to this many root mean square changes."""


@kernel_only
def predict(state: State, lags: Float64, fed: Float64, x: Float64, work: Work) -> None:
    """From z and ŷ in `work`: features (q, s) of the autoregression, predictions (q, E) of the experts, mixture (q,).

    Shapes lags (q, L): the newest changes, the newest first; fed (f,) as the network reads it; x (inputs,) of the step.
    Without lags the mixture is the network's prediction. After missing values the forecaster alone predicts: it looks
    ahead from the newest measured value, where the others would run on their own predictions.
    """
    kept, scales = state.experts, state.scales
    q, L = lags.shape
    seasons = scales.profile.shape[1]
    place = work.z.shape[0] - 1 - q * seasons
    for i in range(work.mixed.shape[0]):
        work.mixed[i] = work.scaled[0, i]
        if L == 0:
            continue
        scale, features = math.sqrt(scales.change[i]), work.lagged[i]
        for lag in range(L):
            features[lag] = clip(lags[i, lag] / scale, CLIP) if scale > 0.0 else 0.0
        features[L] = fed[3 * i]
        for season in range(seasons):
            features[L + 1 + season] = work.z[place + i * seasons + season]
        features[L + 1 + seasons] = 1.0
        predictions = work.expert_predictions[i]
        predictions[PERSISTENCE] = 0.0
        predictions[AUTOREGRESSION] = clip(readout.value(kept.V, features, i), TARGET_CLIP)
        predictions[NETWORK] = clip(work.scaled[0, i], TARGET_CLIP)
        predictions[FORECASTER] = 0.0
        if scale > 0.0:
            ahead = forecaster.forecast(state.ahead, i, 1, work.forecasts[5, :EXPERTS]) + inputs.effect(
                state.ahead, i, x
            )
            if not math.isnan(ahead):
                predictions[FORECASTER] = clip((ahead - scales.value[i]) / scale, LARGEST)
        if state.ahead.counts[i, GAP] > 0:
            work.mixed[i] = predictions[FORECASTER]
        else:
            work.mixed[i] = mixture.mix(kept.regret[i], kept.spread[i], predictions)


@kernel_only
def seasonal_change(state: State, work: Work, i: int) -> float:
    """The part of target i's autoregression that comes from the seasons alone, in units of the scale.

    Its mean is subtracted, so that a whole season does not change the level.
    """
    total, first = 0.0, state.experts.lags.shape[1] + 1
    for season in range(work.lagged.shape[1] - 1 - first):
        deviation = work.lagged[i, first + season] - profile.mean_change(state.scales.profile[i, season])
        total += state.experts.V[first + season, i] * deviation
    return total


@kernel_only
def learn(state: State, rules: Rules, y: Float64, work: Work) -> None:
    """Update the autoregression and the weights of the mixture, for every target that is present."""
    kept = state.experts
    for i in range(kept.lags.shape[0]):
        if kept.lags.shape[1] == 0 or math.isnan(work.errors[i]):
            continue
        target, scale = work.scaled[0, i] - work.errors[i], math.sqrt(state.scales.change[i])
        if state.ahead.counts[i, GAP] == 0 and scale > 0.0:
            change = clip((y[i] - state.scales.value[i]) / scale, LARGEST)
            mixture.update_weights(
                kept.regret[i],
                kept.spread[i],
                kept.loss[i],
                work.expert_predictions[i],
                work.mixed[i],
                change,
                rules.forgetting,
            )
        readout.rls_gain(kept.P[i], work.lagged[i], work.gain, rules.forgetting)
        readout.rls_step(kept.V, work.gain, i, readout.value(kept.V, work.lagged[i], i) - target)


@kernel_only
def push_lag(lags: Float64, change: float) -> None:
    """Put the newest change at the front of one target's lags (L,); the oldest is dropped."""
    for lag in range(lags.shape[0] - 1, 0, -1):
        lags[lag] = lags[lag - 1]
    if lags.shape[0] > 0:
        lags[0] = change
