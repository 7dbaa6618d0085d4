"""The package's own step driven by hand: inputs, signs and the gradient into the state are the test's."""

from dataclasses import replace

import numpy as np

from nobacktrack.model.config import Config
from nobacktrack.model.event.predict import forward, workspace
from nobacktrack.model.gradient.step import learn_given
from nobacktrack.model.initial_state import initial
from nobacktrack.model.interface import RTRL, Rules, rules
from nobacktrack.model.jit import allocating
from nobacktrack.model.numerics import kernels
from nobacktrack.model.state import State


@allocating
def drive(state: State, rules_: Rules, U: np.ndarray, delta: np.ndarray, signs: np.ndarray) -> None:
    """T steps with inputs U (T, m) and signs (T, R, n); only the last learns, from ∂ℓ/∂h = delta (n,)."""
    network, n = state.network, state.network.h.shape[0]
    work = workspace(state, rules_.estimator == RTRL)
    for t in range(U.shape[0]):
        for i in range(n):
            work.z[i] = network.h[i]
        for i in range(U.shape[1]):
            work.z[n + i] = U[t, i]
        work.z[n + U.shape[1]] = 1.0
        forward(state, rules_, network.p, network.h, work)
        last = t == U.shape[0] - 1
        for i in range(n):
            work.delta[i] = delta[i] if last else 0.0
        for r in range(work.signs.shape[0]):
            kernels.assign(work.signs[r], signs[t, r])
        learn_given(state, rules_, last, work)
        state.clock[0] += 1


class Network:
    """A network of random parameters in float64 that reads random inputs for T steps; the loss is ½(r·h_T - 1)²."""

    def __init__(self, config: Config, T: int, seed: int) -> None:
        self.config = replace(config, dtype="float64", optimiser="sgd", learning_rate=1.0, learning_rate_decay=0.0)
        rng = np.random.default_rng(seed)
        W = initial(self.config).network.W
        self.W = np.where(W != 0.0, rng.normal(size=W.shape), 0.0)
        self.U = rng.normal(size=(T, self.config.network_inputs))
        self.r = rng.normal(size=config.units)

    def run(
        self, estimator: str, signs: np.ndarray | None = None, delta: np.ndarray | None = None, **more: object
    ) -> tuple[State, np.ndarray]:
        """(state after the steps, gradient) of one estimator."""
        config = replace(self.config, estimator=estimator, **more)  # type: ignore[arg-type]
        state, n = initial(config), config.units
        state.network.W[...] = self.W
        signs = np.ones((len(self.U), config.tangents, n)) if signs is None else signs
        drive(state, rules(config), self.U, np.zeros(n) if delta is None else delta, signs)
        return state, self.W - state.network.W

    def state(self, W: np.ndarray) -> np.ndarray:
        """h_T with other parameters."""
        kept, self.W = self.W, W
        try:
            return self.run("frozen")[0].network.h
        finally:
            self.W = kept

    def delta(self) -> np.ndarray:
        """∂ℓ/∂h_T."""
        return np.asarray(self.r * (self.r @ self.state(self.W) - 1.0))

    def loss(self, W: np.ndarray) -> float:
        """ℓ."""
        return float(0.5 * (self.r @ self.state(W) - 1.0) ** 2)


def influence(state: State) -> np.ndarray:
    """The estimate of ∂h/∂W (n, k, K) that a state holds."""
    pair, (k, K), n = state.tangent, state.network.W.shape, state.network.h.shape[0]
    if pair.J.size:
        return pair.J
    G = np.einsum("ri,jrl->ijl", pair.v, pair.w) / max(1, len(pair.v)) if pair.w.size else np.zeros((n, k, K))
    if pair.S.size:
        for unit in range(n):
            G[unit][:, unit::n] += pair.S[:, unit::n]
    return np.asarray(G)
