"""The weight of the traces' residual: what it aims at, and what it does on the task that needs the residual."""

import numpy as np
import pytest

from nobacktrack.model.gradient import traces
from tests.bench.learning import influence


def weight(exact: float, residual: float) -> float:
    return max(0.0, 1.0 - exact / residual)


def test_it_descends_whatever_the_angle_where_one_part_is_clearly_longer() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        e, R = rng.normal(size=3), rng.normal(size=3)
        e /= np.linalg.norm(e)
        R -= 2.0 * max(0.0, float(R @ e)) * e  # more often against each other
        for length in (0.3, 1.0, 2.0, 5.0):
            long = R * length / np.linalg.norm(R)
            found = weight(1.0, length)
            assert (e + found * long) @ (e + long) >= -1e-12
            assert (1.0 - found) * length <= 1.0 + 1e-12


@pytest.mark.parametrize("length", [0.5, 4.0])
def test_it_is_found_from_noisy_tangents(length: float) -> None:
    """Four estimates of a residual with independent noise five times as long; the exact part has length 1."""
    rng, K, R = np.random.default_rng(1), 8, 4
    residual = rng.normal(size=K)
    residual *= length / np.linalg.norm(residual)
    statistics, found = np.zeros(3), []
    for _ in range(30_000):
        row = residual + rng.normal(size=(R, K)) * 5.0 * length / np.sqrt(K)
        found.append(traces.residual_weight(statistics, row, np.ones(R), 1.0))
    assert np.mean(found[1000:]) == pytest.approx(weight(1.0, length), abs=0.05)


def test_influence_balancing_is_solved_with_every_seed() -> None:
    """Credit must cross units there: without the residual θ goes the wrong way."""
    assert influence.with_traces(1_000, 1e-4, 1, 0, 0.0) > influence.START
    for seed in range(3):
        found = influence.with_traces(10_000, 1e-4, 16, seed, None)
        assert found == pytest.approx(influence.OPTIMUM, rel=0.01)
