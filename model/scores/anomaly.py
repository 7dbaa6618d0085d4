"""The anomaly score: how unlikely the newest errors are among ordinary errors.

1. Tail probability p_t of the newest absolute error e among the N errors of its window. Below the (m+1)-th largest, u,
   with m = N/10, the probability is counted: p = (1 + errors not below e)/(N + 1). Counting cannot tell a large error
   from an enormous one, so that above u the tail is a power,

       p = (m+1)/(N+1)·(e/u)^(-1/γ)       γ = (Σ ln(e_(i)/u) + m0 γ0)/(m + m0), the m errors above u

   the estimate of B. Hill, *A simple general approach to inference about the tail of a distribution* (1975), drawn
   towards γ0 while errors are few. No tail is heavier than a power, so it overstates no surprise.
2. The newest few together: -ln p is exponential of mean 1 when nothing is the matter, so that
   s_t = ρ s_{t-1} - ln p_t (R. Fisher's combination, fading) has mean 1/(1-ρ) and variance 1/(1-ρ²): those of a gamma
   variable of shape k = (1+ρ)/(1-ρ) and scale 1/(1+ρ), which gives s a tail probability P, right to a quarter down to
   1 %. One spike, or a few errors none of which would be enough, make it small.
3. Largest of many: score = (1-P)^(WINDOW·targets), the probability that a whole window of ordinary events has nothing
   as extreme. The largest of 256 ordinary errors scores a third or so, not 0.996; on noise a score above 0.99 comes at
   most once in about a hundred windows.
"""

from ..jit import compiled
from ..numerics.elementary import exp, log
from ..types import Float64
from .intervals import WINDOW, position

TAIL = 0.1
"""Share of the window that counts as the tail."""
PRIOR_INDEX, PRIOR_ERRORS = 0.25, 4
"""γ0 and m0: before errors say otherwise, the tail falls as the fourth power, about that of normal errors."""
FADING = 0.75
"""ρ: the newest 1/(1-ρ) = 4 errors count."""
SHAPE = 7
"""k = (1+ρ)/(1-ρ), a whole number, for which the gamma distribution has a finite sum."""
MEAN_SUM = 1.0 / (1.0 - FADING)
"""Mean of s for ordinary errors, with which s begins."""
SMALLEST_P = 1e-15
"""Lower bound of p."""


@compiled
def p_value(ordered: Float64, count: int, error: float) -> float:
    """p of an error, given the window before it: min(count, window) ascending errors; 1 before the first."""
    size = min(count, ordered.shape[0])
    above = int(TAIL * size)
    # A stream predicted exactly but for some events has a tail of those events alone.
    while above > 0 and ordered[size - above - 1] <= 0.0:
        above -= 1
    level = ordered[size - above - 1] if size > 0 else error
    if error <= level:
        return float((size - position(ordered, size, error) + 1.0) / (size + 1.0))
    if level <= 0.0:
        return SMALLEST_P
    index = PRIOR_ERRORS * PRIOR_INDEX
    for i in range(size - above, size):
        index += log(ordered[i] / level)
    index /= above + PRIOR_ERRORS
    return float(max(SMALLEST_P, (above + 1.0) / (size + 1.0) * exp(-log(error / level) / index)))


@compiled
def accumulate(running_sum: float, p: float) -> float:
    """s' = ρ s - ln p."""
    return FADING * running_sum - log(p)


@compiled
def combined_p_value(running_sum: float) -> float:
    """P = e^-x Σ_{i<k} x^i/i! with x = (1+ρ) s: the probability that ordinary errors have a larger sum."""
    x = (1.0 + FADING) * running_sum
    term, total = 1.0, 1.0
    for i in range(1, SHAPE):
        term *= x / i
        total += term
    return min(1.0, exp(-x) * total)


@compiled
def score(p: float, targets: int) -> float:
    """(1-P)^(WINDOW·targets), in [0, 1], for the least P of so many targets."""
    return exp(WINDOW * targets * log(1.0 - p)) if p < 1.0 else 0.0
