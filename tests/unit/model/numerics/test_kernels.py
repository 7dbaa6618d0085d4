"""The fused passes are the general one, bit for bit; the Kalman filter is its own definition."""

import numpy as np
import pytest

from nobacktrack.model.network.cells import GRU, LEAKY, columns
from nobacktrack.model.numerics import kernels
from nobacktrack.model.numerics.step_sizes import GAMMA0, metric_rate, step_size


class Arrays:
    """Random arrays of one event; made twice from one seed they are equal."""

    def __init__(self, cell: int, R: int, *, traces: bool, dtype: str) -> None:
        n, m = 5, 3
        G = 4 if cell == GRU else 1
        k, K = n + m + 1, G * n
        rng = np.random.default_rng(1)

        def normal(*shape: int) -> np.ndarray:
            return rng.normal(size=shape).astype(dtype)

        self.ranges = columns(cell, n)
        self.W, self.w, self.S = normal(k, K), normal(k, R, K), normal(*((k, K) if traces else (0, 0)))
        self.m0, self.m1, self.m2 = normal(K) ** 2, normal(k, K), normal(k, K) ** 2
        for j in range(k):
            lo, hi = self.ranges[:2] if j < n else self.ranges[2:]
            outside = np.ones(K, bool)
            outside[lo:hi] = False
            for array in (self.W, self.m1, self.m2, *([self.S] if traces else [])):
                array[j, outside] = 0
            self.w[j][:, outside] = 0
        self.z, self.b, self.d, self.own, self.D = normal(k), normal(K), normal(K), normal(K), normal(K)
        self.e, self.s, self.decay = normal(R, K), normal(R), normal(R)
        self.x, self.h, self.v = normal(R if traces else 0, n), normal(n), normal(R, n)
        self.p, self.q, self.W_x, self.g = normal(K), normal(R, K), normal(R if traces else 0, K), normal(3, K)

    def full_pass(self, optimiser: int, eta: float, scale2: float) -> None:
        kernels.full_pass(
            self.W, self.m0, self.m1, self.m2, self.w, self.S, self.z, self.b, self.d, self.own, self.D, self.e, self.s,
            self.decay, self.x, self.h, self.v, self.p, self.q, self.W_x, self.g, self.ranges, optimiser, eta, scale2,
        )  # fmt: skip

    def assert_same(self, other: "Arrays", *names: str) -> None:
        for name in names:
            np.testing.assert_array_equal(getattr(self, name), getattr(other, name), err_msg=name)


@pytest.fixture(params=[LEAKY, GRU], ids=["leaky", "gru"])
def cell(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_sgd(cell: int, dtype: str) -> None:
    one, two = (Arrays(cell, 1, traces=False, dtype=dtype) for _ in range(2))
    one.full_pass(kernels.SGD, 0.3, 1.0)
    kernels.pass_sgd(
        two.W, two.w, two.z, two.b, two.e, two.h, two.v, two.p, two.q, two.ranges, two.s[0], two.decay[0], 0.3
    )
    one.assert_same(two, "W", "w", "p", "q")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_adam(cell: int, dtype: str) -> None:
    one, two = (Arrays(cell, 1, traces=False, dtype=dtype) for _ in range(2))
    one.full_pass(kernels.ADAM, 0.3, 1.7)
    kernels.pass_adam(
        two.W, two.w, two.m1, two.m2, two.z, two.b, two.e, two.h, two.v, two.p, two.q, two.ranges,
        two.s[0], two.decay[0], 0.3, 1.7,
    )  # fmt: skip
    one.assert_same(two, "W", "w", "m1", "m2", "p", "q")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_traces(cell: int, dtype: str) -> None:
    one, two = (Arrays(cell, 0, traces=True, dtype=dtype) for _ in range(2))
    one.full_pass(kernels.ADAM, 0.3, 1.7)
    kernels.pass_traces_adam(
        two.W, two.S, two.m1, two.m2, two.z, two.b, two.d, two.own, two.D, two.h, two.p, two.ranges, 0.3, 1.7
    )
    one.assert_same(two, "W", "S", "m1", "m2", "p")


@pytest.mark.parametrize("optimiser", [kernels.SGD, kernels.ADAM, kernels.KALMAN])
def test_whole_gradients_take_the_same_step(cell: int, optimiser: int) -> None:
    one, two = (Arrays(cell, 2, traces=False, dtype="float64") for _ in range(2))
    gradient = np.outer(two.z, two.b) + np.einsum("r,jri->ji", two.s, two.w)
    gradient[two.W == 0.0] = 0.0
    one.full_pass(optimiser, 0.3, 0.2)
    kernels.apply_gradient(two.W, two.m0, two.m1, two.m2, gradient, two.g, two.ranges, optimiser, 0.3, 0.2)
    np.testing.assert_allclose(one.W, two.W, rtol=1e-10)


def test_no_step_leaves_parameters_and_moments(cell: int) -> None:
    one, two = (Arrays(cell, 2, traces=True, dtype="float64") for _ in range(2))
    one.full_pass(kernels.ADAM, 0.0, 1.0)
    one.assert_same(two, "W", "m0", "m1", "m2")
    assert not np.array_equal(one.S, two.S)


def test_kalman_solves_the_quasi_diagonal_system() -> None:
    """M d = g where M has its diagonal and its bias row, unit by unit, written out with numpy."""
    arrays = Arrays(LEAKY, 0, traces=False, dtype="float64")
    gamma, eta = 0.2, 0.3
    # Far from singular, so that the filter's own floors do not show.
    arrays.m0 += 1.0
    arrays.m2 += 10.0
    g = np.outer(arrays.z, arrays.b)
    before = arrays.W.copy()
    m00 = (1 - gamma) * arrays.m0 + gamma * g[-1] ** 2
    m0i = (1 - gamma) * arrays.m1[:-1] + gamma * g[-1] * g[:-1]
    mii = (1 - gamma) * arrays.m2[:-1] + gamma * g[:-1] ** 2
    arrays.full_pass(kernels.KALMAN, eta, gamma)
    d = (before - arrays.W) / eta
    rest = np.maximum(mii - m0i**2 / m00, kernels.LEAST_VARIANCE * mii)
    np.testing.assert_allclose(d[:-1], (g[:-1] - m0i * g[-1] / m00) / rest, rtol=1e-10)
    np.testing.assert_allclose(d[-1], (g[-1] - (m0i * d[:-1]).sum(axis=0)) / m00, rtol=1e-10)
    np.testing.assert_allclose(arrays.m1[:-1], m0i, rtol=1e-13)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64, 67])
def test_dot(size: int) -> None:
    rng = np.random.default_rng(size)
    x, y = rng.integers(-9, 9, size).astype(float), rng.integers(-9, 9, size).astype(float)
    assert kernels.dot(x, y) == x @ y


def test_schedules() -> None:
    assert step_size(0.5, 0.1, 0) == 0.5
    assert step_size(0.5, 0.1, 400) == pytest.approx(0.5 / 3)
    assert metric_rate(0) == pytest.approx(GAMMA0)
    assert metric_rate(10**6) == pytest.approx(1e-3, rel=1e-3)
