"""Compile every kernel before the first event needs it."""

import contextlib
from collections.abc import Callable

from numba.core import event

from .config import Config, DType
from .jit import KERNELS
from .learner import Learner


def warm_up(
    dtypes: tuple[DType, ...] = ("float32", "float64"), report: Callable[[int, int], None] | None = None
) -> None:
    """Compile every kernel for each precision of `dtypes` by running it once.

    With a filled cache this takes about a second; with an empty one it compiles everything.
    `report` is called after each kernel that is compiled, with the number compiled so far in this precision and the
    number of kernels that there are. A kernel that comes from the cache is not compiled.
    """
    for dtype in dtypes:
        with contextlib.ExitStack() as stack:
            if report is not None:
                stack.enter_context(event.install_listener("numba:compile", _Counter(report)))
            learner = Learner(Config(targets=("y",), units=1, dtype=dtype))
            learner.observe([0.0])
            learner.forecast(1)


class _Counter(event.Listener):  # type: ignore[misc] # numba has no types
    """Counts the kernels that numba has compiled. numba also compiles functions of its own, which do not count."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._report = report
        self._compiled: set[Callable[..., object]] = set()

    def on_start(self, event: event.Event) -> None:
        """A compilation begins: nothing to count."""

    def on_end(self, event: event.Event) -> None:
        """A compilation has ended."""
        function = event.data["dispatcher"].py_func
        if function in KERNELS and function not in self._compiled:
            self._compiled.add(function)
            self._report(len(self._compiled), len(KERNELS))
