"""A linear autoregression learnt by recursive least squares: what a network has to beat on a single series.

It predicts the change from the newest value, ŷ_t = y_{t-1} + θ·x_t, so that θ = 0 is persistence, from the newest
`lags` changes, the newest value less the running mean, and a constant. With forgetting λ,

    s = P x    κ = s/(λ + xᵀs)    θ ← θ + κ (Δy - θ·x)    P ← (P - κ sᵀ)/λ

L. Ljung, T. Söderström, *Theory and practice of recursive identification* (1983), section 2.2.
"""

import math

import numpy as np

from nobacktrack.model.jit import allocating
from nobacktrack.model.types import Float64

LAGS = 48
FORGETTING = 0.9999
PRIOR = 0.03
"""P starts at this over the mean square of the first changes: a ridge penalty that does not depend on the unit."""
CUT = 4.0
"""A change learnt from is cut to this many root mean square changes (so far), as the package cuts it."""
# Chosen for the least geometric mean over the bundled series, to the baseline's advantage: λ out of 0.999, 0.9995,
# 0.9999 and 1 (which is 0.0003 better), the prior out of 0.001 to 1, cut or not.


@allocating
def predictions(y: Float64, lags: int, forgetting: float, prior: float, cut: float, out: Float64) -> None:
    """Write the prediction of each value (T,), made before it is used; NaN first, then persistence for `lags`."""
    size = lags + 2
    theta, x, s = np.zeros(size), np.zeros(size), np.zeros(size)
    P = np.zeros((size, size))
    squares, mean = 0.0, 0.0
    for t in range(y.shape[0]):
        out[t] = y[t - 1] if t > 0 else math.nan
        if t == 0:
            continue
        mean += (y[t - 1] - mean) / t
        change = y[t] - y[t - 1]
        if t <= lags:
            squares += change * change
            continue
        scale = math.sqrt(squares / (t - 1))
        if t == lags + 1:
            for i in range(size):
                P[i, i] = prior / (scale * scale) if scale > 0.0 else prior
            P[lags + 1, lags + 1] = prior
        for i in range(lags):
            x[i] = y[t - 1 - i] - y[t - 2 - i]
        x[lags] = y[t - 1] - mean
        x[lags + 1] = 1.0
        step = 0.0
        for i in range(size):
            step += theta[i] * x[i]
        out[t] += step
        squares += change * change
        if scale > 0.0:
            change = min(cut * scale, max(-cut * scale, change))
        s[:] = 0.0
        for i in range(size):
            for j in range(size):
                s[j] += P[i, j] * x[i]
        total = forgetting
        for i in range(size):
            total += s[i] * x[i]
        gain = (change - step) / total
        for i in range(size):
            theta[i] += s[i] * gain
            for j in range(size):
                P[i, j] = (P[i, j] - s[i] * s[j] / total) / forgetting


def predict(
    y: Float64, lags: int = LAGS, forgetting: float = FORGETTING, prior: float = PRIOR, cut: float = CUT
) -> Float64:
    """Prediction of each value of y (T,) from those before it."""
    out = np.empty(len(y))
    predictions(np.ascontiguousarray(y), lags, forgetting, prior, cut, out)
    return out
