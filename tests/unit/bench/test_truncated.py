"""The benchmark's truncated backpropagation: its gradient against finite differences of the unrolled loss."""

import numpy as np
import pytest

from tests.bench.learning import truncated

UNITS, ALPHABET = 3, 2
SYMBOLS = np.array([0, 1, 1, 0, 1, 0])


def _network() -> truncated.Network:
    network = truncated.initial(UNITS, ALPHABET, seed=0, dtype=np.float64)
    network.V[...] = np.random.default_rng(1).normal(size=network.V.shape)
    return network


def _gradients(window: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the loss of the last of `length` symbols by W and V, out of Adam's first moments: with a rate of 0
    the parameters stand still and m_t = β m_{t-1} + (1-β) g_t."""
    moments = []
    for T in (length - 1, length):
        network = _network()
        truncated.learn(network, SYMBOLS[:T], window, 0.0, 0.0, np.zeros(T))
        moments.append((network.W1, network.V1))
    (W0, V0), (W1, V1) = moments
    beta = truncated.BETA1
    return (W1 - beta * W0) / (1 - beta), (V1 - beta * V0) / (1 - beta)


def _loss(W: np.ndarray, V: np.ndarray, length: int, window: int) -> float:
    """Loss in nats of the last symbol, W moved in the newest `window` steps only; written out in plain NumPy."""
    h, phi = np.zeros(UNITS), np.zeros(len(V))
    for t in range(length):
        weights = W if t >= length - window else _network().W
        u = np.eye(ALPHABET)[SYMBOLS[t - 1]] if t else np.zeros(ALPHABET)
        a_h, a_z, a_r, a_x = np.split(weights.T @ np.concatenate([h, u, [1.0]]), 4)
        z, r = 1 / (1 + np.exp(-a_z)), 1 / (1 + np.exp(-a_r))
        h = z * h + (1 - z) * np.tanh(a_x + r * a_h)
        phi = np.concatenate([h, u, [1.0]])
    logits = V.T @ phi
    return float(np.log(np.exp(logits).sum()) - logits[SYMBOLS[length - 1]])


@pytest.mark.parametrize("window", [1, 3, 6])
def test_gradient_is_the_finite_difference_of_the_unrolled_loss(window: int) -> None:
    network, length, step = _network(), len(SYMBOLS), 1e-5
    gradient_W, gradient_V = _gradients(window, length)
    mask = network.W != 0.0
    mask[-1, UNITS:] = True  # the biases start at 0, but are learnt
    assert not gradient_W[~mask].any()
    for place in np.argwhere(mask):
        change = np.zeros_like(network.W)
        change[tuple(place)] = step
        up, down = (_loss(network.W + sign * change, network.V, length, window) for sign in (1, -1))
        assert gradient_W[tuple(place)] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-9)
    for place in np.argwhere(np.ones_like(network.V)):
        change = np.zeros_like(network.V)
        change[tuple(place)] = step
        up, down = (_loss(network.W, network.V + sign * change, length, window) for sign in (1, -1))
        assert gradient_V[tuple(place)] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-9)
    assert np.abs(gradient_W).max() > 1e-2


def test_the_loss_is_that_of_the_network() -> None:
    bits = np.zeros(len(SYMBOLS))
    network = _network()
    truncated.learn(network, SYMBOLS, 2, 0.0, 0.0, bits)
    expected = [_loss(network.W, network.V, T, T) / np.log(2) for T in range(1, len(SYMBOLS) + 1)]
    np.testing.assert_allclose(bits, expected, rtol=1e-12)
