"""Recursive least squares against the batch solution that it claims to be."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.network import readout


@pytest.mark.parametrize("forgetting", [1.0, 0.98])
def test_equals_weighted_ridge_regression(forgetting: float) -> None:
    rng = np.random.default_rng(0)
    T, p = 60, 5
    phis, ys = rng.normal(size=(T, p)), rng.normal(size=T)
    V, P, kappa, guess = np.zeros((p, 1)), readout.PRIOR * np.eye(p), np.zeros(p), np.zeros(1)
    for phi, y in zip(phis, ys, strict=True):
        readout.predict(V, phi, guess)
        readout.rls_gain(P, phi, kappa, forgetting)
        readout.rls_step(V, kappa, 0, guess[0] - y)
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
        readout.rls_gain(P, phi, kappa, 0.999)
        assert P.diagonal().max() <= readout.LIMIT
    assert np.linalg.eigvalsh(P).min() > 0


def test_one_step_of_the_gradient_is_adam_on_the_squared_error() -> None:
    """Against Kingma and Ba's algorithm written out, several outputs, one of them without a target now and then."""
    rng = np.random.default_rng(0)
    p, o, eta = 4, 3, 0.01
    V, M1, M2, powers = rng.normal(size=(p, o)), np.zeros((p, o)), np.zeros((p, o)), np.ones(2)
    exact, m, v = V.copy(), np.zeros((p, o)), np.zeros((p, o))
    for t in range(1, 30):
        phi, y, guess = rng.normal(size=p), rng.normal(size=o), np.zeros(o)
        readout.predict(V, phi, guess)
        errors = guess - y
        errors[2] = np.nan if t % 3 == 0 else errors[2]
        readout.adam_step(V, M1, M2, powers, phi, errors, eta)
        for i in np.flatnonzero(~np.isnan(errors)):
            # The derivative of ½(V_i·φ - y_i)² by V_i.
            g = phi * (exact[:, i] @ phi - y[i])
            m[:, i], v[:, i] = 0.9 * m[:, i] + 0.1 * g, 0.999 * v[:, i] + 0.001 * g**2
            exact[:, i] -= eta * (m[:, i] / (1 - 0.9**t)) / (np.sqrt(v[:, i] / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(V, exact, rtol=1e-9)


@pytest.mark.parametrize("kind", ["rls", "gradient"])
def test_every_head_of_either_kind_learns_a_wave(kind: str) -> None:
    Y = np.sin(np.arange(4000) / 5)[:, None]
    config = model.Config(targets=("y",), units=16, horizons=3, readout=kind, calendar=(), learning_rate=1e-2)  # type: ignore[arg-type]
    out = model.Learner(config).observe_many(Y)
    for h in range(3):
        error, change = out.ahead[3000:-3, h] - Y[3001 + h : 3998 + h], Y[3000:-3] - Y[3001 + h : 3998 + h]
        assert (error**2).mean() < 0.05 * (change**2).mean()
