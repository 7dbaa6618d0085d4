"""Compile once: with two workers each compiles the kernels of one precision, and finds those of the other cached."""

import os
from typing import get_args

from nobacktrack import model
from nobacktrack.model.config import DType


def pytest_configure() -> None:
    """Before anything is collected; a run without workers compiles what its tests need, when they need it."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    precisions = dict(enumerate(get_args(DType)))
    if worker.startswith("gw") and int(worker[2:]) in precisions:
        model.warm_up((precisions[int(worker[2:])],))
