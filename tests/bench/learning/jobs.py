"""Jobs that each measure one subject on one task for one seed, and what they found."""

import concurrent.futures
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.bench.learning.tasks import NotAvailable

Figures = dict[str, float]
WORKERS = 2


class Job(NamedTuple):
    """`function(*arguments)` gives the figures."""

    task: str
    subject: str
    seed: int
    function: Callable[..., Figures]
    arguments: tuple[object, ...]
    weight: float = 1.0
    """About so many seconds: the longest start first, so that the workers end together."""


class Found(NamedTuple):
    """The figures of a job, or why there are none."""

    task: str
    subject: str
    seed: int
    figures: Figures
    seconds: float
    missing: str = ""


def perform(job: Job) -> Found:
    """Run a job; whatever goes wrong is its result, so that the table can be written at any time."""
    start, figures, missing = time.perf_counter(), Figures(), ""
    try:
        figures = job.function(*job.arguments)
    except NotAvailable as reason:
        missing = f"not available: {reason}"
    except Exception as error:
        missing = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return Found(job.task, job.subject, job.seed, figures, time.perf_counter() - start, missing)


def perform_all(jobs: Sequence[Job], report: Callable[[Found], None]) -> list[Found]:
    """All jobs in WORKERS processes, the longest first; `report` is told of each as it ends."""
    found = []
    order = sorted(jobs, key=lambda job: -job.weight)
    # Not forked: compiled code and its cache do not like it.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        for future in concurrent.futures.as_completed([pool.submit(perform, job) for job in order]):
            found.append(future.result())
            report(found[-1])
    return found


class Results:
    """What was found, by task and subject, over the seeds."""

    def __init__(self, jobs: Sequence[Job], found: Sequence[Found]) -> None:
        self._found = found
        self._jobs = jobs

    def subjects(self, task: str) -> list[str]:
        """Names in the order of the plan."""
        return list(dict.fromkeys(job.subject for job in self._jobs if job.task == task))

    def seeds(self, task: str) -> list[int]:
        """Every seed that the task was run with."""
        return sorted({job.seed for job in self._jobs if job.task == task})

    def missing(self, task: str, subject: str) -> str:
        """Why there is no figure; empty where there is one."""
        rows = [found for found in self._found if (found.task, found.subject) == (task, subject)]
        return next((found.missing for found in rows if found.missing), "" if rows else "not run")

    def values(self, task: str, subject: str, figure: str) -> list[float]:
        """The figure for each seed that has it."""
        rows = sorted((found for found in self._found if (found.task, found.subject) == (task, subject)),
                      key=lambda found: found.seed)  # fmt: skip
        return [found.figures[figure] for found in rows if figure in found.figures]

    def mean(self, task: str, subject: str, figure: str) -> float | None:
        """Mean over the seeds, or None."""
        values = self.values(task, subject, figure)
        return sum(values) / len(values) if values else None

    def best(self, task: str, subjects: Sequence[str], figure: str) -> tuple[str, float] | None:
        """The subject with the least mean, and that mean."""
        means = [(mean, name) for name in subjects if (mean := self.mean(task, name, figure)) is not None]
        return (min(means)[1], min(means)[0]) if means else None

    def text(self, task: str, subject: str, figure: str, digits: int = 4) -> str:
        """Mean and range, such as `0.1912 (0.1893 to 0.1930)`; or why there is none."""
        values = self.values(task, subject, figure)
        if not values:
            return self.missing(task, subject)
        mean = f"{sum(values) / len(values):.{digits}f}"
        if len(values) == 1 or max(values) - min(values) < 0.5 * 10.0**-digits:
            return mean
        return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"
