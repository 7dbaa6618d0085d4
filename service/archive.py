"""A stream as one file, and back: its configuration, its learner at one or two versions, its log and its outcomes.

    8 bytes magic | records | 32 bytes SHA-256 over all that precedes
    a record: u8 kind | u64 length of the payload | payload, little-endian

The first record is the header, JSON; then the outcomes, the oldest first; then the checkpoints and the segments of the
log in the order of their versions, of which the first is a checkpoint unless the log is whole. No pickle: nothing in
the file is run when it is read.

The stream that a file makes is the same history: same epoch, same chain, same bits. It takes the events that come next
as the original would have, and knows the ids that the original knew.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from service import log
from service.checkpoint import chain_of
from service.failure import Failure
from service.store import Commit, Committed, Head, Store, Token
from service.wire import FINGERPRINT

MAGIC = b"NBTARC\r\n"
FORMAT = 1
HEADER, CHECKPOINT, SEGMENT, OUTCOME = range(4)
_RECORD = struct.Struct("<BQ")
_VERSION = struct.Struct("<Q")
_ID = struct.Struct("<H")
_HASH = 32
ATTEMPTS = 5
"""How often a stream is read anew whose checkpoints change meanwhile."""


Outcomes: TypeAlias = tuple[tuple[str, bytes], ...]
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


async def export(store: Store, stream: str, path: Path) -> Summary:
    """Write a stream to a file, which exists whole or not at all. The stream may go on learning meanwhile.

    Raises Failure for a stream that is not there, and a file that cannot be written.
    """
    for _ in range(ATTEMPTS):
        head = await store.head(stream)
        if head is None:
            raise Failure(f"there is no stream {stream}")
        segments = [one for one in await store.segments(stream, 0) if log.bounds(one)[1] <= head.token.version]
        blobs = {version: await store.read_checkpoint(stream, version) for version in head.checkpoints}
        checkpoints = {version: blob for version, blob in blobs.items() if blob is not None}
        begins = log.bounds(segments[0])[0] - 1 if segments else head.token.version
        if begins in (0, *checkpoints):
            break
    else:
        raise Failure(f"the log of {stream} reaches back to no checkpoint that can be read")
    # Read last, so that none is missing; those of later events are left out, as the file does not hold the events.
    outcomes = [
        (name, record)
        for name, record in await store.recorded(stream)
        if json.loads(record[FINGERPRINT:])["version"] <= head.token.version
    ]
    summary = Summary(stream, head.token.version, begins, len(outcomes))
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            _write(file, head, summary, segments, checkpoints, outcomes)
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return summary


def _write(
    file: BinaryIO, head: Head, summary: Summary, segments: list[bytes], checkpoints: dict[int, bytes],
    outcomes: list[tuple[str, bytes]],
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
        "format": FORMAT, "stream": summary.stream, "version": head.token.version, "epoch": head.token.epoch,
        "chain": head.token.chain.hex(), "config": json.loads(head.config), "fingerprint": head.fingerprint,
        "begins": summary.begins,
    }  # fmt: skip
    record(HEADER, json.dumps(values).encode())
    for name, outcome in outcomes:
        encoded = name.encode()
        record(OUTCOME, _ID.pack(len(encoded)), encoded, outcome)
    ordered = [(log.bounds(segment)[1], SEGMENT, segment) for segment in segments]
    # A learner at the version where the log begins or later; after the segment that ends there.
    ordered += [(version, CHECKPOINT, blob) for version, blob in checkpoints.items() if version >= summary.begins]
    for version, kind, payload in sorted(ordered, key=lambda one: (one[0], one[1] == CHECKPOINT)):
        record(kind, *([_VERSION.pack(version)] if kind == CHECKPOINT else []), payload)
    file.write(digest.digest())


async def restore(store: Store, path: Path, name: str | None, limit: int) -> Summary:
    """Make a stream from a file, under its own name or another; one that was begun and broken off is completed.

    Raises Failure for a file that is not whole, and where a stream of that name has another history.
    """
    end = _check(path)
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        records = _records(file, end)
        header = json.loads(next(records)[1])
        if header["format"] != FORMAT:
            raise Failure(f"{path} has format {header['format']}; this version reads format {FORMAT}")
        stream, epoch = name or header["stream"], header["epoch"]
        kind, payload = next(records, (None, b""))
        outcomes: list[tuple[str, bytes]] = []
        while kind == OUTCOME:
            size = _ID.unpack_from(payload)[0]
            outcomes.append((payload[_ID.size : _ID.size + size].decode(), payload[_ID.size + size :]))
            kind, payload = next(records, (None, b""))
        start, blob = Token.first(epoch), None
        if header["begins"] > 0:
            blob = payload[_VERSION.size :]
            start = Token(header["begins"], epoch, chain_of(blob))
        made = await store.create(stream, start, json.dumps(header["config"]), header["fingerprint"], limit, blob)
        if made is None:
            raise Failure(f"the store holds {limit} streams; delete one first")
        there, token = made[0].token, start
        if there.epoch != epoch or there.version > header["version"]:
            raise _another(stream)
        while kind is not None:
            if kind == CHECKPOINT:
                await store.write_checkpoint(stream, token, payload[_VERSION.size :])
            else:
                last = log.bounds(payload)[1] == header["version"]
                token = await _follow(store, stream, token, there, payload, tuple(outcomes) if last else ())
            kind, payload = next(records, (None, b""))
    if token.chain.hex() != header["chain"]:
        raise Failure(f"the log in {path} does not lead to its own end")
    return Summary(stream, token.version, header["begins"], len(outcomes))


async def _follow(
    store: Store, stream: str, token: Token, there: Token, segment: bytes, outcomes: Outcomes
) -> Token:
    """The token after one more segment, which the store has afterwards; it was at `there` in the beginning."""
    after = Token(log.bounds(segment)[1], token.epoch, log.link(token.chain, segment))
    if after.version <= there.version:
        if after.version == there.version and after != there:
            raise _another(stream)
    elif not isinstance(await store.commit(stream, Commit(token, after, segment, outcomes)), Committed):
        raise _another(stream)
    return after


def _another(stream: str) -> Failure:
    return Failure(f"there is a stream {stream} with another history; import under another name with --as")


def _check(path: Path) -> int:
    """Where the records end. Raises Failure unless the whole file is what was written."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(MAGIC)) != MAGIC or size < len(MAGIC) + _HASH:
                raise Failure(f"{path} is no stream that was exported")
            file.seek(0)
            digest, left = hashlib.sha256(), size - _HASH
            while left > 0 and (part := file.read(min(left, 1 << 20))):
                digest.update(part)
                left -= len(part)
            if digest.digest() != file.read():
                raise Failure(f"{path} is damaged or cut short; export the stream again")
            return size - _HASH
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error


def _records(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    while file.tell() < end:
        kind, size = _RECORD.unpack(file.read(_RECORD.size))
        yield kind, file.read(size)
