"""Readouts of the steps after the next: each head learns from a value only when that value has been observed.

Head h (from 1) predicts from the features φ_s of event s the value y_{s+h}. That value comes h events later, so φ_s
waits in a ring of H-1 rows, with its gain κ_s: all heads see the same features, later, so the covariance and
the gain of recursive least squares are the same for all and computed once. The forecasts wait beside them to be scored.
"""

import math

from ..interface import RLS, Rules, Work
from ..jit import kernel_only
from ..network import readout
from ..numerics import scaling
from ..numerics.step_sizes import step_size
from ..scores import intervals
from ..state import State
from ..types import Float64


@kernel_only
def score_forecasts(state: State, y: Float64) -> None:
    """Put the errors of the forecasts of this event, made one to H-1 events before it, into their windows."""
    kept, scores, scales = state.readout, state.intervals, state.scales
    rows, version = kept.ring_phi.shape[0], state.clock[0]
    for h in range(1, min(rows, version) + 1):
        row = (version - h) % rows
        for i in range(y.shape[0]):
            if math.isnan(y[i]) or kept.ring_seen[row, i] < 2 or scales.change[i] <= 0.0:
                continue
            error = abs(y[i] - kept.ring_ahead[row, h - 1, i]) / math.sqrt(scales.change[i])
            seen = scores.seen[h, i]
            if seen > 0:
                half = intervals.half_width(scores.ordered[h, i], seen, scores.level[h, i])
                scores.level[h, i] = intervals.adapt(scores.level[h, i], error > half)
            intervals.insert(scores.ring[h, i], scores.ordered[h, i], seen, error)
            scores.seen[h, i] += 1


@kernel_only
def learn_heads(state: State, rules: Rules, y: Float64, eta: float, work: Work) -> None:
    """Update every head that has forecast this event; η0 = eta for the readout `gradient`."""
    kept, scales = state.readout, state.scales
    rows, version = kept.ring_phi.shape[0], state.clock[0]
    for h in range(1, min(rows, version) + 1):
        row, present = (version - h) % rows, 0
        for i in range(y.shape[0]):
            work.errors[i] = math.nan
            if math.isnan(y[i]) or kept.ring_seen[row, i] == 0 or scales.change[i] <= 0.0:
                continue
            change = (y[i] - kept.ring_last[row, i]) / math.sqrt(scales.change[i])
            target = scaling.clip(change, scaling.TARGET_CLIP * math.sqrt(h + 1.0))
            work.errors[i] = readout.value(kept.V[h], kept.ring_phi[row], i) - target
            present += 1
            if rules.readout == RLS:
                readout.rls_step(kept.V[h], kept.ring_kappa[row], i, work.errors[i])
        if present > 0 and rules.readout != RLS:
            readout.adam_step(
                kept.V[h], kept.M1[h], kept.M2[h], kept.powers[h], kept.ring_phi[row], work.errors,
                step_size(eta, rules.learning_rate_decay, kept.steps[h]),
            )  # fmt: skip
            kept.steps[h] += 1


@kernel_only
def remember(state: State, work: Work) -> None:
    """Store this event's features, gain and forecasts until their values are observed; before the statistics change."""
    kept, scales = state.readout, state.scales
    rows = kept.ring_phi.shape[0]
    if rows == 0:
        return
    row = state.clock[0] % rows
    for j in range(work.phi.shape[0]):
        kept.ring_phi[row, j] = work.phi[j]
        kept.ring_kappa[row, j] = work.kappa[j]
    for i in range(scales.last.shape[0]):
        kept.ring_last[row, i] = scales.last[i]
        kept.ring_seen[row, i] = scales.seen[i]
        for h in range(rows):
            kept.ring_ahead[row, h, i] = scales.last[i] + math.sqrt(scales.change[i]) * work.scaled[h + 1, i]
