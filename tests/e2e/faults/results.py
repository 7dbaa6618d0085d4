"""What the tests of faults measured. `python -m tests.e2e.faults.results` writes FAULTS.md."""

import platform
import sys
from pathlib import Path

from tests.e2e.faults.scale import LONG
from tests.support.report import Report

FOLDER = Path(__file__).parent
REPORT = Report(
    FOLDER.parent / "FAULTS.md",
    FOLDER / "results.jsonl",
    "What was broken, and what happened",
    f"Written by `make test-faults` on {platform.system()}, {platform.machine()}, Python "
    f"{platform.python_version()}. Real processes of the service and real servers on loopback, two cores for all "
    "of them. Every event carries an id and is sent again until it is acknowledged. *Lost* counts acknowledged "
    "events that are not in the store, *twice* those that were learnt more than once; every digest is compared "
    "with that of a learner that was fed the same events in the same order without a service. `make test` runs a "
    "short version of each.",
    ("fault", "what must hold", "measured", "command"),
)


def record(fault: str, must_hold: str, measured: str, test: str) -> None:
    """Print a result, and keep that of a long run. `test` is the name for `-k`."""
    print(f"\n{fault}: {measured}")
    if LONG:
        REPORT.add((fault, must_hold, measured, f'`make test-faults ARGS="-k {test}"`'))


if __name__ == "__main__":
    REPORT.main(*sys.argv[1:])
