"""Step sizes."""

import math

from model.jit import compiled

GAMMA0 = 0.1
"""γ0 of the Kalman filter's metric."""
PRIOR_SQUARE = 1.0
"""Mean squares of the gradient that the metric starts from: a multiple of the identity."""


@compiled
def step_size(initial: float, decay: float, step: int) -> float:
    """η_t = η0/(1 + κ√t), t = 0, 1, …: the schedule of arXiv:1702.05043."""
    return initial / (1.0 + decay * math.sqrt(step))


@compiled
def fading(step: int) -> float:
    """γ_t = 1/√(1/γ0² + t): how much the newest gradient counts in the Kalman filter's metric (ALGORITHM 6)."""
    return 1.0 / math.sqrt(1.0 / (GAMMA0 * GAMMA0) + step)
