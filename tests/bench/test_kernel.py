"""The fused pass over the parameters against plain NumPy of the same step, and against the least that memory allows."""

import os
from collections.abc import Callable

import numpy as np
import pytest

from nobacktrack.model.network.cells import LEAKY, columns
from nobacktrack.model.numerics import kernels
from nobacktrack.model.state import aligned
from tests.bench.timing import best_of, report

INPUTS = 3


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> None:
    """On one core, as a service learns."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class Step:
    """The arrays of one event of n leaky units in float32, and the ways to do its pass."""

    def __init__(self, n: int) -> None:
        k = n + INPUTS + 1
        rng = np.random.default_rng(0)

        def normal(*shape: int, offset: int = 0) -> np.ndarray:
            array = aligned(shape, np.float32, offset)
            array[...] = 0.01 * rng.normal(size=shape)
            return array

        self.n, self.W, self.w, self.S = n, normal(k, n), normal(k, 1, n), normal(k, n)
        self.ranges = columns(LEAKY, n)
        self.m1, self.m2 = normal(k, n), normal(k, n) ** 2
        self.z, self.h, self.v = normal(k), normal(n), normal(1, n)
        # As in a learner.
        self.b, self.e = normal(n, offset=512), normal(1, n, offset=1024)
        self.p, self.q = normal(n, offset=1536), normal(1, n, offset=2560)
        self.d, self.D, self.own = normal(n, offset=2048), normal(n, offset=3072), normal(n, offset=3584)
        self.s, self.decay, self.eta = 0.01, 0.999, 1e-6

    def fused(self) -> None:
        kernels.pass_sgd(
            self.W, self.w, self.z, self.b, self.e, self.h, self.v, self.p, self.q, self.ranges,
            self.s, self.decay, self.eta,
        )  # fmt: skip

    def fused_adam(self) -> None:
        kernels.pass_adam(
            self.W, self.w, self.m1, self.m2, self.z, self.b, self.e, self.h, self.v, self.p, self.q,
            self.ranges, self.s, self.decay, self.eta, 1.0,
        )  # fmt: skip

    def fused_traces(self) -> None:
        kernels.pass_traces_adam(
            self.W, self.S, self.m1, self.m2, self.z, self.b, self.d, self.own, self.D, self.h, self.p, self.ranges,
            self.eta, 1.0,
        )  # fmt: skip

    def numpy(self) -> None:
        eta, s, decay, w = np.float32(self.eta), np.float32(self.s), np.float32(self.decay), self.w[:, 0]
        self.W -= eta * (np.outer(self.z, self.b) + s * w)
        self.w[:, 0] = decay * w + np.outer(self.z, self.e)
        self.p = self.W[: self.n].T @ self.h
        self.q = (self.W[: self.n].T @ self.v[0])[None]

    def scaling(self, *arrays: np.ndarray) -> Callable[[], None]:
        factor = np.float32(1.0000001)

        def scale() -> None:
            for array in arrays:
                np.multiply(array, factor, out=array)

        return scale


@pytest.mark.parametrize("units", [32, 64, 256, 1024])
def test_against_numpy(units: int) -> None:
    fused, plain = Step(units), Step(units)
    fused.fused()
    plain.numpy()
    for name in ("W", "w", "p", "q"):
        np.testing.assert_allclose(getattr(fused, name), getattr(plain, name), rtol=1e-4, atol=1e-8)
    seconds = best_of({"fused": fused.fused, "numpy": plain.numpy})
    ratio = seconds["numpy"] / seconds["fused"]
    what = f"{units} units, pass of {1e6 * seconds['fused']:.1f} µs: NumPy takes so many times as long"
    report(what, ratio, "at least 4", met=ratio >= 4)


def test_against_memory() -> None:
    step, twin = Step(1024), Step(1024)
    seconds = best_of({"fused": step.fused, "scaling": twin.scaling(twin.W, twin.w)})
    ratio = seconds["fused"] / seconds["scaling"]
    report("1024 units: the pass over scaling W and w in place", ratio, "at most 1.8", met=ratio <= 1.8)


def test_adam_against_memory() -> None:
    step, twin = Step(1024), Step(1024)
    seconds = best_of({"fused": step.fused_adam, "scaling": twin.scaling(twin.W, twin.w, twin.m1, twin.m2)})
    ratio = seconds["fused"] / seconds["scaling"]
    report("1024 units: the pass with Adam over scaling its four arrays in place", ratio, "at most 3", met=ratio <= 3)


def test_traces_against_memory() -> None:
    step, twin = Step(1024), Step(1024)
    seconds = best_of({"fused": step.fused_traces, "scaling": twin.scaling(twin.W, twin.S, twin.m1, twin.m2)})
    ratio = seconds["fused"] / seconds["scaling"]
    report("1024 units: the pass with traces and Adam over scaling four arrays", ratio, "at most 3", met=ratio <= 3)
