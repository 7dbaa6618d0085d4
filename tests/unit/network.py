"""A small network stepped by hand with the package's own compiled parts, for the tests of the gradient."""

from dataclasses import dataclass

import numpy as np

from model import kernels, rtrl, tangent
from model.cells import advance_leaky


@dataclass
class Step:
    """One event's inputs, derivatives and new state at frozen parameters."""

    z: np.ndarray
    c: np.ndarray
    D: np.ndarray
    h: np.ndarray


@dataclass
class Problem:
    """n units reading m inputs for T steps in float64; the loss is ½(r·h_T - 1)²."""

    W: np.ndarray
    rates: np.ndarray
    U: np.ndarray
    r: np.ndarray

    @classmethod
    def random(cls, n: int, m: int, T: int, seed: int) -> "Problem":
        rng = np.random.default_rng(seed)
        W, rates = rng.normal(size=(n + m + 1, n)), rng.uniform(0.2, 1.0, n)
        return cls(W, rates, rng.normal(size=(T, m)), rng.normal(size=n))

    def steps(self, W: np.ndarray | None = None) -> list[Step]:
        W = self.W if W is None else W
        n = len(self.r)
        h, done = np.zeros(n), []
        for u in self.U:
            z = np.concatenate([h, u, [1.0]])
            new, c, D = np.zeros(n), np.zeros(n), np.zeros(n)
            advance_leaky(h, W.T @ z, self.rates, new, c, D)
            done.append(Step(z, c, D, new))
            h = new
        return done

    def loss(self, W: np.ndarray) -> float:
        return float(0.5 * (self.r @ self.steps(W)[-1].h - 1.0) ** 2)

    def delta(self) -> np.ndarray:
        return np.asarray(self.r * (self.r @ self.steps()[-1].h - 1.0))

    def exact(self) -> tuple[np.ndarray, np.ndarray]:
        """(J, gradient) by exact RTRL."""
        n, (k, K) = len(self.r), self.W.shape
        J, scratch, gradient = np.zeros((n, k, K)), np.zeros((n, k, K)), np.zeros((k, K))
        for step in self.steps():
            rtrl.advance(J, self.W, step.z, step.c, step.D, scratch)
        rtrl.gradient(J, self.delta(), gradient)
        return J, gradient

    def nobacktrack(self, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(v ⊗ w, gradient) by the compiled pass, with the signs (T, n) given."""
        n, (k, K) = len(self.r), self.W.shape
        v, w, q = np.zeros(n), np.zeros((k, K)), np.zeros(K)
        e, f, p, w_norm = np.zeros(K), np.zeros(n), np.zeros(K), 0.0
        gradient = np.zeros((k, K))
        for step, epsilon, last in zip(self.steps(), signs, [False] * (len(self.U) - 1) + [True], strict=True):
            W, delta = self.W.copy(), self.delta() if last else np.zeros(n)
            z_norm = tangent.norm(step.z)
            tangent.carry(f, q, v, step.c, step.D)
            rho0 = tangent.weigh(f, w_norm)
            injected = tangent.inject(v, e, f, step.D, z_norm, epsilon, rho0)
            w_norm = np.sqrt(w_norm**2 / rho0**2 + injected)
            kernels.pass_sgd(W, w, step.z, delta * step.D, e, step.h, v, p, q, float(delta @ f), 1.0 / rho0, 1.0)
            gradient = self.W - W
            # The pass has moved W; the tangent's product is wanted at the parameters that stay.
            q[:] = self.W[:n].T @ v
        return np.einsum("i,jl->ijl", v, w), gradient
