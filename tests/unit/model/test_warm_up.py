"""Compiled kernels are counted, each once, and functions of others are not."""

import sys

import numba
import pytest
from numba.core import event

from nobacktrack import model

MODULE = sys.modules[model.warm_up.__module__]


def kernel(x: float) -> float:
    return x + 1.0


def stranger(x: float) -> float:
    return x + 2.0


def test_each_kernel_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "KERNELS", {kernel, print})
    reports: list[tuple[int, int]] = []
    with event.install_listener("numba:compile", MODULE._Counter(lambda *report: reports.append(report))):
        ours, theirs = numba.njit(kernel), numba.njit(stranger)
        assert (theirs(1.0), ours(1.0), ours(1)) == (3.0, 2.0, 2.0)
    assert reports == [(1, 2)]
