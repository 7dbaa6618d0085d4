"""Streams of symbols: probabilities, bits, and a readout that follows its gradient."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.network import readout, softmax

ABC = model.Config(targets=("s",), alphabet=("a", "b", "c"), cell="gru", units=8, calendar=(), learning_rate=1e-2)


def test_predictions_are_probabilities_and_the_loss_is_in_bits() -> None:
    Y = np.tile([0.0, 1.0, 2.0, 1.0], 200)[:, None]
    out = model.Learner(ABC).observe_many(Y)
    np.testing.assert_allclose(out.prediction.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(out.prediction[0], np.full(3, 1 / 3))
    chosen = out.prediction[np.arange(len(Y)), Y[:, 0].astype(int)]
    np.testing.assert_allclose(out.loss, -np.log2(chosen), rtol=1e-13, atol=1e-15)
    assert np.isnan(out.lower).all()


def test_the_baseline_is_the_frequency_so_far() -> None:
    out = model.Learner(ABC).observe_many([[0.0], [0.0], [2.0]])
    np.testing.assert_allclose(out.baseline_loss, [-np.log2(1 / 3), -np.log2(2 / 4), -np.log2(1 / 5)], rtol=1e-14)


def test_a_cycle_is_learnt() -> None:
    Y = np.tile([0.0, 1.0, 2.0, 1.0], 1000)[:, None]
    out = model.Learner(ABC).observe_many(Y)
    assert out.loss[-400:].mean() < 0.1 < out.baseline_loss[-400:].mean()


def test_a_missing_symbol_teaches_nothing_and_its_probabilities_are_fed_back() -> None:
    learner = model.Learner(ABC)
    learner.observe_many(np.tile([0.0, 1.0, 2.0, 1.0], 50)[:, None])
    V, W = learner.state.readout.V.copy(), learner.state.network.W.copy()
    out = learner.observe([np.nan])
    assert np.isnan(out.loss)
    assert np.array_equal(V, learner.state.readout.V)
    assert np.array_equal(W, learner.state.network.W)
    assert learner.state.scales.fed.tolist() == [*out.prediction, 1.0]
    assert learner.version == 201


@pytest.mark.parametrize("value", [-1.0, 3.0, 0.5])
def test_what_is_no_symbol_is_refused(value: float) -> None:
    learner = model.Learner(ABC)
    with pytest.raises(ValueError, match="index in the alphabet"):
        learner.observe([value])
    assert learner.version == 0


def test_the_gradient_is_that_of_the_bits() -> None:
    """One step of the readout against the finite difference of -ln p, for the weights and for the state."""
    rng = np.random.default_rng(0)
    V, phi, symbol, units = rng.normal(size=(4, 3)), rng.normal(size=4), 1, 2

    def loss(V: np.ndarray, phi: np.ndarray) -> float:
        logits = V.T @ phi
        return float(np.log(np.exp(logits).sum()) - logits[symbol])

    p = V.T @ phi
    softmax.softmax(p)
    delta, moments, errors = np.zeros(units), np.zeros_like(V), np.zeros(3)
    softmax.softmax_error(p, symbol, errors)
    readout.error_to_state(V, errors, delta)
    # The first moment of a first step is (1 - β₁) times the gradient.
    readout.adam_step(V.copy(), moments, np.zeros_like(V), np.ones(2), phi, errors, 0.0)
    step = 1e-6
    for place in np.ndindex(V.shape):
        up, down = V.copy(), V.copy()
        up[place] += step
        down[place] -= step
        assert moments[place] / 0.1 == pytest.approx((loss(up, phi) - loss(down, phi)) / (2 * step), abs=1e-8)
    for unit in range(units):
        up, down = phi.copy(), phi.copy()
        up[unit] += step
        down[unit] -= step
        assert delta[unit] == pytest.approx((loss(V, up) - loss(V, down)) / (2 * step), abs=1e-8)
