"""Signs and initial weights are functions of what they are for."""

import numpy as np

from nobacktrack.model.numerics import random_signs


def draw(seed: int, tangent: int, step: int, n: int = 130) -> np.ndarray:
    out = np.zeros(n)
    random_signs.fill_signs(out, seed, tangent, step)
    return out


def test_only_plus_and_minus_one_and_a_prefix_does_not_depend_on_the_length() -> None:
    assert set(draw(0, 0, 0).tolist()) == {-1.0, 1.0}
    assert draw(3, 1, 7, 65).tolist() == draw(3, 1, 7, 130)[:65].tolist()


def test_seed_tangent_and_step_each_matter() -> None:
    places = [(s, r, t) for s in range(4) for r in range(4) for t in range(4)]
    assert len({draw(*place).tobytes() for place in places}) == len(places)


def test_known_values() -> None:
    """These bits are part of the file format: replaying an old log needs them."""
    assert "".join("+" if s > 0 else "-" for s in draw(0, 0, 0, 16)) == KNOWN


def test_unbiased_and_uncorrelated() -> None:
    """Each statistic of independent signs has mean 0 and variance 1/N; six standard deviations are allowed."""
    sample = np.array([draw(1, 0, t) for t in range(4096)])
    bound = 6 / np.sqrt(len(sample))
    assert np.abs(sample.mean(axis=0)).max() < bound
    covariance = sample.T @ sample / len(sample) - np.eye(sample.shape[1])
    assert np.abs(covariance).max() < bound
    assert np.abs((sample[1:] * sample[:-1]).mean(axis=0)).max() < bound


def test_initial_weights() -> None:
    W = np.zeros((40, 32))
    random_signs.fill_weights(W, 32, 0.9, 0)
    assert np.abs(W[:32]).max() <= 0.9 * np.sqrt(3 / 32)
    assert np.abs(W[32:39]).max() <= np.sqrt(3 / 7)
    assert np.abs(W[39]).max() <= 0.3
    assert len(np.unique(W)) == W.size


KNOWN = "+---+--+-+++++-+"
