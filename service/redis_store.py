"""The store in Redis 7 or Valkey 8 and later: one server, Sentinels or a cluster (`redis_client`).

Keys. All of a stream carry one hash tag, so that they live on one shard and a script may touch them together:

    nbt:{S}:head        hash    version, epoch, chain, config, fingerprint, checkpoints (newest first, `_Checkpoint`)
    nbt:{S}:log         stream  entry <last version of the segment>-0: segment, chain after it
    nbt:{S}:outcomes    hash    id → record
    nbt:{S}:ids         list    <seconds since the epoch>:<id> of the outcomes, oldest first
    nbt:{S}:confirm     string  written only to wait for a replica that has it
    nbt:{S}:ck:<version>:<write>:<chunk>    at most 256 KB of a checkpoint; <write> is random, so that two replicas
                                            that write the same version never touch each other's chunks
    nbt:streams         set     the names, on a shard of its own: never in one script with a stream's keys

A name enters the set before its head is made and leaves after its head is gone, so a crash in between leaves a name
without a head, which `names` does not show.
"""

import secrets
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from service.errors import ServiceError, Unavailable
from service.redis_client import Lane, Script, place
from service.redis_errors import translated
from service.store import Commit, CommitResult, Committed, Conflict, Duplicate, Head, Keep, Token

NAMES = "nbt:streams"
FIELDS = ("version", "epoch", "chain", "config", "fingerprint", "checkpoints")

CHUNK = 256 * 1024
"""Bytes of a checkpoint in one value; a larger one would stall the server and our event loop."""
UNCLAIMED_SECONDS = 600
"""Life of a chunk to which no head points yet: what a crash leaves behind goes by itself."""
PAGE = 1000
"""Entries of a log, or names, in one reply."""
CONNECTIONS = 32
WAIT_SHARE = 0.7
"""Of a command's time, what replicas may take: their answer must still arrive in time."""
BULK_CONNECTIONS = 4
"""For checkpoints alone, so that no commit waits behind one."""

_RESULTS: dict[bytes, CommitResult] = {b"committed": Committed(), b"conflict": Conflict(), b"duplicate": Duplicate()}


def _key(stream: str, part: str) -> str:
    return f"nbt:{{{stream}}}:{part}"


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """In the head: `<version>:<write>,<chunks>,<bytes>`, separated by a space."""

    name: str
    chunks: int
    size: int

    @property
    def field(self) -> str:
        return f"{self.name},{self.chunks},{self.size}"

    @property
    def version(self) -> int:
        return int(self.name.partition(":")[0])

    def keys(self, stream: str) -> list[str]:
        return [_key(stream, f"ck:{self.name}:{i}") for i in range(self.chunks)]


def _checkpoints(field: bytes) -> list[_Checkpoint]:
    parts = (entry.split(",") for entry in field.decode().split())
    return [_Checkpoint(name, int(chunks), int(size)) for name, chunks, size in parts]


def _head(fields: Sequence[bytes | None]) -> Head | None:
    present = [field for field in fields if field is not None]
    if len(present) != len(FIELDS):
        return None
    version, epoch, chain, config, fingerprint, checkpoints = present
    token = Token(int(version), epoch.decode(), chain)
    return Head(token, config.decode(), fingerprint.decode(), tuple(c.version for c in _checkpoints(checkpoints)))


class RedisStore:
    """Streams in Redis.

    `url` is one of `redis_client` (ValueError for any other); `timeout` is in seconds and bounds one command, waiting
    for a connection included. Connections are made when they are needed. A commit returns when so many `replicas`
    have it; `durable` says whether the server is expected to have it on its disk by then.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        keep: Keep = Keep(),  # noqa: B008 - immutable
        replicas: int = 0,
        durable: bool = True,
    ) -> None:
        self._timeout = timeout
        self._keep = keep
        self._replicas = replicas
        self._durable = durable
        where = place(url)
        self._lane, self._bulk_lane = Lane(where, timeout, CONNECTIONS), Lane(where, timeout, BULK_CONNECTIONS)
        self._redis, self._bulk = self._lane.redis, self._bulk_lane.redis
        self._create = Script.load("create")
        self._enrol = Script.load("enrol")
        self._delete = Script.load("delete")
        self._commit = Script.load("commit")
        self._checkpoint = Script.load("checkpoint")

    async def create(
        self, stream: str, start: Token, config: str, fingerprint: str, limit: int, checkpoint: bytes | None = None
    ) -> tuple[Head, bool] | None:
        """See `Store.create`."""
        existing = await self.head(stream)
        if existing is not None:
            return existing, False
        if await self._run(self._enrol, [NAMES], stream, limit) == 0:
            return None
        written = None if checkpoint is None else await self._write(stream, start.version, checkpoint)
        arguments = (start.version, start.epoch, start.chain, config, fingerprint)
        chunks = ("", 0) if written is None else (written.field, written.chunks)
        prefix = _key(stream, f"ck:{written.name}:" if written else "ck:")
        made, *fields = await self._run(self._create, [_key(stream, "head")], *arguments, *chunks, prefix)
        # Once more: a `delete` of the same name may have taken it out of the set just before the head was there.
        await self._answer(self._redis.sadd(NAMES, stream))
        head = _head(fields)
        assert head is not None, "create.lua gives every field"
        return head, made == 1

    async def head(self, stream: str) -> Head | None:
        """See `Store.head`."""
        return _head(await self._answer(self._redis.hmget(_key(stream, "head"), FIELDS)))

    async def delete(self, stream: str) -> bool:
        """See `Store.delete`."""
        keys = [_key(stream, part) for part in ("head", "log", "outcomes", "ids", "confirm")]
        deleted = await self._run(self._delete, keys, _key(stream, "ck:"))
        await self._answer(self._redis.srem(NAMES, stream))
        if await self._answer(self._redis.exists(_key(stream, "head"))):  # created anew meanwhile
            await self._answer(self._redis.sadd(NAMES, stream))
        return bool(deleted)

    async def names(self) -> list[str]:
        """See `Store.names`."""
        names = sorted(name.decode() for name in await self._answer(self._redis.smembers(NAMES)))
        exist: list[int] = []
        for start in range(0, len(names), PAGE):
            pipeline = self._redis.pipeline(transaction=False)
            for name in names[start : start + PAGE]:
                pipeline.exists(_key(name, "head"))
            exist += await self._answer(pipeline.execute())
        return [name for name, exists in zip(names, exist, strict=True) if exists]

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`. One round trip, and another where replicas are waited for."""
        before, after = commit.before, commit.after
        keys = [_key(stream, part) for part in ("head", "log", "outcomes", "ids")]
        outcomes = [part for outcome in commit.outcomes for part in outcome]
        tokens = (before.version, before.epoch, before.chain, after.version, after.chain)
        keep = (self._keep.outcomes, self._keep.seconds)
        result = _RESULTS[await self._run(self._commit, keys, *tokens, commit.segment, *keep, *outcomes)]
        if isinstance(result, Committed):
            await self.confirm(stream)
        return result

    async def outcomes(self, stream: str, ids: list[str]) -> list[bytes | None]:
        """See `Store.outcomes`."""
        if not ids:
            return []
        records: list[bytes | None] = await self._answer(self._redis.hmget(_key(stream, "outcomes"), ids))
        return records

    async def recorded(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.recorded`."""
        entries = await self._answer(self._redis.lrange(_key(stream, "ids"), 0, -1))
        ids = [entry.partition(b":")[2].decode() for entry in entries]
        found: list[tuple[str, bytes]] = []
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            records = await self.outcomes(stream, page)
            found += ((name, record) for name, record in zip(page, records, strict=True) if record is not None)
        return found

    async def confirm(self, stream: str) -> None:
        """See `Store.confirm`. WAIT counts what went over its own connection, so a write goes before it."""
        if not self._replicas:
            return
        key = _key(stream, "confirm")
        pipeline = self._lane.owner(key).pipeline(transaction=False)
        pipeline.set(key, b"", ex=UNCLAIMED_SECONDS)
        pipeline.execute_command("WAIT", self._replicas, int(1000 * self._timeout * WAIT_SHARE))
        try:
            _, have = await self._answer(pipeline.execute())
        except Unavailable:
            await self._answer(self._redis.exists(key))  # in a cluster, this learns where the slot has moved to
            raise
        if have < self._replicas:
            raise Unavailable(
                f"only {have} of {self._replicas} replicas have the event. Repeat with the same ids.", retry_after=1
            )

    async def segments(self, stream: str, after: int) -> list[bytes]:
        """See `Store.segments`."""
        segments: list[bytes] = []
        start = f"{after + 1}-0"
        while True:
            page = await self._answer(self._redis.xrange(_key(stream, "log"), min=start, count=PAGE))
            segments += (fields[b"segment"] for _, fields in page)
            if len(page) < PAGE:
                return segments
            start = "(" + page[-1][0].decode()

    async def write_checkpoint(self, stream: str, token: Token, blob: bytes) -> bool:
        """See `Store.write_checkpoint`. Unavailable leaves chunks that expire."""
        checkpoint = await self._write(stream, token.version, blob)
        wanted = await self._run(
            self._checkpoint,
            [_key(stream, "head"), _key(stream, "log")],
            *(token.epoch, token.version, token.chain),
            *(checkpoint.name, checkpoint.chunks, checkpoint.size),
            *(_key(stream, "ck:"), int(self._keep.whole_log)),
        )
        if not wanted:
            await self._answer(self._bulk.unlink(*checkpoint.keys(stream)), self._bulk_lane)
        return bool(wanted)

    async def _write(self, stream: str, version: int, blob: bytes) -> _Checkpoint:
        """The chunks of a checkpoint, to which no head points yet."""
        chunks = max(1, -(-len(blob) // CHUNK))
        checkpoint = _Checkpoint(f"{version}:{secrets.token_hex(4)}", chunks, len(blob))
        for i, key in enumerate(checkpoint.keys(stream)):
            chunk = memoryview(blob)[i * CHUNK : (i + 1) * CHUNK]
            await self._answer(self._bulk.set(key, chunk, ex=UNCLAIMED_SECONDS), self._bulk_lane)
        return checkpoint

    async def read_checkpoint(self, stream: str, version: int) -> bytes | None:
        """See `Store.read_checkpoint`. None too when a part of it is missing."""
        field = await self._answer(self._bulk.hget(_key(stream, "head"), "checkpoints"), self._bulk_lane)
        for checkpoint in _checkpoints(field or b""):
            if checkpoint.version == version:
                keys = checkpoint.keys(stream)
                chunks = [await self._answer(self._bulk.get(key), self._bulk_lane) or b"" for key in keys]
                blob = b"".join(chunks)
                return blob if len(blob) == checkpoint.size else None
        return None

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._answer(self._redis.ping())

    async def doubts(self) -> list[str]:
        """See `Store.doubts`."""
        try:
            said = await self._answer(self._redis.config_get("appendonly", "appendfsync", "maxmemory-policy"))
        except ServiceError:
            return []  # many who rent out a Redis forbid the question
        fsync, policy = said.get("appendfsync"), said.get("maxmemory-policy")
        doubts: list[str] = []
        if said.get("appendonly") == "no":
            doubts.append("the store keeps no log on its disk: all is lost when it stops; set appendonly yes")
        elif self._durable and fsync not in ("always", None):
            doubts.append(
                f"the store flushes its log to disk {fsync}: what it acknowledged last is lost when it dies; "
                "set appendfsync always, or accept it with NBT_ACK=fast"
            )
        if policy not in ("noeviction", None):
            doubts.append(
                f"the store drops keys when it is full ({policy}), learners too; set maxmemory-policy noeviction"
            )
        return doubts

    async def close(self) -> None:
        """See `Store.close`."""
        await self._lane.close()
        await self._bulk_lane.close()

    async def _run(self, script: Script, keys: list[str], *arguments: bytes | str | int) -> Any:
        """One round trip, or two when the server does not know the script (new, restarted, failed over)."""
        try:
            return await self._answer(self._redis.evalsha(script.sha, len(keys), *keys, *arguments))
        except NoScriptError:  # so nothing ran
            return await self._answer(self._redis.eval(script.text, len(keys), *keys, *arguments))

    async def _answer(self, reply: Awaitable[Any], lane: Lane | None = None) -> Any:
        """The reply within the deadline, its errors translated: the only place where the client is awaited."""
        try:
            return await (lane or self._lane).answer(reply)
        except NoScriptError:
            raise
        except (RedisError, RedisClusterException, OSError) as error:
            raise translated(error, self._timeout) from error
