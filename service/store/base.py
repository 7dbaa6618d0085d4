"""What the service asks of a store: one page, two implementations, one contract test for both.

A stream in a store is its head, its log (the events since the older of two checkpoints, in segments), its
checkpoints, the outcomes of the events that carried an id, and the pending events, whose labels are still to come. Only
`commit` moves the head forward. While events are pending, a commit has to begin with the first of them.

Errors: every method raises `Unavailable` when the store does not answer in time or refuses for now (what happened
is then unknown), and `StoreFull` when it has no room (nothing happened).
"""

from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias

from ..codec.segments import genesis


@dataclass(frozen=True, slots=True)
class Retention:
    """What a store keeps of a stream beside its learner."""

    outcomes: int = 10_000
    """The number of outcomes of a stream, of its newest events with an id."""
    seconds: int = 86_400
    """How long an outcome is kept, in seconds."""
    whole_log: bool = False
    """Whether the log keeps every event, and not only those after the older of two checkpoints."""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """The history that a learner has seen. A version alone is not enough: a head can go back after a failover."""

    version: int
    """Events learnt."""
    epoch: str
    """Random, drawn when the stream was created: a deleted and created stream is another one."""
    chain: bytes
    """Hash over the epoch and every segment up to this version, 32 bytes."""

    @classmethod
    def first(cls, epoch: str) -> Self:
        """The position of a stream without events."""
        return cls(0, epoch, genesis(epoch))


@dataclass(frozen=True, slots=True)
class Head:
    """The newest state of a stream that the store knows."""

    position: LogPosition
    config: str
    """The configuration, as JSON."""
    fingerprint: str
    """The hash of the configuration."""
    checkpoints: tuple[int, ...]
    """Versions of the checkpoints that can be read, newest first; at most two."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Events to make durable."""

    before: LogPosition
    after: LogPosition
    segment: bytes
    """The events, encoded by `service.codec.segments`."""
    outcomes: tuple[tuple[str, bytes], ...]
    """(id, record) of the events that carried one; no id twice."""
    pending: tuple[str, ...] = ()
    """Ids of the pending events with which the commit begins: the oldest ones, in order."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The events are in the log and the head is at `after`."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The head was not at `before`; nothing changed."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """At least one of the ids has an outcome already; nothing changed. Checked before a conflict."""


@dataclass(frozen=True, slots=True)
class PendingFirst:
    """The commit does not begin with the oldest pending events; nothing changed. Checked before a conflict."""


@dataclass(frozen=True, slots=True)
class Full:
    """A limit would be passed; nothing changed."""


@dataclass(frozen=True, slots=True)
class PendingAdded:
    """The events are pending, in order, behind the earlier ones."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The name is taken; nothing changed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The snapshot is kept."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A learner that is kept under a name."""

    name: str
    version: int
    created: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of a store, in bytes; of several servers, that of the fullest."""

    used: int
    limit: int
    """0 for none."""


CommitResult: TypeAlias = Committed | Conflict | Duplicate | PendingFirst
AddPendingResult: TypeAlias = PendingAdded | Conflict | Duplicate | Full
SnapshotResult: TypeAlias = Kept | Conflict | Taken | Full


class Store(Protocol):
    """A place where learners live."""

    async def create(
        self,
        stream: str,
        start: LogPosition,
        config: str,
        fingerprint: str,
        limit: int,
        checkpoint: bytes | None = None,
    ) -> tuple[Head, bool] | None:
        """Make a stream whose log begins at `start`, unless there is one of that name.

        A new one starts at `LogPosition.first(epoch)`; one that comes from elsewhere, with
        its learner at a later version as `checkpoint`. The head that the store has afterwards, and whether this call
        made it; None when `limit` streams exist already and this is not one of them.
        """

    async def head(self, stream: str) -> Head | None:
        """The head, or None when there is no such stream."""

    async def delete(self, stream: str) -> bool:
        """Remove everything of a stream; False when there was none."""

    async def names(self) -> list[str]:
        """The streams, sorted."""

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """Append the segment, keep the outcomes, move the head: all or nothing. Never retried by the store itself.

        Outcomes beyond what is kept are forgotten, the oldest first.
        """

    async def add_pending(
        self, stream: str, epoch: str, entries: tuple[tuple[str, bytes], ...], limit: int
    ) -> AddPendingResult:
        """Add pending events (id, record): all or nothing, at most `limit` of a stream.

        Duplicate when an id is pending already or has an outcome, Conflict when the stream is of another epoch.
        """

    async def pending(self, stream: str) -> list[tuple[str, bytes]]:
        """The pending events, (id, record), in order."""

    async def label(self, stream: str, event: str, before: bytes, after: bytes) -> bool:
        """Replace the record `before` of a pending event by `after`; False when its record is another one."""

    async def outcomes(self, stream: str, ids: list[str]) -> list[bytes | None]:
        """The record of each id, None where there is none."""

    async def recorded(self, stream: str) -> list[tuple[str, bytes]]:
        """Every id and record that is kept, the oldest first. One that comes or goes meanwhile may be missing."""

    async def confirm(self, stream: str) -> None:
        """Return when everything that was committed is as safe as a commit that was acknowledged.

        For a caller that finds a commit in the store whose reply was lost: a replica may not have it yet.
        """

    async def segments(self, stream: str, after: int) -> list[bytes]:
        """The log's segments that hold any event of a version above `after`, in order."""

    async def write_checkpoint(self, stream: str, position: LogPosition, blob: bytes) -> bool:
        """Store the learner at `position.version` and let the head point to it; two are kept.

        The log behind the older of the two is trimmed, unless all of it is kept. False, and nothing can be read
        afterwards, when the stream is of another epoch or gone, when it has a checkpoint as new as this one, when it
        was never at this position, or when the version is 0.
        """

    async def snapshot(self, stream: str, epoch: str, snapshot: Snapshot, blob: bytes, limit: int) -> SnapshotResult:
        """Keep a learner under a name until the stream is deleted; Taken where the name is, Full at `limit` of them.

        Conflict when the stream is of another epoch.
        """

    async def snapshots(self, stream: str) -> list[Snapshot]:
        """The snapshots of a stream, the oldest first."""

    async def read_snapshot(self, stream: str, name: str) -> bytes | None:
        """The bytes written under that name, or None."""

    async def drop_snapshot(self, stream: str, name: str) -> bool:
        """Remove a snapshot; False when there was none."""

    async def replace(
        self, stream: str, epoch: str, start: LogPosition, config: str, fingerprint: str, checkpoint: bytes
    ) -> bool:
        """Let the stream of `epoch` begin anew at `start`, with this checkpoint: all or nothing.

        Its log, its outcomes and its pending events are gone; its snapshots stay. False when it is of another epoch.
        """

    async def read_checkpoint(self, stream: str, version: int) -> bytes | None:
        """The bytes written for that version, or None."""

    async def ping(self) -> None:
        """Return when the store answers."""

    async def usage(self) -> Usage | None:
        """The memory of the store; None when the store may not be asked."""

    async def warnings(self) -> list[str]:
        """A sentence, for the log, for each setting of the store that breaks a promise of the service.

        Empty when the store may not be asked.
        """

    async def close(self) -> None:
        """Close every connection."""
