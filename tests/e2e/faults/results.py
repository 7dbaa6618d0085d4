"""What the long tests of faults measured: a line of JSON each, and FAULTS.md made of them.

`python -m tests.e2e.faults.results` writes FAULTS.md; `--new` forgets what was measured before.
"""

import json
import platform
import sys
from pathlib import Path

from tests.e2e.faults.scale import LONG

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
REPORT = FOLDER.parent / "FAULTS.md"


def record(fault: str, must_hold: str, measured: str, test: str) -> None:
    """Print a result, and keep that of a long run. `test` is the name for `-k`."""
    print(f"\n{fault}: {measured}")
    if LONG:
        row = {"fault": fault, "must hold": must_hold, "measured": measured, "test": test}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def render(rows: list[dict[str, str]]) -> str:
    """The report: the newest row of each fault, in the order in which they were first measured."""
    newest = {row["fault"]: row for row in rows}
    lines = [
        "# What was broken, and what happened", "",
        f"Written by `make test-faults` on {platform.system()}, {platform.machine()}, Python "
        f"{platform.python_version()}. Real processes of the service, real servers, on loopback. Every event carries "
        "an id and is sent until it is acknowledged. *Lost* counts acknowledged events that are not in the store, "
        "*twice* those that were learnt more than once; digests are compared with a learner that was fed the same "
        "events in the same order, without a service. A process that is killed is killed with SIGKILL.", "",
        "| fault | what must hold | measured | command |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for row in newest.values():
        command = f'`make test-faults ARGS="-k {row["test"]}"`'
        cells = [cell.replace("|", "\\|") for cell in (row["fault"], row["must hold"], row["measured"], command)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--new"]:
        RESULTS.unlink(missing_ok=True)
    else:
        found = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
        REPORT.write_text(render(found), encoding="utf-8")
