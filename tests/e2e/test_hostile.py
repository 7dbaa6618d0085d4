"""Hostile clients of a real service: each is refused with a status or a close, and nobody else notices.

While one attacks, another client looks at /livez and sends events to a stream of its own: each is answered within a
second. Afterwards the stream that was attacked is what it was, the process has not grown by more than `GROWTH`, and the
service has not blamed itself.
"""

import asyncio
import time
from collections.abc import Iterator

import psutil
import pytest

from nobacktrack.service.client.sync import Client
from tests.e2e.hostile.table import ATTACKS
from tests.e2e.hostile.wire import BODY_SECONDS, EVENT, Attack, Target, ask, head, raw
from tests.support.processes import RunningService

GROWTH = 64 * 1024 * 1024
"""Bytes by which the process may be larger after an attack than after a first, harmless round."""
PATIENCE = 1.0
"""Seconds in which everybody else is answered."""


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a stream `s` to attack, and one of somebody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBT_BODY_SECONDS", str(BODY_SECONDS))
        running = RunningService(tmp_path_factory.mktemp("hostile"))
    with Client(running.url) as client:
        for name in ("s", "other"):
            client.create(name, targets=["y"], units=4)
            client.observe(name, {"y": 1.0})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def memory(victim: RunningService) -> int:
    """Bytes of the process at the beginning."""
    return resident(victim)


def resident(service: RunningService) -> int:
    return int(psutil.Process(service.pid).memory_info().rss)


async def others(target: Target, stop: asyncio.Event) -> float:
    """The longest that another client waits for an answer while an attack goes on, and once at least after it."""
    longest, last = 0.0, False
    while not last:
        last = stop.is_set()
        for attack in (ask("GET", "/livez"), ask("POST", "/v1/streams/other/events", EVENT)):
            start = time.monotonic()
            assert await attack(target) == [200]
            longest = max(longest, time.monotonic() - start)
        await asyncio.sleep(0 if last else 0.02)
    return longest


async def attacked(attack: Attack, target: Target) -> tuple[list[int], float]:
    """What an attack was answered, and how long others waited."""
    stop = asyncio.Event()
    waiting = asyncio.create_task(others(target, stop))
    try:
        async with asyncio.timeout(20):
            found = await attack(target)
    finally:
        stop.set()
        longest = await waiting
    return found, longest


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_changes_nothing(victim: RunningService, memory: int, name: str) -> None:
    attack, expected = ATTACKS[name]
    with Client(victim.url) as client:
        before = client.status("s").digest
        found, longest = asyncio.run(attacked(attack, Target(int(victim.url.rpartition(":")[2]))))
        assert found == expected
        assert client.status("s").digest == before
        assert longest < PATIENCE
        assert client.streams() == ["other", "s"]
        assert 'refused_total{type="internal"} 0.0' in client.metrics()
    assert resident(victim) - memory < GROWTH
    assert "Traceback" not in (victim.data_dir / "service.log").read_text()


def test_a_request_that_came_whole_is_answered_before_the_garbage_after_it(victim: RunningService) -> None:
    """Else an event would be learnt and called unreadable."""
    target = Target(int(victim.url.rpartition(":")[2]))
    request = head("POST", "/v1/streams/other/events", f"Content-Length: {len(EVENT)}") + EVENT
    for garbage in (b"\x00\x01\r\n\r\n", head("GET", "/", *(f"h{i}: x" for i in range(10_000)))):
        assert asyncio.run(raw(request + garbage)(target)) == [200]
