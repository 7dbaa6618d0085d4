"""What /metrics says of the store and of what is not saved, also when the store says nothing."""

import asyncio
import math
import os
import signal
import time

import pytest
from redis.asyncio import Redis

from nobacktrack.service.api.routes.probes import STORE_SECONDS, Scrape
from nobacktrack.service.errors import Unavailable
from nobacktrack.service.learners.kernels import Kernels
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.store.base import Commit, CommitResult, LogPosition, Store, Usage
from nobacktrack.service.store.embedded import EmbeddedServer
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.store.redis.store import RedisStore
from tests.integration.replicas import Process, event

pytestmark = pytest.mark.anyio


def sample(page: bytes, name: str) -> float:
    """The value of a metric without labels."""
    [line] = [line for line in page.decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


async def test_the_memory_of_each_store(store: Store) -> None:
    usage = await store.usage()
    if isinstance(store, MemoryStore):
        assert usage is None
    else:
        assert usage is not None
        assert usage.used > 0
        assert usage.limit == 0


async def test_the_memory_is_what_the_server_says(redis: Redis, redis_store: RedisStore) -> None:
    await redis.config_set("maxmemory", 123_456_789)
    try:
        await redis.set("filler", b"x" * 3_000_000)
        usage = await redis_store.usage()
    finally:
        await redis.config_set("maxmemory", 0)
    assert usage is not None
    assert usage.limit == 123_456_789
    assert 3_000_000 < usage.used < usage.limit


async def test_a_server_that_may_not_be_asked(redis: Redis, redis_url: str) -> None:
    await redis.acl_setuser("mute", enabled=True, passwords=["+p"], commands=["+ping"], keys=["*"])
    store = RedisStore(f"{redis_url}?username=mute&password=p", 5)
    try:
        assert await store.usage() is None
    finally:
        await store.close()
        await redis.acl_deluser("mute")


async def test_a_store_that_hangs_or_is_gone_does_not_hold_up_the_scrape(server: EmbeddedServer) -> None:
    store, metrics, kernels = RedisStore(server.url, 5), Metrics(1), Kernels()
    kernels.ready.set()
    scrape = Scrape(metrics, store, kernels)
    page = await scrape.page()
    assert [sample(page, f"nobacktrack_{name}") for name in ("store_up", "ready")] == [1, 1]
    assert sample(page, "nobacktrack_store_bytes") > 0
    os.kill(server.pid, signal.SIGSTOP)
    start = time.monotonic()
    page = await scrape.page()
    took = time.monotonic() - start
    os.kill(server.pid, signal.SIGCONT)
    assert STORE_SECONDS <= took < 5
    assert [sample(page, f"nobacktrack_{name}") for name in ("store_up", "ready")] == [0, 0]
    assert math.isnan(sample(page, "nobacktrack_store_bytes"))
    assert sample(await scrape.page(), "nobacktrack_store_up") == 1
    kernels.ready.clear()
    assert sample(await scrape.page(), "nobacktrack_ready") == 0
    await server.stop()
    assert sample(await scrape.page(), "nobacktrack_store_up") == 0
    await store.close()


class Counting(MemoryStore):
    """Answers when it is told to, and counts the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = 0, asyncio.Event()

    async def usage(self) -> Usage | None:
        """See `Store.usage`."""
        self.asked += 1
        await self.answer.wait()
        return Usage(self.asked, 0)


async def test_many_scrapes_ask_once_and_one_that_is_given_up_spoils_none() -> None:
    store = Counting()
    scrape = Scrape(Metrics(1), store, Kernels())
    many = [asyncio.create_task(scrape.page()) for _ in range(50)]
    await asyncio.sleep(0)
    many.pop(0).cancel()
    store.answer.set()
    pages = await asyncio.gather(*many)
    assert {sample(page, "nobacktrack_store_bytes") for page in pages} == {1}
    assert sample(await scrape.page(), "nobacktrack_store_bytes") == 2


class Refusing(MemoryStore):
    """While it refuses, it takes no checkpoints, and no events where it `takes_events` not."""

    def __init__(self, *, takes_events: bool) -> None:
        super().__init__()
        self.takes_events, self.refuses = takes_events, False

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        if self.refuses and not self.takes_events:
            raise Unavailable("not now")
        return await super().commit(stream, commit)

    async def write_checkpoint(self, stream: str, position: LogPosition, blob: bytes) -> bool:
        """See `Store.write_checkpoint`."""
        if self.refuses:
            raise Unavailable("not now")
        return await super().write_checkpoint(stream, position, blob)


async def test_what_is_not_saved_grows_until_it_is() -> None:
    store = Refusing(takes_events=True)
    process = Process(store, checkpoint_every=4)
    await process.streams.create("s", {"targets": ["y"], "units": 2})
    names = ("unsaved_events", "unsaved_age_seconds", "replay_seconds")
    assert [process.count(name) for name in names] == [0, 0, 0]
    assert process.count("checkpoint_every_events") == 4
    await process.learn(1, 3)
    assert process.count("unsaved_events") == 3
    assert 0 < process.count("unsaved_age_seconds") < 60
    assert 0 < process.count("replay_seconds") < 60
    store.refuses = True
    await process.learn(4, 5)
    await settled(process)
    assert process.count("unsaved_events") == 5
    assert (process.count("failed_checkpoints_total"), process.count("checkpoints_total")) == (1, 0)
    store.refuses = False
    await process.learn(6, 10)
    await settled(process)
    assert (process.count("failed_checkpoints_total"), process.count("checkpoints_total")) == (1, 1)
    assert [process.count(name) for name in names[:2]] == [0, 0]
    await process.learn(11, 11)
    assert process.count("unsaved_events") == 1
    assert process.count("unsaved_age_seconds") > 0
    await process.streams.close()
    assert process.count("unsaved_events") == 0


async def settled(process: Process) -> None:
    """Return when no checkpoint is being written."""
    await process.streams._learners._checkpointer.drained()


async def test_evictions_are_counted() -> None:
    process = Process(MemoryStore(), hot_bytes=1)
    for name in ("a", "b", "c"):
        await process.streams.create(name, {"targets": ["y"], "units": 2})
        await process.learn(1, 1, stream=name)
    assert (process.count("hot_learners"), process.count("hot_evictions_total")) == (1, 2)
    await process.streams.close()


class Hanging(Refusing):
    """Does not answer a commit in the place of refusing it."""

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("kind", [Refusing, Hanging])
async def test_a_commit_that_fails_is_counted_each_time(kind: type[Refusing]) -> None:
    store = kind(takes_events=False)
    process = Process(store, request_deadline=0.01)
    await process.streams.create("s", {"targets": ["y"], "units": 2})
    store.refuses = True
    [answer] = await process.streams.observe("s", [event(1)])
    assert isinstance(answer, Unavailable)
    assert process.count("failed_commits_total") == process.count("commit_seconds_count") >= 1
    assert process.count("commit_events_count") == 0
    await process.streams.close()
