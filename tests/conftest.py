"""What holds for every test: kernels compiled once, no setting of the machine, no state of logging left behind."""

import logging
import os
from collections.abc import Iterator
from typing import get_args

import pytest

from nobacktrack import model
from nobacktrack.model.config import DType
from tests.support.needs import wanting

STEERING = ("NBT_", "OTEL_", "REDIS_URL", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_")
"""Beginnings of the environment variables that change the service or the width and colour of its output."""


def pytest_configure() -> None:
    """With two workers each compiles the kernels of one precision before it collects, and finds the others cached.

    A run without workers compiles what its tests need, when they need it.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    precisions = dict(enumerate(get_args(DType)))
    if worker.startswith("gw") and int(worker[2:]) in precisions:
        model.warm_up((precisions[int(worker[2:])],))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that says how many tests were skipped for want of which program, package or data."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    counts, others = wanting([longrepr[2] for longrepr in skipped])
    if counts:
        missing = ", ".join(f"{name} ({count})" for name, count in counts.items())
        terminalreporter.write_line(
            f"Skipped for want of {missing}; `make test-tools` installs the programs", yellow=True
        )
    for reason in others:
        terminalreporter.write_line(f"Skipped: {reason}", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def _plain_environment() -> Iterator[None]:
    """No setting of the machine that runs the tests reaches a service. `NBT_TEST_…` is read at collection, before."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(STEERING):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A test may configure logging for the whole process; the next test finds it as this one did."""
    loggers = [logging.getLogger(name) for name in (None, "nobacktrack", "uvicorn", "uvicorn.error", "uvicorn.access")]
    levels = [(logger, logger.level, logger.disabled, logger.propagate) for logger in loggers]
    handlers, disabled, raises = logging.root.handlers[:], logging.root.manager.disable, logging.raiseExceptions
    yield
    for logger, level, off, propagate in levels:
        logger.setLevel(level)
        logger.disabled, logger.propagate = off, propagate
    # Handlers of pytest come and go by themselves; only the ones that the test added are taken away.
    for handler in [one for one in logging.root.handlers if one not in handlers and not _of_pytest(one)]:
        logging.root.removeHandler(handler)
    logging.disable(disabled)
    logging.captureWarnings(False)
    logging.raiseExceptions = raises


def _of_pytest(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest")
