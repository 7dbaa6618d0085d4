"""A process that attacks: `python -m tests.e2e.hostile.attacker NAME PORT SECONDS`, over and over for so long.

It does all that the attack is once at least, unless it is told to stop in time: a fourth argument says after how many
seconds. Prints what it did as JSON.
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from collections import Counter

from tests.e2e.hostile.full import FULL, Done
from tests.e2e.hostile.wire import Target


async def attack(name: str, port: int, seconds: float, limit: float) -> Done:
    """Attack, and say what was done."""
    done, end = Done(0, Counter()), time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while time.monotonic() < end:
                await FULL[name][1](Target(port), done)
    return done


def main(name: str, port: str, seconds: str, limit: str = "120") -> None:
    """Do what the head of this file says."""
    start = time.monotonic()
    done = asyncio.run(attack(name, int(port), float(seconds), float(limit)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    answers = {str(code): count for code, count in sorted(done.answers.items())}
    cpu = (used.ru_utime + used.ru_stime) / (time.monotonic() - start)
    said = {"done": done.count, "answers": answers, "cpu": cpu, "began": start, "ended": time.monotonic()}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
