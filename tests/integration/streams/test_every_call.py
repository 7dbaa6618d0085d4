"""The k-th call of the store fails, for every k of a scenario and in every way that a call can fail.

Whatever happened: once the store works again and everything is sent anew with the same ids, each event has been learnt
once, in order, and what was acknowledged is what is answered.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nobacktrack.service.errors import Internal, ServiceError, Unavailable
from nobacktrack.service.store.base import Store
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.store.redis.store import RedisStore
from tests.integration.replicas import CONFIG, Process, event, oracle

pytestmark = pytest.mark.anyio

WAYS = ("before", "after", "cancelled", "error")
LAST = 24


class Failing:
    """A store of which one call fails: before it is sent, after it was done, while the asker goes away, or refused."""

    def __init__(self, store: Store, number: int, way: str) -> None:
        self.calls = 0
        self.names: list[str] = []
        self.asker: asyncio.Task[Any] | None = None
        self._store = store
        self._number = number
        self._way = way

    @property
    def failed(self) -> bool:
        """Whether the call has come."""
        return self.calls >= self._number

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*arguments: Any, **keywords: Any) -> Any:
            self.calls += 1
            self.names.append(name)
            if self.calls != self._number:
                return await method(*arguments, **keywords)
            if self._way == "before":
                raise Unavailable("not sent")
            if self._way == "error":
                raise Internal("refused")
            answer = await method(*arguments, **keywords)
            if self._way == "after":
                raise Unavailable("the reply is lost")
            if self.asker is not None:
                self.asker.cancel()
                await asyncio.sleep(0)
            return answer

        return call


async def scenario(one: Process, other: Process, acknowledged: dict[int, bytes]) -> None:
    """Two replicas, batches, repetitions, checkpoints, forecasts. Goes on after every failure."""

    async def send(process: Process, first: int, last: int) -> None:
        numbers = range(first, last + 1)
        answers = await process.streams.observe("s", [event(number) for number in numbers])
        acknowledged.update(
            (number, answer) for number, answer in zip(numbers, answers, strict=True) if isinstance(answer, bytes)
        )
        for answer in answers:
            if isinstance(answer, ServiceError):
                raise answer

    for step in (
        lambda: one.streams.create("s", CONFIG),
        lambda: send(one, 1, 4),
        lambda: send(other, 3, 8),
        lambda: one.streams.forecast("s", 3),
        lambda: send(one, 9, 16),
        lambda: send(other, 17, 20),
        lambda: other.streams.status("s"),
        lambda: send(one, 21, LAST),
    ):
        try:
            await step()
        except (ServiceError, asyncio.CancelledError):
            # Stop at the first: an order with holes is not what this scenario is about.
            return


def numbers() -> Iterator[int]:
    """1, 2, … without end."""
    return itertools.count(1)


@pytest.mark.parametrize("way", WAYS)
async def test_every_call_may_fail(store_of: Callable[[], Store], way: str) -> None:
    seen: set[str] = set()
    for number in numbers():
        real = store_of()
        failing = Failing(real, number, way)
        settings = {"checkpoint_every": 6, "request_deadline": 0.2, "store_timeout": 0.2}
        one, other = (Process(failing, **settings) for _ in range(2))  # type: ignore[arg-type]
        acknowledged: dict[int, bytes] = {}
        failing.asker = asyncio.ensure_future(scenario(one, other, acknowledged))
        await asyncio.wait([failing.asker])
        assert failing.asker.cancelled() or failing.asker.exception() is None
        for process in (one, other):
            await process.streams.close()
        head = await real.head("s")
        if head is not None:
            # What was acknowledged is there; what is there beyond it is a prefix of what was sent.
            assert max(acknowledged, default=0) <= head.position.version
        again = Process(real)
        await again.streams.create("s", CONFIG)
        final = await again.learn(1, LAST)
        assert {number: final[number - 1] for number in acknowledged} == acknowledged
        status = await again.streams.status("s")
        assert (status.version, status.digest) == (LAST, oracle(LAST))
        assert again.count("rewinds_total") == 0
        await again.streams.close()
        # From the store alone as well.
        assert (await Process(real).streams.status("s")).digest == oracle(LAST)
        await real.delete("s")
        seen |= set(failing.names[: failing.calls])
        if not failing.failed:
            break
    assert {"create", "head", "commit", "outcomes", "segments", "write_checkpoint"} <= seen


@pytest.fixture(params=["memory", "redis"])
def store_of(request: pytest.FixtureRequest, redis_store: RedisStore) -> Callable[[], Store]:
    """A new store in memory, or the one on the real server, each time it is asked."""
    return MemoryStore if request.param == "memory" else lambda: redis_store
