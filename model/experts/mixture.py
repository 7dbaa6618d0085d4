"""Several predictions of one number, mixed with weights that are learnt online: ML-Poly.

P. Gaillard, G. Stoltz, T. van Erven, *A second-order bound with excess losses*, arXiv:1402.2044, for the squared error
and with its gradient in the place of the loss, which makes the mixture compete with the best fixed convex combination
of the experts and not only with the best of them. With p = Σ w_k x_k the mixture and g = 2 (p - y),

    r_k = g (p - x_k)             what more weight of expert k would have gained, to first order
    R_k ← λ R_k + r_k             S_k ← λ S_k + r_k²
    w_k ∝ max(0, R_k)/(1 + S_k)   equal weights where no R_k is positive

It has no step size to choose. λ, the forgetting factor of the linear readouts, lets the weights follow a stream that
changes; with λ = 1 and |r| <= 1, R_k never exceeds √(K (1 + ln(1+T)) (1 + S_k)).
"""

from ..jit import compiled
from ..types import Float64

MEMORY = 300
"""Events that the mean square error averages over."""
LARGEST = 50.0
"""One error's square counts at most this many mean squares: rare jumps do not decide."""


@compiled
def mix(regret: Float64, spread: Float64, predictions: Float64) -> float:
    """The mixture Σ w_k x_k; shapes (K,)."""
    total, weights, plain = 0.0, 0.0, 0.0
    for k in range(predictions.shape[0]):
        weight = max(0.0, regret[k]) / (1.0 + spread[k])
        total += weight * predictions[k]
        weights += weight
        plain += predictions[k]
    return float(total / weights if weights > 0.0 else plain / predictions.shape[0])


@compiled
def update_weights(
    regret: Float64,
    spread: Float64,
    loss: Float64,
    predictions: Float64,
    mixed: float,
    target: float,
    forgetting: float,
) -> None:
    """Update R and S (K,) with the predictions (K,) of the experts, their mixture `mixed` and the target.

    `loss` (2,): running mean of the squared errors, which are its unit, and their number.
    """
    error = mixed - target
    loss[1] += 1.0
    loss[0] += (error * error - loss[0]) / min(loss[1], MEMORY)
    unit = max(loss[0], error * error / LARGEST)
    if unit <= 0.0:
        return
    slope = 2.0 * error / unit
    for k in range(predictions.shape[0]):
        gain = slope * (mixed - predictions[k])
        regret[k] = forgetting * regret[k] + gain
        spread[k] = forgetting * spread[k] + gain * gain
