"""While a service is attacked at full size, a neighbour sends events: how much later they are answered.

Only for `make test-hostile`, which writes tests/e2e/HOSTILE.md.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import psutil
import pytest

from nobacktrack.service.cli.local_service import LocalService
from nobacktrack.service.client.sync import Client
from nobacktrack.service.security import keys
from tests.e2e.hostile.full import FULL, KEYED
from tests.e2e.hostile.results import REPORT

ROUNDS = 2
"""Times that everything is measured, the three in turn."""
BEFORE_SECONDS, CONTROL_SECONDS, ATTACK_SECONDS = 3.0, 3.0, 4.0
SETTLE_SECONDS = 1.0
GROWTH = 64 * 2**20
TWICE = 2.0
SETTINGS = {"NBT_BODY_SECONDS": "5", "NBT_SOCKET_SECONDS": "3"}
REFUSALS = {503, 507}
"""Statuses of 500 and more that ask to come again."""


class Sample(NamedTuple):
    """An event of the neighbour."""

    due: float
    seconds: float
    status: int


@dataclass
class Child:
    """A process of ours, to which something is said and which says something."""

    module: str
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.e2e.hostile.{self.module}", *self.arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> str:
        """All that it prints until it ends by itself, its input being closed."""
        output, _ = self.process.communicate(timeout=180)
        assert self.process.returncode == 0
        return output


class Attacked(NamedTuple):
    """What an attacker says of itself."""

    done: int
    answers: dict[str, int]
    cpu: float
    began: float
    ended: float


def attack(name: str, port: str, seconds: float, limit: float = 120.0) -> Attacked:
    """Attack whatever is there."""
    with Child("attacker", (name, port, str(seconds), str(limit))) as attacker:
        return Attacked(**json.loads(attacker.end()))


class Memory:
    """The highest resident memory of a process, in bytes, while it is watched."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = self.most = self.now

    @property
    def now(self) -> int:
        """What it is."""
        return int(self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.most = max(self.most, self.now)


@contextlib.contextmanager
def victim(folder: Path, *, keyed: bool) -> Iterator[tuple[LocalService, str]]:
    """A service with streams `s` and `other`, and a key for it, if it has keys."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        key = ""
        if keyed:
            folder.mkdir(exist_ok=True)
            key, _ = keys.create(folder / "keys.json", "admin", "*", None)
            patch.setenv("NBT_KEYS_FILE", str(folder / "keys.json"))
            patch.setenv("NBT_KEY", key)
        running = LocalService(folder, embedded=not keyed)
        try:
            running.start()
            with Client(running.url, key=key or None) as client:
                for name in ("s", "other"):
                    client.create(name, targets=["y"], units=4)
                    client.observe(name, {"y": 1.0})
            yield running, key
        finally:
            running.stop()


def between(samples: list[Sample], windows: list[tuple[float, float]]) -> tuple[float, float]:
    """p50 and p99 in milliseconds of what was due in these times."""
    chosen = [one.seconds for one in samples if any(start <= one.due < end for start, end in windows)]
    p50, p99 = np.percentile(chosen, (50, 99)) * 1000
    return float(p50), float(p99)


def verdict(over_before: float, over_control: float) -> str:
    """In a word."""
    if over_before <= TWICE:
        return "holds"
    return "contention" if over_control <= TWICE else "**missed**"


@pytest.mark.parametrize("name", FULL)
def test_a_neighbour_goes_on(tmp_path: Path, name: str) -> None:
    windows: dict[str, list[tuple[float, float]]] = {"before": [], "control": [], "during": []}
    controls, attacks = [], []
    with victim(tmp_path / "data", keyed=name in KEYED) as (service, key), Child("sink") as sink:
        port, sink_port = service.url.rpartition(":")[2], sink.line().strip()
        with Child("neighbour", (port, *([key] if key else []))) as neighbour, Memory(service.pid) as memory:
            assert neighbour.line() == "begun\n"
            time.sleep(SETTLE_SECONDS * 2)
            memory.before = memory.now
            for _ in range(ROUNDS):
                start = time.monotonic()
                time.sleep(BEFORE_SECONDS)
                windows["before"].append((start, time.monotonic()))
                controls.append(attack(name, sink_port, CONTROL_SECONDS, CONTROL_SECONDS))
                windows["control"].append(controls[-1][-2:])
                time.sleep(SETTLE_SECONDS)
                attacks.append(attack(name, port, ATTACK_SECONDS))
                windows["during"].append(attacks[-1][-2:])
                time.sleep(SETTLE_SECONDS)
            after = memory.now
            samples = [Sample(float(d), float(s), int(c)) for d, s, c in map(str.split, neighbour.end().splitlines())]
        with Client(service.url, key=key or None) as client:
            assert 'refused_total{type="internal"} 0.0' in client.metrics()
        assert "Traceback" not in (service.data_dir / "service.log").read_text()
    answers = {code: sum(one.answers.get(code, 0) for one in attacks) for one in attacks for code in one.answers}
    found = {kind: between(samples, times) for kind, times in windows.items()}
    over_before = found["during"][1] / found["before"][1]
    over_control = found["during"][1] / found["control"][1]
    count, seconds = sum(one.done for one in attacks), sum(one.ended - one.began for one in attacks)
    row = (
        name,
        f"{count:,} {FULL[name][0]} in {seconds:.0f} s",
        *(f"{p50:.1f} / {p99:.1f}" for p50, p99 in found.values()),
        f"{over_before:.1f}; {over_control:.1f}",
        f"{np.mean([one.cpu for one in controls]):.2f}; {np.mean([one.cpu for one in attacks]):.2f}",
        f"{memory.before / 2**20:.0f} / {memory.most / 2**20:.0f} / {after / 2**20:.0f}",
        ", ".join(f"{'closed' if code == '0' else code}: {count:,}" for code, count in answers.items()) or "none",
        verdict(over_before, over_control),
    )
    print("\n" + " | ".join(row))
    REPORT.add(row)
    assert {one.status for one in samples} == {200}, "the neighbour was refused"
    assert not {int(code) for code in answers if int(code) >= 500 and int(code) < 1000} - REFUSALS
    assert name not in KEYED or set(answers) == {"401"}
    assert memory.most - memory.before < GROWTH
