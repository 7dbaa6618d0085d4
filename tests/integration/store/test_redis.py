"""What is true of the store in Redis alone: its keys, and what happens when the server misbehaves."""

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from nobacktrack.service.errors import Internal, ServiceError, StoreFull, Unavailable
from nobacktrack.service.store.base import Committed, Conflict, Duplicate, LogPosition, Snapshot
from nobacktrack.service.store.embedded import EmbeddedServer
from nobacktrack.service.store.redis import checkpoints, client
from nobacktrack.service.store.redis.checkpoints import CHUNK
from nobacktrack.service.store.redis.store import CONNECTIONS, RedisStore
from tests.integration.commits import created, following, grown, record

pytestmark = pytest.mark.anyio

TIMEOUT = 0.3
"""For stores that are expected to wait in vain."""


async def _keys(redis: Redis, pattern: str = "*") -> list[str]:
    return sorted([key.decode() async for key in redis.scan_iter(match=pattern)])


async def test_all_keys_of_a_stream_carry_its_hash_tag(redis: Redis, redis_store: RedisStore) -> None:
    commit = following(await created(redis_store), ids=("a",))
    await redis_store.commit("s", commit)
    await redis_store.write_checkpoint("s", commit.after, b"state")
    keys = await _keys(redis)
    assert [key for key in keys if not key.startswith("nbt:{s}:")] == ["nbt:streams"]
    assert len(keys) == 6
    await redis_store.delete("s")
    assert await _keys(redis) == []


async def test_a_commit_is_one_command(redis: Redis, redis_store: RedisStore) -> None:
    position = await grown(redis_store, await created(redis_store))
    await redis.config_resetstat()
    await redis_store.commit("s", following(position, 3, ids=("a", "b", "c")))
    stats = await redis.info("commandstats")
    sent = {name: stat["calls"] for name, stat in stats.items() if "eval" in name or "script" in name}
    assert sent == {"cmdstat_evalsha": 1}


async def test_a_server_that_has_forgotten_the_scripts(redis: Redis, redis_store: RedisStore) -> None:
    position = await grown(redis_store, await created(redis_store))
    await redis.script_flush()
    commit = following(position, ids=("a",))
    assert await redis_store.commit("s", commit) == Committed()
    await redis.script_flush()
    assert await redis_store.commit("s", commit) == Duplicate()
    await redis.script_flush()
    assert await redis_store.delete("s")


async def test_a_full_server_refuses_and_changes_nothing(redis: Redis, redis_store: RedisStore) -> None:
    commit = following(await created(redis_store), 2, ids=("a", "b"))
    await redis_store.commit("s", commit)
    await redis_store.write_checkpoint("s", commit.after, b"state")
    refused = following(commit.after, 2, ids=("c", "d"))
    before = {key: await redis.dump(key) for key in await redis.keys("*")}
    await redis.config_set("maxmemory", 1)
    try:
        for attempt in (
            redis_store.commit("s", refused),
            redis_store.write_checkpoint("s", refused.after, b"state"),
            redis_store.create("new", LogPosition.first("e"), "{}", "print", 10),
        ):
            with pytest.raises(StoreFull) as refusal:
                await attempt
            assert refusal.value.retry_after
        assert {key: await redis.dump(key) for key in await redis.keys("*")} == before
        # What reads, and what makes room, still works.
        assert await redis_store.outcomes("s", ["a"]) == [record("a")]
        assert await redis_store.read_checkpoint("s", 2) == b"state"
        assert await redis_store.commit("s", commit) == Duplicate()
    finally:
        await redis.config_set("maxmemory", 0)
    assert await redis_store.commit("s", refused) == Committed()


async def test_settings_of_the_server_that_break_a_promise_are_told(redis: Redis, redis_url: str) -> None:
    strict, fast = RedisStore(redis_url, 5), RedisStore(redis_url, 5, durable=False)
    [warning] = await strict.warnings()  # this server flushes once a second
    assert "appendfsync always" in warning
    assert await fast.warnings() == []
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "noeviction" in (await fast.warnings())[0]
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("appendonly", "no")
    try:
        [warning] = await fast.warnings()
        assert "appendonly yes" in warning
    finally:
        await redis.config_set("appendonly", "yes")
    await redis.acl_setuser(
        "limited", enabled=True, nopass=True, categories=["+@all"], commands=["-config"], keys=["*"]
    )
    limited = RedisStore(redis_url + "?username=limited&password=x", 5)
    assert await limited.warnings() == []
    for store in (strict, fast, limited):
        await store.close()


async def test_a_full_server_still_deletes(redis: Redis, redis_store: RedisStore) -> None:
    await created(redis_store)
    await redis.config_set("maxmemory", 1)
    try:
        assert await redis_store.delete("s")
        assert await redis_store.names() == []
    finally:
        await redis.config_set("maxmemory", 0)


async def test_a_name_without_a_head_is_no_stream(redis: Redis, redis_store: RedisStore) -> None:
    await redis.sadd("nbt:streams", "ghost")  # what a crash in the middle of create or delete leaves
    await created(redis_store)
    assert await redis_store.names() == ["s"]
    assert not await redis_store.delete("ghost")
    assert await redis.smembers("nbt:streams") == {b"s"}


async def test_a_name_without_a_head_does_not_count_against_the_limit_for_ever(
    redis: Redis, redis_store: RedisStore
) -> None:
    await redis.sadd("nbt:streams", "ghost", *(f"ghost-{i}" for i in range(2000)))
    await created(redis_store)
    assert await redis_store.create("other", LogPosition.first("e"), "{}", "print", 2) is not None
    assert await redis.smembers("nbt:streams") == {b"s", b"other"}
    assert await redis_store.create("third", LogPosition.first("e"), "{}", "print", 2) is None
    assert await redis.smembers("nbt:streams") == {b"s", b"other"}


@pytest.mark.parametrize("what", ["create", "snapshot", "replace"])
async def test_a_learner_whose_chunks_are_gone_is_not_kept(
    redis: Redis, redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Where a writer is slower than chunks live, or the server drops keys when it is full."""
    position = await grown(redis_store, await created(redis_store))
    write = redis_store._chunks.write

    async def slow(stream: str, version: int, blob: bytes) -> checkpoints.Checkpoint:
        written = await write(stream, version, blob)
        await redis.delete(written.keys(stream)[1])
        return written

    monkeypatch.setattr(redis_store._chunks, "write", slow)
    before = {key: await redis.dump(key) for key in await redis.keys("*head")}
    blob, start = bytes(2 * CHUNK), LogPosition(7, "other", bytes(32))
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: redis_store.create("new", start, "{}", "print", 10, blob),
        "snapshot": lambda: redis_store.snapshot("s", position.epoch, Snapshot("one", 1, 0.0), blob, 10),
        "replace": lambda: redis_store.replace("s", position.epoch, start, "{}", "print", blob),
    }
    with pytest.raises(Unavailable, match="lost a part of the learner"):
        await attempts[what]()
    assert {key: await redis.dump(key) for key in await redis.keys("*head")} == before
    assert (await redis_store.names(), await redis_store.snapshots("s")) == (["s"], [])


async def test_a_large_checkpoint_is_in_chunks_that_stay(redis: Redis, redis_store: RedisStore) -> None:
    position = await grown(redis_store, await created(redis_store))
    blob = os.urandom(2 * CHUNK + 5)
    assert await redis_store.write_checkpoint("s", position, blob)
    keys = await _keys(redis, "*:ck:*")
    assert [await redis.strlen(key) for key in keys] == [CHUNK, CHUNK, 5]
    assert [await redis.ttl(key) for key in keys] == [-1, -1, -1]
    assert await redis_store.read_checkpoint("s", 1) == blob


@pytest.mark.parametrize("missing", [0, 1, 2])
async def test_a_checkpoint_with_a_missing_chunk_is_none(redis: Redis, redis_store: RedisStore, missing: int) -> None:
    position = await grown(redis_store, await created(redis_store))
    await redis_store.write_checkpoint("s", position, os.urandom(2 * CHUNK + 5))
    await redis.delete((await _keys(redis, "*:ck:*"))[missing])
    assert await redis_store.read_checkpoint("s", 1) is None


async def test_chunks_that_nobody_needs_are_removed(redis: Redis, redis_store: RedisStore) -> None:
    position = await created(redis_store)
    for _ in range(4):
        position = await grown(redis_store, position)
        assert await redis_store.write_checkpoint("s", position, bytes(CHUNK + 1))
    assert len(await _keys(redis, "*:ck:*")) == 4  # two checkpoints of two chunks
    assert not await redis_store.write_checkpoint("s", position, bytes(CHUNK + 1))
    assert len(await _keys(redis, "*:ck:*")) == 4


async def test_chunks_of_a_writer_that_died_expire(
    redis: Redis, redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = await grown(redis_store, await created(redis_store))
    monkeypatch.setattr(checkpoints, "UNCLAIMED_SECONDS", 1)
    broken = RedisStore("unix:///nowhere", timeout=1)
    broken._chunks = redis_store._chunks
    with pytest.raises(Unavailable):  # writes the chunks, then dies: its scripts go nowhere
        await broken.write_checkpoint("s", position, b"state")
    await broken.close()
    [key] = await _keys(redis, "*:ck:*")
    assert 0 <= await redis.ttl(key) <= 1


async def test_two_writers_of_one_version(redis: Redis, redis_store: RedisStore) -> None:
    position = await grown(redis_store, await created(redis_store))
    blobs = [bytes([i]) * (2 * CHUNK) for i in range(4)]
    written = await asyncio.gather(*(redis_store.write_checkpoint("s", position, blob) for blob in blobs))
    assert sorted(written) == [False, False, False, True]
    assert await redis_store.read_checkpoint("s", 1) == blobs[written.index(True)]
    assert len(await _keys(redis, "*:ck:*")) == 2


async def test_only_one_of_many_at_once_commits(redis_store: RedisStore) -> None:
    position = await created(redis_store)
    attempts = [redis_store.commit("s", following(position, ids=(f"id-{i}",), value=i)) for i in range(3 * CONNECTIONS)]
    results = await asyncio.gather(*attempts)
    assert (results.count(Committed()), results.count(Conflict())) == (1, 3 * CONNECTIONS - 1)
    assert len(await redis_store.segments("s", 0)) == 1


async def test_cancelled_commands_take_no_connection_with_them(redis_store: RedisStore) -> None:
    position = await created(redis_store)
    for delay in range(2 * CONNECTIONS):
        tasks = [asyncio.create_task(redis_store.commit("s", following(position, ids=("x",)))) for _ in range(4)]
        for _ in range(delay % 8):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert await redis_store.commit("s", following(position, ids=("x",))) in (Committed(), Duplicate())
    await asyncio.gather(*(redis_store.ping() for _ in range(2 * CONNECTIONS)))
    head = await redis_store.head("s")
    assert head is not None
    assert head.position.version == 1


async def test_a_server_that_hangs(server: EmbeddedServer) -> None:
    store = RedisStore(server.url, TIMEOUT)
    commit = following(await grown(store, await created(store)), ids=("a",))
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for _ in range(2):  # on a connection that was open, and on a new one
            start = time.monotonic()
            with pytest.raises(Unavailable) as refusal:
                await store.commit("s", commit)
            assert time.monotonic() - start < 2 * TIMEOUT
            assert refusal.value.retry_after == 1
        attempts = (store.names() if i % 2 else store.ping() for i in range(3 * CONNECTIONS))
        results = await asyncio.gather(*attempts, return_exceptions=True)
        assert all(isinstance(result, Unavailable) for result in results)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    # Whether the commit happened was unknown: the same ids tell.
    assert await store.commit("s", commit) in (Committed(), Duplicate())
    head = await store.head("s")
    assert head is not None
    assert head.position == commit.after
    await asyncio.gather(*(store.names() for _ in range(2 * CONNECTIONS)))
    await store.close()


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_what_was_committed_survives_the_server(server: EmbeddedServer, kill: bool) -> None:
    store = RedisStore(server.url, timeout=5)
    position = await grown(store, await created(store), 20)
    await store.write_checkpoint("s", position, b"state")
    commit = following(position, ids=("a",))
    assert await store.commit("s", commit) == Committed()
    if kill:
        os.kill(server.pid, signal.SIGKILL)
    await server.stop()
    with pytest.raises(Unavailable):
        await store.ping()
    await server.start()
    head = await store.head("s")
    assert head is not None
    assert (head.position, head.checkpoints) == (commit.after, (20,))
    assert len(await store.segments("s", 0)) == 21
    assert await store.read_checkpoint("s", 20) == b"state"
    assert await store.commit("s", commit) == Duplicate()
    await grown(store, commit.after)
    await store.close()


async def test_a_server_that_may_not_write(server: EmbeddedServer) -> None:
    store = RedisStore(server.url, timeout=5)
    position = await created(store)
    async with Redis.from_url(server.url) as redis:
        await redis.config_set("min-replicas-to-write", 1)
        with pytest.raises(Unavailable, match="NOREPLICAS"):
            await store.commit("s", following(position, ids=("a",)))
        await redis.config_set("min-replicas-to-write", 0)
        await redis.replicaof("127.0.0.1", "1")
        with pytest.raises(Unavailable, match="READONLY"):
            await store.commit("s", following(position, ids=("a",)))
        await redis.replicaof("NO", "ONE")
    assert await store.commit("s", following(position, ids=("a",))) == Committed()
    await store.close()


async def test_a_server_that_allows_too_little(server: EmbeddedServer) -> None:
    async with Redis.from_url(server.url) as redis:
        await redis.acl_setuser("guest", enabled=True, passwords=["+hunter2"], commands=["+ping"])
    wrong = RedisStore(server.url + "?username=guest&password=hunter3", timeout=5)
    with pytest.raises(Unavailable, match="password") as refusal:
        await wrong.ping()
    assert "hunter3" not in refusal.value.detail
    await wrong.close()
    guest = RedisStore(server.url + "?username=guest&password=hunter2", timeout=5)
    await guest.ping()
    with pytest.raises(Internal):
        await guest.head("s")
    await guest.close()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("LOADING Redis is loading the dataset in memory", Unavailable),
        ("BUSY Redis is busy running a script", Unavailable),
        ("MASTERDOWN Link with MASTER is down", Unavailable),
        ("CLUSTERDOWN The cluster is down", Unavailable),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Unavailable),
        ("MISCONF Errors writing to the AOF file: No space left on device", Unavailable),
        ("ERR Error running script: -READONLY You can't write against a read only replica.", Unavailable),
        ("OOM command not allowed when used memory > 'maxmemory'.", StoreFull),
        ("ERR Error running script: -OOM command not allowed when used memory > 'maxmemory'.", StoreFull),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Internal),
        ("ERR secret words", Internal),
    ],
)
async def test_what_the_server_says_is_translated(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch, said: str, expected: type[ServiceError]
) -> None:
    commit = following(await created(redis_store))
    text = f'return redis.error_reply("{said}")'
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(redis_store, "_commit", client.Script("commit", text, sha))
    with pytest.raises(ServiceError) as refusal:
        await redis_store.commit("s", commit)
    assert type(refusal.value) is expected
    assert "secret" not in refusal.value.detail


async def test_nobody_there() -> None:
    store = RedisStore("redis://user:hunter2@127.0.0.1:1/0", timeout=5)
    with pytest.raises(Unavailable) as refusal:
        await store.ping()
    assert "hunter2" not in refusal.value.detail
    await store.close()


async def test_what_a_url_says_does_not_bring_retries_or_text_back(server: EmbeddedServer) -> None:
    store = RedisStore(server.url + "?decode_responses=true&retry_on_timeout=true&socket_timeout=60", TIMEOUT)
    await created(store)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with pytest.raises(Unavailable):
            await store.ping()
        assert time.monotonic() - start < 2 * TIMEOUT
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await store.close()


def test_an_unknown_kind_of_url() -> None:
    with pytest.raises(ValueError, match="redis://"):
        RedisStore("http://127.0.0.1", timeout=1)
