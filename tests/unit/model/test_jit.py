"""Kernels do not count who holds an array, so whatever makes arrays must see to it that they are freed."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from nobacktrack import model
from nobacktrack.model.config import Estimator


@pytest.fixture
def _counting() -> Iterator[None]:
    """numba counts what it allocates, while it is told to."""
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


def learn(learner: model.Learner) -> None:
    learner.observe_many(np.arange(5.0)[:, None])


def look_ahead(learner: model.Learner) -> None:
    learner.forecast(4)


@pytest.mark.usefixtures("_counting")
@pytest.mark.parametrize("call", [learn, look_ahead])
@pytest.mark.parametrize("estimator", ["nobacktrack-traces", "rtrl"])
def test_what_a_kernel_allocates_is_freed_when_it_ends(
    call: Callable[[model.Learner], None], estimator: Estimator
) -> None:
    learner = model.Learner(model.Config(targets=("y",), units=2, horizons=2, estimator=estimator))
    learn(learner)
    before = rtsys.get_allocation_stats()
    call(learner)
    after = rtsys.get_allocation_stats()
    assert after.alloc > before.alloc
    assert after.free - before.free == after.alloc - before.alloc
    assert after.mi_free - before.mi_free == after.mi_alloc - before.mi_alloc
