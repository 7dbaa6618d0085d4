"""Made-up streams and the configurations that every test of a whole learner runs over."""

import numpy as np

from nobacktrack.model import Config

CONFIGS = {
    "default": Config(targets=("y",), units=8),
    "several": Config(targets=("a", "b"), inputs=("promo",), units=6, calendar=("hour", "day", "week", "year")),
    "nobacktrack": Config(targets=("y",), units=6, estimator="nobacktrack"),
    "nobacktrack-sgd": Config(
        targets=("y",), units=5, estimator="nobacktrack", optimiser="sgd", learning_rate=1e-2, calendar=()
    ),
    "rank": Config(targets=("y",), units=6, estimator="nobacktrack", rank=3),
    "uoro-kalman": Config(targets=("y",), units=6, estimator="uoro", optimiser="kalman"),
    "traces-unbiased": Config(targets=("y",), units=6, residual_weight=1.0),
    "traces-auto-gru": Config(targets=("y",), units=5, cell="gru", rank=2, residual_weight="auto"),
    "gru": Config(targets=("a", "b"), units=5, cell="gru", horizons=3),
    "gru-kalman": Config(targets=("y",), units=5, cell="gru", estimator="nobacktrack", optimiser="kalman"),
    "traces-sgd": Config(targets=("y",), units=5, optimiser="sgd", learning_rate=1e-2),
    "horizons": Config(targets=("y",), units=6, horizons=5, estimator="frozen"),
    "gradient": Config(targets=("a", "b"), units=6, horizons=3, readout="gradient", learning_rate=1e-2),
    "symbols": Config(targets=("s",), alphabet=("a", "b", "c"), units=6, cell="gru", learning_rate=1e-3),
    "rtrl": Config(targets=("a", "b"), units=4, estimator="rtrl", learning_rate=1e-3),
    "rtrl-kalman": Config(targets=("y",), units=4, estimator="rtrl", optimiser="kalman", cell="gru"),
    "frozen": Config(targets=("y",), inputs=("u", "v"), units=6, estimator="frozen"),
    "one-unit": Config(targets=("y",), units=1, time_constants=(1, 1), gain=0.0),
    "float64": Config(targets=("y",), units=5, dtype="float64", seed=7),
    "float64-gru": Config(targets=("y",), units=5, dtype="float64", cell="gru", estimator="uoro", rank=2),
}


def stream(config: Config, T: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y (T, q), X (T, inputs) and times (T,): waves and noise, or symbols; one value in ten missing."""
    rng = np.random.default_rng(seed)
    t = np.arange(T)[:, None]
    q, x = len(config.targets), len(config.inputs)
    X = rng.normal(size=(T, x))
    if config.alphabet is None:
        Y = np.sin(t / (3 + np.arange(q))) * 10 + 100 + rng.normal(size=(T, q)) + X.sum(axis=1, keepdims=True)
    else:
        Y = (t // 3 + rng.integers(0, 2, (T, 1))) % len(config.alphabet) * 1.0
    Y[rng.random(Y.shape) < 0.1] = np.nan
    X[rng.random(X.shape) < 0.1] = np.nan
    times = 1.7e9 + np.cumsum(rng.choice([600.0, 600.0, 1200.0, 60.0], T))
    times[rng.random(T) < 0.1] = np.nan
    return Y, X, times
