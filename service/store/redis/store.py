"""The store in Redis 7 or Valkey 8 and later: one server, Sentinels or a cluster (`address`).

Keys. All of a stream carry one hash tag, so that they live on one shard and a script may touch them together:

    nbt:{S}:head        hash    version, epoch, chain, config, fingerprint, checkpoints (newest first, `Checkpoint`)
    nbt:{S}:log         stream  entry <last version of the segment>-0: segment, chain after it
    nbt:{S}:outcomes    hash    id → record
    nbt:{S}:ids         list    <seconds since the epoch>:<id> of the outcomes, oldest first
    nbt:{S}:deferred    hash    id → record of the pending events
    nbt:{S}:waiting     list    their ids, in order
    nbt:{S}:snapshots   hash    name → `Checkpoint` of its learner and when it was made, separated by a space
    nbt:{S}:confirm     string  written only to wait for a replica that has it
    nbt:{S}:ck:<version>:<write>:<chunk>    at most 256 KB of a checkpoint; <write> is random, so that two replicas
                                            that write the same version never touch each other's chunks
    nbt:streams         set     the names, on a shard of its own: never in one script with a stream's keys
"""

from collections.abc import Sequence

from ..base import (
    AddPendingResult,
    Commit,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Full,
    Head,
    LogPosition,
    PendingAdded,
    PendingFirst,
    Retention,
    Snapshot,
    SnapshotResult,
    Usage,
)
from . import health
from .address import read_address
from .checkpoints import LOST, Chunks, lost, parsed
from .client import BoundedClient, Script, key
from .names import NAMES, Names
from .replication import Replication
from .snapshots import Snapshots

FIELDS = ("version", "epoch", "chain", "config", "fingerprint", "checkpoints")

PAGE = 1000
"""The most entries of a log, or records, in one reply."""
CONNECTIONS = 32
BULK_CONNECTIONS = 4
"""Connections for checkpoints alone, so that no commit waits behind a checkpoint."""

PARTS = ("head", "log", "outcomes", "ids", "waiting", "deferred")
"""The keys of a stream that a commit may touch."""
_RESULTS: dict[bytes, CommitResult] = {
    b"committed": Committed(), b"conflict": Conflict(), b"duplicate": Duplicate(), b"waits": PendingFirst(),
}  # fmt: skip
_ADDED: dict[bytes, AddPendingResult] = {
    b"deferred": PendingAdded(), b"conflict": Conflict(), b"duplicate": Duplicate(), b"full": Full(),
}  # fmt: skip


def _head(fields: Sequence[bytes | None]) -> Head | None:
    present = [field for field in fields if field is not None]
    if len(present) != len(FIELDS):
        return None
    version, epoch, chain, config, fingerprint, checkpoints = present
    position = LogPosition(int(version), epoch.decode(), chain)
    return Head(position, config.decode(), fingerprint.decode(), tuple(c.version for c in parsed(checkpoints)))


class RedisStore:
    """Streams in Redis.

    `url` is one of `address` (ValueError for any other). `timeout`, in seconds, bounds one command, with the wait for a
    connection. Connections are made when they are needed. A commit returns when this many `replicas` have it; `durable`
    says whether the server is expected to have it on its disk by then.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        retention: Retention = Retention(),  # noqa: B008 - immutable
        replicas: int = 0,
        durable: bool = True,
    ) -> None:
        self._retention = retention
        self._durable = durable
        servers = read_address(url)
        self._client, self._bulk = (
            BoundedClient(servers, timeout, CONNECTIONS),
            BoundedClient(servers, timeout, BULK_CONNECTIONS),
        )
        self._redis, self._chunks = self._client.redis, Chunks(self._bulk)
        self._replication = Replication(self._client, replicas, timeout)
        self._names, self._snapshots = Names(self._client), Snapshots(self._client, self._chunks)
        self._create = Script.load("create")
        self._delete = Script.load("delete")
        self._commit = Script.load("commit")
        self._checkpoint = Script.load("checkpoint")
        self._defer = Script.load("defer")
        self._label = Script.load("label")
        self._replace = Script.load("replace")

    async def create(
        self,
        stream: str,
        start: LogPosition,
        config: str,
        fingerprint: str,
        limit: int,
        checkpoint: bytes | None = None,
    ) -> tuple[Head, bool] | None:
        """See `Store.create`."""
        existing = await self.head(stream)
        if existing is not None:
            return existing, False
        if not await self._names.enrol(stream, limit):
            return None
        written = None if checkpoint is None else await self._chunks.write(stream, start.version, checkpoint)
        arguments = (start.version, start.epoch, start.chain, config, fingerprint)
        chunks = ("", 0) if written is None else (written.field, written.chunks)
        prefix = key(stream, f"ck:{written.name}:" if written else "ck:")
        result, *fields = await self._client.run(self._create, [key(stream, "head")], *arguments, *chunks, prefix)
        if result == LOST:
            raise lost()
        # A `delete` of the same name may have taken the name out of the set just before the head was made.
        await self._names.keep(stream)
        head = _head(fields)
        assert head is not None, "create.lua gives every field"
        return head, result == 1

    async def head(self, stream: str) -> Head | None:
        """See `Store.head`."""
        return _head(await self._client.reply(self._redis.hmget(key(stream, "head"), FIELDS)))

    async def delete(self, stream: str) -> bool:
        """See `Store.delete`."""
        keys = [key(stream, part) for part in (*PARTS, "confirm", "snapshots")]
        deleted = await self._client.run(self._delete, keys, key(stream, "ck:"))
        await self._names.remove(stream)
        return bool(deleted)

    async def names(self) -> list[str]:
        """See `Store.names`."""
        return await self._names.streams()

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`. One round trip, and another where replicas are waited for."""
        before, after = commit.before, commit.after
        keys = [key(stream, part) for part in PARTS]
        outcomes = [part for outcome in commit.outcomes for part in outcome]
        positions = (before.version, before.epoch, before.chain, after.version, after.chain)
        more: tuple[int | str, ...] = (
            self._retention.outcomes,
            self._retention.seconds,
            len(commit.pending),
            *commit.pending,
        )
        result = _RESULTS[await self._client.run(self._commit, keys, *positions, commit.segment, *more, *outcomes)]
        if isinstance(result, Committed):
            await self.confirm(stream)
        return result

    async def add_pending(
        self, stream: str, epoch: str, entries: tuple[tuple[str, bytes], ...], limit: int
    ) -> AddPendingResult:
        """See `Store.add_pending`."""
        keys = [key(stream, part) for part in ("head", "outcomes", "waiting", "deferred")]
        flat = [part for entry in entries for part in entry]
        result = _ADDED[await self._client.run(self._defer, keys, epoch, limit, *flat)]
        if isinstance(result, PendingAdded):
            await self.confirm(stream)
        return result

    async def pending(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.pending`. What is settled between the two questions is left out."""
        ids = await self._client.reply(self._redis.lrange(key(stream, "waiting"), 0, -1))
        if not ids:
            return []
        records = await self._client.reply(self._redis.hmget(key(stream, "deferred"), ids))
        return [(name.decode(), record) for name, record in zip(ids, records, strict=True) if record is not None]

    async def label(self, stream: str, event: str, before: bytes, after: bytes) -> bool:
        """See `Store.label`."""
        done = await self._client.run(self._label, [key(stream, "deferred")], event, before, after)
        if done:
            await self.confirm(stream)
        return bool(done)

    async def outcomes(self, stream: str, ids: list[str]) -> list[bytes | None]:
        """See `Store.outcomes`."""
        if not ids:
            return []
        records: list[bytes | None] = await self._client.reply(self._redis.hmget(key(stream, "outcomes"), ids))
        return records

    async def recorded(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.recorded`."""
        entries = await self._client.reply(self._redis.lrange(key(stream, "ids"), 0, -1))
        ids = [entry.partition(b":")[2].decode() for entry in entries]
        found: list[tuple[str, bytes]] = []
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            records = await self.outcomes(stream, page)
            found += ((name, record) for name, record in zip(page, records, strict=True) if record is not None)
        return found

    async def confirm(self, stream: str) -> None:
        """See `Store.confirm`. WAIT counts what went over its own connection, so a write goes before it."""
        await self._replication.confirm(key(stream, "confirm"))

    async def segments(self, stream: str, after: int) -> list[bytes]:
        """See `Store.segments`."""
        segments: list[bytes] = []
        start = f"{after + 1}-0"
        while True:
            page = await self._client.reply(self._redis.xrange(key(stream, "log"), min=start, count=PAGE))
            segments += (fields[b"segment"] for _, fields in page)
            if len(page) < PAGE:
                return segments
            start = "(" + page[-1][0].decode()

    async def write_checkpoint(self, stream: str, position: LogPosition, blob: bytes) -> bool:
        """See `Store.write_checkpoint`. Unavailable leaves chunks that expire."""
        checkpoint = await self._chunks.write(stream, position.version, blob)
        wanted = await self._client.run(
            self._checkpoint,
            [key(stream, "head"), key(stream, "log")],
            *(position.epoch, position.version, position.chain),
            *(checkpoint.name, checkpoint.chunks, checkpoint.size),
            *(key(stream, "ck:"), int(self._retention.whole_log)),
        )
        if not wanted:
            await self._chunks.drop(stream, checkpoint)
        return bool(wanted)

    async def snapshot(self, stream: str, epoch: str, snapshot: Snapshot, blob: bytes, limit: int) -> SnapshotResult:
        """See `Store.snapshot`."""
        return await self._snapshots.write(stream, epoch, snapshot, blob, limit)

    async def snapshots(self, stream: str) -> list[Snapshot]:
        """See `Store.snapshots`."""
        return await self._snapshots.all(stream)

    async def read_snapshot(self, stream: str, name: str) -> bytes | None:
        """See `Store.read_snapshot`."""
        return await self._snapshots.read(stream, name)

    async def drop_snapshot(self, stream: str, name: str) -> bool:
        """See `Store.drop_snapshot`."""
        return await self._snapshots.drop(stream, name)

    async def replace(
        self, stream: str, epoch: str, start: LogPosition, config: str, fingerprint: str, checkpoint: bytes
    ) -> bool:
        """See `Store.replace`."""
        written = await self._chunks.write(stream, start.version, checkpoint)
        done = await self._client.run(
            self._replace,
            [key(stream, part) for part in PARTS],
            *(epoch, start.version, start.epoch, start.chain, config, fingerprint),
            *(written.field, written.chunks, key(stream, f"ck:{written.name}:"), key(stream, "ck:")),
        )
        if done != 1:
            await self._chunks.drop(stream, written)
        if done == LOST:
            raise lost()
        return bool(done)

    async def read_checkpoint(self, stream: str, version: int) -> bytes | None:
        """See `Store.read_checkpoint`. None too when a part of it is missing."""
        return await self._chunks.read(stream, version)

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._client.reply(self._redis.ping())

    async def usage(self) -> Usage | None:
        """See `Store.usage`."""
        return await health.usage(self._client)

    async def warnings(self) -> list[str]:
        """See `Store.warnings`."""
        return await health.warnings(self._client, NAMES, self._durable)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._client.close()
        await self._bulk.close()
