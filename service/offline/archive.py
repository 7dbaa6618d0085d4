"""A stream as one file, and back: configuration, learner at one or two versions, log, outcomes, and what waits.

    8 bytes magic | records | 32 bytes SHA-256 over all that precedes
    a record: u8 kind | u64 length of the payload | payload, little-endian

The first record is the header, JSON; then the outcomes, the oldest first; then the events that wait for their labels,
in order (format 2; a file without any has format 1); then the checkpoints and the segments of the log in the order of
their versions, of which the first is a checkpoint unless the log is whole. No pickle: nothing in the file is run when
it is read.

The stream that a file makes is the same history: same epoch, same chain, same bits. It takes the events and the labels
that come next as the original would have, and knows the ids that the original knew. An event that waits has waited
since it came to the original.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from ..codec import segments as log
from ..codec.checkpoints import chain_of
from ..codec.events import FINGERPRINT
from ..errors import CommandError
from ..store.base import Commit, Committed, Head, LogPosition, PendingAdded, Store

MAGIC = b"NBTARC\r\n"
FORMATS = (1, 2)
"""Without events that wait, and with some."""
HEADER, CHECKPOINT, SEGMENT, OUTCOME, WAITING = range(5)
_RECORD = struct.Struct("<BQ")
_VERSION = struct.Struct("<Q")
_ID = struct.Struct("<H")
_HASH = 32
ATTEMPTS = 5
"""How often a stream is read anew whose checkpoints change meanwhile;"""
PENDING_ATTEMPTS = 20
"""and how often what waits, where some of it is learnt meanwhile."""


Entries: TypeAlias = list[tuple[str, bytes]]
"""(id, record) of events, the oldest first."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written or read."""

    stream: str
    version: int
    """Events learnt."""
    begins: int
    """Version at which the log in the file begins."""
    outcomes: int
    """Ids that are known."""
    waiting: int
    """Events that wait for their labels."""


async def export(store: Store, stream: str, path: Path) -> Summary:
    """Write a stream to a file, which exists whole or not at all. The stream may go on learning meanwhile.

    Raises CommandError for a stream that is not there, and a file that cannot be written.
    """
    for _ in range(ATTEMPTS):
        head, waiting = await _told(store, stream)
        segments = [one for one in await store.segments(stream, 0) if log.bounds(one)[1] <= head.position.version]
        blobs = {version: await store.read_checkpoint(stream, version) for version in head.checkpoints}
        checkpoints = {version: blob for version, blob in blobs.items() if blob is not None}
        begins = log.bounds(segments[0])[0] - 1 if segments else head.position.version
        if begins in (0, *checkpoints):
            break
    else:
        raise CommandError(f"the log of {stream} reaches back to no checkpoint that can be read")
    # Read last, so that none is missing; those of later events are left out, as the file does not hold the events.
    outcomes = [
        (name, record)
        for name, record in await store.recorded(stream)
        if json.loads(record[FINGERPRINT:])["version"] <= head.position.version
    ]
    summary = Summary(stream, head.position.version, begins, len(outcomes), len(waiting))
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            _write(file, head, summary, segments, checkpoints, outcomes, waiting)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return summary


async def _told(store: Store, stream: str) -> tuple[Head, Entries]:
    """The head, and the events that waited while it was there.

    Where it is the same before and after what waits is read, none of it was learnt in between.
    """
    before = None
    for _ in range(PENDING_ATTEMPTS):
        waiting = await store.pending(stream)
        head = await store.head(stream)
        if head is None:
            raise CommandError(f"there is no stream {stream}")
        if not waiting or head.position == before:
            return head, waiting
        before = head.position
    raise CommandError(f"what waits in {stream} is learnt faster than it can be read; export it at a quieter time")


def _write(
    file: BinaryIO, head: Head, summary: Summary, segments: list[bytes], checkpoints: dict[int, bytes],
    outcomes: Entries, waiting: Entries,
) -> None:  # fmt: skip
    digest = hashlib.sha256()

    def put(part: bytes) -> None:
        digest.update(part)
        file.write(part)

    def record(kind: int, *parts: bytes) -> None:
        put(_RECORD.pack(kind, sum(map(len, parts))))
        for part in parts:
            put(part)

    put(MAGIC)
    values = {
        "format": FORMATS[bool(waiting)], "stream": summary.stream, "version": head.position.version,
        "epoch": head.position.epoch, "chain": head.position.chain.hex(), "config": json.loads(head.config),
        "fingerprint": head.fingerprint, "begins": summary.begins,
    }  # fmt: skip
    record(HEADER, json.dumps(values).encode())
    for kind, entries in ((OUTCOME, outcomes), (WAITING, waiting)):
        for name, entry in entries:
            encoded = name.encode()
            record(kind, _ID.pack(len(encoded)), encoded, entry)
    ordered = [(log.bounds(segment)[1], SEGMENT, segment) for segment in segments]
    # A learner at the version where the log begins or later; after the segment that ends there.
    ordered += [(version, CHECKPOINT, blob) for version, blob in checkpoints.items() if version >= summary.begins]
    for version, kind, payload in sorted(ordered, key=lambda one: (one[0], one[1] == CHECKPOINT)):
        record(kind, *([_VERSION.pack(version)] if kind == CHECKPOINT else []), payload)
    file.write(digest.digest())


async def restore(store: Store, path: Path, name: str | None, limit: int) -> Summary:
    """Make a stream from a file, under its own name or another; one that was begun and broken off is completed.

    Raises CommandError for a file that is not whole, and where a stream of that name has another history.
    """
    end = _check(path)
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        records = _records(file, end)
        header = json.loads(next(records)[1])
        if header["format"] not in FORMATS:
            raise CommandError(f"{path} has format {header['format']}; this version reads formats up to {FORMATS[-1]}")
        stream, epoch = name or header["stream"], header["epoch"]
        kind, payload = next(records, (None, b""))
        outcomes: Entries = []
        waiting: Entries = []
        while kind in (OUTCOME, WAITING):
            size = _ID.unpack_from(payload)[0]
            entry = (payload[_ID.size : _ID.size + size].decode(), payload[_ID.size + size :])
            (outcomes if kind == OUTCOME else waiting).append(entry)
            kind, payload = next(records, (None, b""))
        start, blob = LogPosition.first(epoch), None
        if header["begins"] > 0:
            blob = payload[_VERSION.size :]
            start = LogPosition(header["begins"], epoch, chain_of(blob))
        made = await store.create(stream, start, json.dumps(header["config"]), header["fingerprint"], limit, blob)
        if made is None:
            raise CommandError(f"the store holds {limit} streams; delete one first")
        there, position = made[0].position, start
        if there.epoch != epoch or there.version > header["version"]:
            raise _another(stream)
        if await store.pending(stream) not in ([], waiting):
            raise _another(stream)
        while kind is not None:
            if kind == CHECKPOINT:
                await store.write_checkpoint(stream, position, payload[_VERSION.size :])
            else:
                last = log.bounds(payload)[1] == header["version"]
                position = await _follow(store, stream, position, there, payload, tuple(outcomes) if last else ())
            kind, payload = next(records, (None, b""))
    if position.chain.hex() != header["chain"]:
        raise CommandError(f"the log in {path} does not lead to its own end")
    await _wait(store, stream, epoch, waiting)
    return Summary(stream, position.version, header["begins"], len(outcomes), len(waiting))


async def _follow(
    store: Store,
    stream: str,
    position: LogPosition,
    there: LogPosition,
    segment: bytes,
    outcomes: tuple[tuple[str, bytes], ...],
) -> LogPosition:
    """The position after one more segment, which the store has afterwards; it was at `there` in the beginning."""
    after = LogPosition(log.bounds(segment)[1], position.epoch, log.link(position.chain, segment))
    if after.version <= there.version:
        if after.version == there.version and after != there:
            raise _another(stream)
    elif not isinstance(await store.commit(stream, Commit(position, after, segment, outcomes)), Committed):
        raise _another(stream)
    return after


async def _wait(store: Store, stream: str, epoch: str, waiting: Entries) -> None:
    """Let the events wait, all at once and after all that was learnt, unless they do already.

    However many there are: the original took them.
    """
    if waiting and await store.pending(stream) != waiting:
        result = await store.add_pending(stream, epoch, tuple(waiting), len(waiting))
        if not isinstance(result, PendingAdded):
            raise _another(stream)


def _another(stream: str) -> CommandError:
    return CommandError(f"there is a stream {stream} with another history; import under another name with --as")


def _check(path: Path) -> int:
    """Where the records end. Raises CommandError unless the whole file is what was written."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(MAGIC)) != MAGIC or size < len(MAGIC) + _HASH:
                raise CommandError(f"{path} is no stream that was exported")
            file.seek(0)
            digest, left = hashlib.sha256(), size - _HASH
            while left > 0 and (part := file.read(min(left, 1 << 20))):
                digest.update(part)
                left -= len(part)
            if digest.digest() != file.read():
                raise CommandError(f"{path} is damaged or cut short; export the stream again")
            return size - _HASH
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error


def _records(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    while file.tell() < end:
        kind, size = _RECORD.unpack(file.read(_RECORD.size))
        yield kind, file.read(size)
