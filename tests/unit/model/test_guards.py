"""Faults of a learner are caught before they can reach what is stored."""

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.model.state import arrays
from tests.unit.model.streams import stream

WILD = [
    {"estimator": "nobacktrack", "optimiser": "sgd"},
    {"estimator": "uoro", "optimiser": "kalman", "rank": 2},
    {"estimator": "nobacktrack-traces"},
    {"estimator": "nobacktrack-traces", "residual_weight": 1.0, "optimiser": "sgd"},
    {"estimator": "rtrl"},
    {"estimator": "rtrl", "optimiser": "sgd"},
]


@pytest.mark.parametrize("cell", ["leaky", "gru"])
@pytest.mark.parametrize("more", WILD, ids=lambda more: "-".join(map(str, more.values())))
def test_a_network_beyond_all_bounds_stays_finite(cell: str, more: dict[str, object]) -> None:
    """Recurrent weights ten times too large, the largest step size, noise with jumps."""
    wild = {"gain": 10.0, "learning_rate": 1.0, "learning_rate_decay": 0.0, "time_constants": [1, 1]}
    config = model.Config.from_dict({"targets": ["y"], "units": 12, "cell": cell, "calendar": []} | wild | more)
    Y = np.random.default_rng(0).normal(size=(1500, 1))
    Y[::100] *= 1e6
    learner = model.Learner(config)
    out = learner.observe_many(Y)
    for name, array in arrays(learner.state):
        assert np.isfinite(array).all(), name
    assert np.isfinite(out.prediction[1:]).all()
    assert model.from_bytes(model.to_bytes(learner)).digest() == learner.digest()


@pytest.mark.parametrize("estimator", ["nobacktrack", "nobacktrack-traces", "rtrl"])
def test_a_gradient_that_exploded_is_skipped_counted_and_forgotten(estimator: str) -> None:
    config = model.Config(targets=("y",), units=5, estimator=estimator, calendar=())  # type: ignore[arg-type]
    learner = model.Learner(config)
    Y, _, _ = stream(config, 100)
    learner.observe_many(Y)
    pair = learner.state.tangent
    for array in (pair.w_norm, pair.sizes, pair.J):
        array[...] = 1e30
    W = learner.state.network.W.copy()
    out = learner.observe([100.0])
    assert out.guarded & model.SKIPPED
    assert np.array_equal(W, learner.state.network.W)
    for array in (pair.v, pair.w, pair.S, pair.sizes, pair.J):
        assert not array.any()
    again = learner.observe([101.0])
    assert not again.guarded
    assert not np.array_equal(W, learner.state.network.W)


def test_a_tangent_that_grows_is_cut_to_its_bound_and_counted() -> None:
    config = model.Config(
        targets=("y",), units=12, estimator="nobacktrack", gain=10.0, learning_rate=0.0, time_constants=(1, 1)
    )
    Y = 1e-3 * np.random.default_rng(0).normal(size=(300, 1))
    out = model.Learner(config).observe_many(Y)
    assert out.tangent_norm.max() <= 1e6
    assert (out.guarded == model.SHRUNK).any() == (out.tangent_norm.max() == 1e6)
