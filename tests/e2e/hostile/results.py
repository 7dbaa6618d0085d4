"""What attacks did to others: `python -m tests.e2e.hostile.results` writes HOSTILE.md (`tests/support/report.py`)."""

import platform
import sys
from pathlib import Path

from tests.support.report import Report

FOLDER = Path(__file__).parent
REPORT = Report(
    FOLDER.parent / "HOSTILE.md",
    FOLDER / "results.jsonl",
    "Attacks at full size, and what others noticed",
    f"Written by `make test-hostile` on {platform.system()}, {platform.machine()}, Python "
    f"{platform.python_version()}: a service with its own store, an attacker and a neighbour, a process each, on "
    "loopback and two cores. The neighbour sends an event every 5 ms over one connection to a stream of its own; its "
    "times count from when the event was due, in ms, p50 / p99. *Control*: the same attacker at work on a server that "
    "throws everything away; what that costs the neighbour is the price of sharing two cores with an attacker. "
    "*Ratio*: p99 during the attack over p99 before, and over that of the control. *Attacker*: its share of a core in "
    "the control and in the attack. *Memory*: resident MB of the service before, at most, and after. Verdict: *holds*, "
    "p99 at most doubled; *contention*, more than that but at most twice that of the control; *missed*, neither. In "
    "every row no answer was 5xx but 503 and 507, and memory stayed within 64 MB of what it was.",
    ("attack", "size", "before", "control", "during", "ratio", "attacker", "memory", "answers", "verdict"),
)

if __name__ == "__main__":
    REPORT.main(*sys.argv[1:])
