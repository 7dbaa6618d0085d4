"""What the long tests of faults measured: a line of JSON each, and FAULTS.md made of them.

`python -m tests.e2e.faults.results` writes FAULTS.md: a row that was not measured this time stays as it is there.
With `--new` it forgets what was measured before, with `--all` rows that were not measured this time go.
"""

import json
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.faults.scale import LONG

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
REPORT = FOLDER.parent / "FAULTS.md"
HEAD = ("fault", "what must hold", "measured", "command")

Row = tuple[str, ...]


def record(fault: str, must_hold: str, measured: str, test: str) -> None:
    """Print a result, and keep that of a long run. `test` is the name for `-k`."""
    print(f"\n{fault}: {measured}")
    if LONG:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps([fault, must_hold, measured, f'`make test-faults ARGS="-k {test}"`']) + "\n")


def read(report: str) -> list[Row]:
    """The rows of a report."""
    lines = [line for line in report.splitlines() if line.startswith("| ")]
    return [tuple(line.strip("| ").split(" | ")) for line in lines[1:]]


def render(rows: Iterable[Row]) -> str:
    """The report; of two rows of one fault the later one."""
    newest = {row[0]: row for row in rows}
    lines = [
        "# What was broken, and what happened", "",
        f"Written by `make test-faults` on {platform.system()}, {platform.machine()}, Python "
        f"{platform.python_version()}. Real processes of the service and real servers on loopback, two cores for all "
        "of them. Every event carries an id and is sent again until it is acknowledged. *Lost* counts acknowledged "
        "events that are not in the store, *twice* those that were learnt more than once; every digest is compared "
        "with that of a learner that was fed the same events in the same order without a service. `make test` runs a "
        "short version of each.", "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
        *("| " + " | ".join(row) + " |" for row in newest.values()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(option: str = "") -> None:
    """Do what the head of this file says."""
    if option == "--new":
        RESULTS.unlink(missing_ok=True)
    elif RESULTS.exists():
        before = read(REPORT.read_text(encoding="utf-8")) if REPORT.exists() and option != "--all" else []
        measured = [tuple(json.loads(line)) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
        REPORT.write_text(render([*before, *measured]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
