"""Step sizes."""

import math

from model.jit import compiled


@compiled
def step_size(initial: float, decay: float, step: int) -> float:
    """η_t = η0/(1 + κ√t), t = 0, 1, …: the schedule of arXiv:1702.05043."""
    return initial / (1.0 + decay * math.sqrt(step))
