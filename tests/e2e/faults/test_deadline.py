"""The deadline of a store that fails, where it passes at the very moment when the store answers."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from redis.asyncio import Redis

from nobacktrack.service.errors import Unavailable
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams.queue import Answer
from nobacktrack.service.streams.service import Streams
from nobacktrack.service.streams.store_deadline import StoreDeadline
from tests.support.load import CONFIG, encoded
from tests.support.servers import Server


@pytest.mark.parametrize("then", ["answered", "standing"])
def test_a_deadline_that_passes_while_the_store_answers(then: str) -> None:
    """The cancellation that ends the waiting may not arrive: asyncio.wait_for of Python 3.11, in which redis-py sends
    every command, swallows one that comes in the moment when the command has been sent."""

    async def main() -> None:
        async with StoreDeadline(0.0, 0.0) as deadline:
            deadline.command_sent()
            deadline.command_failed()
            with contextlib.suppress(asyncio.CancelledError):  # as wait_for does
                await asyncio.sleep(10)
            if then == "answered":
                deadline.write_confirmed()
            else:
                with deadline.paused():
                    pass

    with contextlib.suppress(TimeoutError):
        asyncio.run(main())


def test_a_store_that_goes_on_failing_after_the_deadline() -> None:
    async def main() -> None:
        async with StoreDeadline(0.0, 0.0) as deadline:
            deadline.command_sent()
            deadline.command_failed()
            with contextlib.suppress(asyncio.CancelledError):  # as wait_for does
                await asyncio.sleep(10)
            for _ in range(100):
                deadline.command_failed()
                await asyncio.sleep(0)
            raise AssertionError("it waits for ever")

    with contextlib.suppress(TimeoutError):
        asyncio.run(main())


def test_a_store_that_refuses_at_once_is_told_in_time(tmp_path: Path) -> None:
    """As a primary does whose replicas are gone, or a disk that is full: each attempt fails within a millisecond."""

    async def ask(streams: Streams, name: str) -> list[Answer] | None:
        try:
            async with asyncio.timeout(2.0):
                return await streams.observe(name, [Event.model_validate_json(encoded(1))])
        except TimeoutError:
            return None

    async def main(url: str) -> None:
        store = RedisStore(url, 1.0)
        streams = Streams(Settings(request_deadline=0.12), store, Metrics(1))
        names = [f"s{i}" for i in range(30)]
        for name in names:
            await streams.create(name, CONFIG)
        async with Redis.from_url(url) as redis:
            await redis.config_set("min-replicas-to-write", 1)
            answers = [one for _ in range(3) for one in await asyncio.gather(*(ask(streams, name) for name in names))]
            await redis.config_set("min-replicas-to-write", 0)
        await streams.close()
        await store.close()
        late = answers.count(None)
        assert not late, f"{late} of {len(answers)} requests were not refused in time"
        assert all(isinstance(answer, Unavailable) for one in answers for answer in one or ())

    with Server(tmp_path / "store") as server:
        asyncio.run(main(server.url))
