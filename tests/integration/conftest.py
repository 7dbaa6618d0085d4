"""A real server and the two stores."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from nobacktrack import model
from nobacktrack.service.store.base import Retention, Store
from nobacktrack.service.store.embedded import EmbeddedServer
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.store.redis.store import RedisStore
from tests.support.failover import Cluster, Watched


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of `pytest.mark.anyio`."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compiled before a test that has a deadline needs them."""
    model.warm_up(("float32",))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests that do no harm to it. Whether it keeps what it said is tested on others."""
    server = EmbeddedServer(tmp_path_factory.mktemp("redis"), fsync="everysec")
    asyncio.run(server.start())
    yield server.url
    asyncio.run(server.stop())


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A plain client of that server, which it leaves as empty as it found it."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client
        await client.flushall()


@pytest.fixture
async def redis_store(redis_url: str, redis: Redis) -> AsyncIterator[RedisStore]:
    """A store on that server, empty."""
    store = RedisStore(redis_url, timeout=5)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def sentinel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A primary and its replica, which Sentinels watch."""
    with Watched(tmp_path_factory.mktemp("sentinel")) as servers:
        yield servers.url


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of three shards."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers.url


@pytest.fixture(params=["memory", "redis", "sentinel", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where each store in turn is; None for the one in memory."""
    return None if request.param == "memory" else str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def store(store_url: str | None) -> AsyncIterator[Store]:
    """Each store in turn, empty; that of the Sentinels waits for its replica."""
    if store_url is None:
        yield MemoryStore()
        return
    store = RedisStore(store_url, 5, replicas=1 if "sentinel" in store_url else 0)
    yield store
    for name in await store.names():
        await store.delete(name)
    await store.close()


@pytest.fixture(params=["memory", "redis"])
async def store_keeping(
    request: pytest.FixtureRequest, redis_url: str, redis: Redis
) -> AsyncIterator[Callable[[Retention], Store]]:
    """Each kind of store in turn, empty, that keeps what it is told to."""
    made: list[Store] = []

    def make(keep: Retention) -> Store:
        made.append(MemoryStore(keep) if request.param == "memory" else RedisStore(redis_url, 5, keep))
        return made[-1]

    yield make
    for store in made:
        await store.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A server that a test may hurt."""
    server = EmbeddedServer(tmp_path / "data")
    await server.start()
    yield server
    await server.stop()
