"""The protocol of a store in dicts: for tests, and the shortest statement of what a store does.

No method waits for anything, so in one event loop each of them is atomic.
"""

import time
from dataclasses import dataclass, field, replace

from .base import (
    AddPendingResult,
    Commit,
    CommitResult,
    Committed,
    Conflict,
    Duplicate,
    Full,
    Head,
    Kept,
    LogPosition,
    PendingAdded,
    PendingFirst,
    Retention,
    Snapshot,
    SnapshotResult,
    Taken,
    Usage,
)


@dataclass(slots=True)
class _Stream:
    head: Head
    log: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)  # last version → (segment, chain after it)
    outcomes: dict[str, tuple[float, bytes]] = field(default_factory=dict)  # id → (when, record), oldest first
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    pending: dict[str, bytes] = field(default_factory=dict)  # in order
    snapshots: dict[str, tuple[Snapshot, bytes]] = field(default_factory=dict)  # the oldest first


class MemoryStore:
    """Streams that live as long as this object. Never raises Unavailable or StoreFull."""

    def __init__(self, retention: Retention = Retention()) -> None:  # noqa: B008 - immutable
        self._retention = retention
        self._streams: dict[str, _Stream] = {}

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
        if stream in self._streams:
            return self._streams[stream].head, False
        if len(self._streams) >= limit:
            return None
        checkpoints = {} if checkpoint is None else {start.version: checkpoint}
        head = Head(start, config, fingerprint, tuple(checkpoints))
        self._streams[stream] = _Stream(head, checkpoints=checkpoints)
        return head, True

    async def head(self, stream: str) -> Head | None:
        """See `Store.head`."""
        found = self._streams.get(stream)
        return None if found is None else found.head

    async def delete(self, stream: str) -> bool:
        """See `Store.delete`."""
        return self._streams.pop(stream, None) is not None

    async def names(self) -> list[str]:
        """See `Store.names`."""
        return sorted(self._streams)

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        found = self._streams.get(stream)
        if found is None:
            return Conflict()
        if any(name in found.outcomes for name, _ in commit.outcomes):
            return Duplicate()
        count = len(commit.pending)
        if tuple(found.pending)[:count] != commit.pending or (found.pending and not count):
            return PendingFirst()
        if found.head.position != commit.before:
            return Conflict()
        for name in commit.pending:
            del found.pending[name]
        found.log[commit.after.version] = (commit.segment, commit.after.chain)
        now = time.monotonic()
        found.outcomes.update((name, (now, record)) for name, record in commit.outcomes)
        surplus = len(found.outcomes) - self._retention.outcomes
        for place, (name, (at, _)) in enumerate(list(found.outcomes.items())):
            if place >= surplus and at + self._retention.seconds > now:
                break
            del found.outcomes[name]
        found.head = replace(found.head, position=commit.after)
        return Committed()

    async def add_pending(
        self, stream: str, epoch: str, entries: tuple[tuple[str, bytes], ...], limit: int
    ) -> AddPendingResult:
        """See `Store.add_pending`."""
        found = self._streams.get(stream)
        if found is None or found.head.position.epoch != epoch:
            return Conflict()
        if any(name in found.pending or name in found.outcomes for name, _ in entries):
            return Duplicate()
        if len(found.pending) + len(entries) > limit:
            return Full()
        found.pending.update(entries)
        return PendingAdded()

    async def pending(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.pending`."""
        found = self._streams.get(stream)
        return [] if found is None else list(found.pending.items())

    async def label(self, stream: str, event: str, before: bytes, after: bytes) -> bool:
        """See `Store.label`."""
        found = self._streams.get(stream)
        if found is None or found.pending.get(event) != before:
            return False
        found.pending[event] = after
        return True

    async def outcomes(self, stream: str, ids: list[str]) -> list[bytes | None]:
        """See `Store.outcomes`."""
        found = self._streams.get(stream)
        return [None if found is None else found.outcomes.get(name, (0.0, None))[1] for name in ids]

    async def recorded(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.recorded`."""
        found = self._streams.get(stream)
        return [] if found is None else [(name, record) for name, (_, record) in found.outcomes.items()]

    async def confirm(self, stream: str) -> None:
        """See `Store.confirm`."""

    async def segments(self, stream: str, after: int) -> list[bytes]:
        """See `Store.segments`."""
        found = self._streams.get(stream)
        return [] if found is None else [segment for last, (segment, _) in found.log.items() if last > after]

    async def write_checkpoint(self, stream: str, position: LogPosition, blob: bytes) -> bool:
        """See `Store.write_checkpoint`."""
        found = self._streams.get(stream)
        if found is None or found.head.position.epoch != position.epoch:
            return False
        before = found.head.checkpoints
        _, chain = found.log.get(position.version, (b"", b""))
        if chain != position.chain or (before and before[0] >= position.version):
            return False
        kept = (position.version, *before[:1])
        found.checkpoints[position.version] = blob
        found.checkpoints = {version: found.checkpoints[version] for version in kept}
        found.head = replace(found.head, checkpoints=kept)
        if before and not self._retention.whole_log:
            found.log = {last: entry for last, entry in found.log.items() if last > before[0]}
        return True

    async def snapshot(self, stream: str, epoch: str, snapshot: Snapshot, blob: bytes, limit: int) -> SnapshotResult:
        """See `Store.snapshot`."""
        found = self._streams.get(stream)
        if found is None or found.head.position.epoch != epoch:
            return Conflict()
        if snapshot.name in found.snapshots:
            return Taken()
        if len(found.snapshots) >= limit:
            return Full()
        found.snapshots[snapshot.name] = (snapshot, blob)
        return Kept()

    async def snapshots(self, stream: str) -> list[Snapshot]:
        """See `Store.snapshots`."""
        found = self._streams.get(stream)
        kept = [] if found is None else [snapshot for snapshot, _ in found.snapshots.values()]
        return sorted(kept, key=lambda snapshot: (snapshot.created, snapshot.name))

    async def read_snapshot(self, stream: str, name: str) -> bytes | None:
        """See `Store.read_snapshot`."""
        found = self._streams.get(stream)
        return None if found is None or name not in found.snapshots else found.snapshots[name][1]

    async def drop_snapshot(self, stream: str, name: str) -> bool:
        """See `Store.drop_snapshot`."""
        found = self._streams.get(stream)
        return found is not None and found.snapshots.pop(name, None) is not None

    async def replace(
        self, stream: str, epoch: str, start: LogPosition, config: str, fingerprint: str, checkpoint: bytes
    ) -> bool:
        """See `Store.replace`."""
        found = self._streams.get(stream)
        if found is None or found.head.position.epoch != epoch:
            return False
        head = Head(start, config, fingerprint, (start.version,))
        self._streams[stream] = _Stream(head, checkpoints={start.version: checkpoint}, snapshots=found.snapshots)
        return True

    async def read_checkpoint(self, stream: str, version: int) -> bytes | None:
        """See `Store.read_checkpoint`."""
        found = self._streams.get(stream)
        return None if found is None else found.checkpoints.get(version)

    async def ping(self) -> None:
        """See `Store.ping`."""

    async def usage(self) -> Usage | None:
        """See `Store.usage`."""
        return None

    async def warnings(self) -> list[str]:
        """See `Store.warnings`."""
        return ["the store is this process's memory: everything is lost when it ends"]

    async def close(self) -> None:
        """See `Store.close`."""
