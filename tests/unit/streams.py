"""Made-up streams and the configurations that every test of a whole learner runs over."""

import numpy as np

from model import Config

CONFIGS = {
    "default": Config(targets=("y",), units=8),
    "several": Config(targets=("a", "b"), inputs=("promo",), units=6),
    "sgd": Config(targets=("y",), units=5, optimiser="sgd", learning_rate=1e-2),
    "float64": Config(targets=("y",), units=5, dtype="float64", seed=7),
    "rtrl": Config(targets=("a", "b"), units=4, estimator="rtrl", learning_rate=1e-3),
    "rtrl-sgd": Config(targets=("y",), units=4, estimator="rtrl", optimiser="sgd", dtype="float64"),
    "frozen": Config(targets=("y",), inputs=("u", "v"), units=6, estimator="frozen"),
    "one-unit": Config(targets=("y",), units=1, time_constants=(1, 1), gain=0.0),
}


def stream(config: Config, T: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Y (T, q) and X (T, inputs): waves and noise, one value in ten missing."""
    rng = np.random.default_rng(seed)
    t = np.arange(T)[:, None]
    q, x = len(config.targets), len(config.inputs)
    X = rng.normal(size=(T, x))
    Y = np.sin(t / (3 + np.arange(q))) * 10 + 100 + rng.normal(size=(T, q)) + X.sum(axis=1, keepdims=True)
    Y[rng.random(Y.shape) < 0.1] = np.nan
    X[rng.random(X.shape) < 0.1] = np.nan
    return Y, X
