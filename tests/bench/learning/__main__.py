"""python -m tests.bench.learning [--quick] [--only TASK …] [--output FILE]: run the benchmark and write its table."""

import argparse
import time
from pathlib import Path

from tests.bench.learning import plan
from tests.bench.learning.jobs import Found, Results, perform, perform_all
from tests.bench.learning.table import render

OUTPUT = Path(__file__).parents[1] / "LEARNING.md"


def main() -> None:
    """Everything in two processes, then the cost alone, then the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.learning", description="How well the package learns.")
    parser.add_argument("--quick", action="store_true", help="a try of every row with little data; prints the table")
    parser.add_argument("--only", nargs="+", metavar="TASK", help="some tasks alone: anbn, influence, NAB, cost, ...")
    parser.add_argument("--output", type=Path, help="file of the table (default: LEARNING.md, unless quick or only)")
    arguments = parser.parse_args()
    jobs, alone = plan.everything(arguments.quick), plan.costs(arguments.quick)
    chosen, chosen_alone = (
        [job for job in some if not arguments.only or job.task in arguments.only] for some in (jobs, alone)
    )
    begun, done, total = time.perf_counter(), 0, len(chosen) + len(chosen_alone)

    def report(found: Found) -> None:
        nonlocal done
        done += 1
        shown = found.missing or ", ".join(f"{name} {value:.5g}" for name, value in list(found.figures.items())[-4:])
        clock = f"{time.perf_counter() - begun:6.0f} s  {done}/{total}"
        who = f"{found.task} / {found.subject} / seed {found.seed}"
        print(f"{clock}  {who}  {shown}  ({found.seconds:.1f} s)", flush=True)

    found = perform_all(chosen, report)
    for job in chosen_alone:
        found.append(perform(job))
        report(found[-1])
    command = "make bench-learning" + (' ARGS="--quick"' if arguments.quick else "")
    text = render(Results([*jobs, *alone], found), command, (time.perf_counter() - begun) / 60.0)
    output = arguments.output or (None if arguments.quick or arguments.only else OUTPUT)
    if output is None:
        print("\n" + text)
    else:
        output.write_text(text)
        print(f"wrote {output}")


if __name__ == "__main__":
    main()
