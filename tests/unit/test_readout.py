"""Recursive least squares against the batch solution that it claims to be."""

import numpy as np
import pytest

from model import readout


@pytest.mark.parametrize("forgetting", [1.0, 0.98])
def test_equals_weighted_ridge_regression(forgetting: float) -> None:
    rng = np.random.default_rng(0)
    T, p = 60, 5
    phis, ys = rng.normal(size=(T, p)), rng.normal(size=T)
    V, P, kappa, guess = np.zeros((p, 1)), readout.PRIOR * np.eye(p), np.zeros(p), np.zeros(1)
    for phi, y in zip(phis, ys, strict=True):
        readout.predict(V, phi, guess)
        readout.condition(P, phi, kappa, forgetting)
        readout.learn(V, kappa, 0, guess[0] - y)
        assert np.array_equal(P, P.T)
    weights = forgetting ** np.arange(T)[::-1]
    ridge = np.eye(p) * forgetting**T / readout.PRIOR
    exact = np.linalg.solve((phis * weights[:, None]).T @ phis + ridge, (phis * weights[:, None]).T @ ys)
    np.testing.assert_allclose(V[:, 0], exact, rtol=1e-9)
    np.testing.assert_allclose(np.linalg.inv(P), (phis * weights[:, None]).T @ phis + ridge, rtol=1e-8, atol=1e-10)


def test_features_without_excitation_stay_bounded_for_ever() -> None:
    """One constant feature, three that are always 0: their variance would grow as λ^-t without the restart."""
    p = 4
    P, kappa, phi = readout.PRIOR * np.eye(p), np.zeros(p), np.array([1.0, 0.0, 0.0, 0.0])
    for _ in range(100_000):
        readout.condition(P, phi, kappa, 0.999)
        assert P.diagonal().max() <= readout.LIMIT
    assert np.linalg.eigvalsh(P).min() > 0
