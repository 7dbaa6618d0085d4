"""Step sizes of the recurrent weights, and the running losses that scale them."""

import math

from ..jit import compiled
from ..types import Float64

FULL_STEP_RATIO = 0.25
"""A step has its full size while the error is at least this share of persistence's error."""
LOSS_WEIGHT = 0.01
"""Weight of the newest event in the running means of the losses."""
GAMMA0 = 0.1
"""γ0 of the Kalman filter's metric."""
PRIOR_SQUARE = 1.0
"""Mean squares of the gradient that the metric starts from: a multiple of the identity."""


@compiled
def step_size(initial: float, decay: float, step: int) -> float:
    """η_t = η0/(1 + κ√t), t = 0, 1, …: the schedule of arXiv:1702.05043."""
    return initial / (1.0 + decay * math.sqrt(step))


@compiled
def metric_rate(step: int) -> float:
    """γ_t = 1/√(1/γ0² + t): how much the newest gradient counts in the Kalman filter's metric."""
    return 1.0 / math.sqrt(1.0 / (GAMMA0 * GAMMA0) + step)


@compiled
def error_scale(losses: Float64) -> float:
    """min(1, √(loss/baseline)/FULL_STEP_RATIO): the factor that scales Adam's step with the error.

    Adam divides the gradient by its own size, so the features move by η however small the error is. On a stream that
    can be predicted almost exactly, this motion causes most of the error, because the readout has to follow it. So the
    steps shrink with the error, once it is a small part of persistence's. `losses` (2,) are the running mean squared
    errors of network and persistence; both are 1 at the start, and always for symbols.
    """
    if losses[1] <= 0.0:
        return 1.0
    return min(1.0, math.sqrt(losses[0] / losses[1]) / FULL_STEP_RATIO)


@compiled
def skill(losses: Float64) -> float:
    """1 - loss/baseline, at least 0: the skill score of the network against persistence."""
    return max(0.0, 1.0 - losses[0] / losses[1]) if losses[1] > 0.0 else 1.0


@compiled
def track_losses(losses: Float64, loss: float, baseline: float) -> None:
    """Update the running means `losses` (2,) with an event's loss and its baseline."""
    losses[0] += LOSS_WEIGHT * (loss - losses[0])
    losses[1] += LOSS_WEIGHT * (baseline - losses[1])
