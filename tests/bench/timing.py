"""Timing for benchmarks: what is compared takes turns in one process, so that both see the same machine."""

import time
from collections.abc import Callable, Mapping

ROUNDS = 15


def best_of(subjects: Mapping[str, Callable[[], object]], seconds: float = 0.1) -> dict[str, float]:
    """Seconds a call, the best of ROUNDS rounds of about `seconds` each; the subjects take turns."""
    repeats = {}
    for name, call in subjects.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(seconds / max(time.perf_counter() - start, 1e-7)))
    best = dict.fromkeys(subjects, float("inf"))
    for _ in range(ROUNDS):
        for name, call in subjects.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / repeats[name])
    return best


def report(what: str, ratio: float, target: str, *, met: bool) -> None:
    """Print one line. A missed target is a finding about this machine or this code, and no error."""
    print(f"\n{what}: {ratio:.2f} (target: {target}, {'met' if met else 'MISSED'})", flush=True)
