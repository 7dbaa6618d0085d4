"""Snapshots in Redis: learners that are kept under a name, with chunks as checkpoints have them."""

from ..base import Conflict, Full, Kept, Snapshot, SnapshotResult, Taken
from .checkpoints import LOST, Chunks, lost, parsed
from .client import BoundedClient, Script, key

_RESULTS: dict[bytes, SnapshotResult] = {
    b"kept": Kept(), b"conflict": Conflict(), b"taken": Taken(), b"full": Full(),
}  # fmt: skip


class Snapshots:
    """Writes, lists, reads and removes snapshots. Raises as `BoundedClient.reply` does."""

    def __init__(self, client: BoundedClient, chunks: Chunks) -> None:
        self._client = client
        self._redis = client.redis
        self._chunks = chunks
        self._snapshot = Script.load("snapshot")

    async def write(self, stream: str, epoch: str, snapshot: Snapshot, blob: bytes, limit: int) -> SnapshotResult:
        """See `Store.snapshot`."""
        written = await self._chunks.write(stream, snapshot.version, blob)
        entry = f"{written.field} {snapshot.created!r}"
        keys = [key(stream, part) for part in ("head", "snapshots")]
        chunks = (written.chunks, key(stream, f"ck:{written.name}:"))
        result = await self._client.run(self._snapshot, keys, epoch, snapshot.name, entry, limit, *chunks)
        if result != b"kept":
            await self._chunks.drop(stream, written)
        if result == LOST:
            raise lost()
        return _RESULTS[result]

    async def all(self, stream: str) -> list[Snapshot]:
        """See `Store.snapshots`."""
        entries = await self._client.reply(self._redis.hgetall(key(stream, "snapshots")))
        kept = [
            Snapshot(name.decode(), parsed(field)[0].version, float(created))
            for name, (field, created) in ((name, entry.split()) for name, entry in entries.items())
        ]
        return sorted(kept, key=lambda snapshot: (snapshot.created, snapshot.name))

    async def read(self, stream: str, name: str) -> bytes | None:
        """See `Store.read_snapshot`."""
        entry = await self._client.reply(self._redis.hget(key(stream, "snapshots"), name))
        return None if entry is None else await self._chunks.joined(stream, parsed(entry.split()[0])[0])

    async def drop(self, stream: str, name: str) -> bool:
        """See `Store.drop_snapshot`."""
        entry = await self._client.reply(self._redis.hget(key(stream, "snapshots"), name))
        if entry is None or not await self._client.reply(self._redis.hdel(key(stream, "snapshots"), name)):
            return False
        await self._chunks.drop(stream, parsed(entry.split()[0])[0])
        return True
