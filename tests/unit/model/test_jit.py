"""Arrays that a kernel makes are freed when it ends; an edit of any source file makes the cached kernels invalid."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from nobacktrack import model
from nobacktrack.model.config import Estimator
from nobacktrack.model.jit import source_digest

MODEL = Path(model.__file__).parent
SUBPACKAGES = sorted(path.parent.name for path in MODEL.glob("*/__init__.py"))
RUN = "from nobacktrack.model.scores.anomaly import accumulate; print(accumulate(0.0, 1.0))"
"""Compiles or loads one kernel: ρ·0 - ln 1 = 0, with the logarithm of another sub-package."""


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


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the source of `model`, importable as `nobacktrack.model` from two folders above it."""
    folder = tmp_path / "nobacktrack" / "model"
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder.parent / "__init__.py").touch()
    return folder


def test_there_are_subpackages() -> None:
    assert {"numerics", "network", "gradient", "event"} <= set(SUBPACKAGES)


@pytest.mark.parametrize("subpackage", SUBPACKAGES)
def test_the_digest_notices_an_edit_in_a_subpackage(copied: Path, subpackage: str) -> None:
    before = source_digest(copied)
    assert before == source_digest(MODEL)
    edited = max((copied / subpackage).glob("*.py"))
    edited.write_text(edited.read_text() + "# edited\n")
    assert source_digest(copied) != before


def test_a_cached_kernel_does_not_outlive_an_edit_of_what_it_calls(copied: Path, tmp_path: Path) -> None:
    def run() -> float:
        root = tmp_path
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", RUN], cwd=root, env=environment, capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    assert run() == 0.0
    callee = copied / "numerics" / "elementary.py"
    source = callee.read_text()
    edited = source.replace("return k * _LN2_HIGH +", "return 7.0 + k * _LN2_HIGH +")
    assert edited != source
    callee.write_text(edited)
    assert run() == -7.0
    callee.write_text(source)
    assert run() == 0.0
