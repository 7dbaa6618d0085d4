"""A stream as one file: its bytes, written and read.

    8 bytes magic | records | 32 bytes SHA-256 over everything before
    a record: u8 kind | u64 length of the payload | payload, little-endian

The header comes first, as JSON. Then come the outcomes, the oldest first, and the pending events, in order (format 2; a
file without pending events has format 1). Then come the checkpoints and the segments of the log, in the order of their
versions; the first of these is a checkpoint, unless the log is whole. The file holds no pickle: nothing in it is run
when it is read.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ... import model
from ..codec import segments as log
from ..codec.checkpoints import CHAIN, CHECK, chain_of
from ..codec.events import FINGERPRINT
from ..errors import CommandError
from ..store.base import LogPosition

MAGIC = b"NBTARC\r\n"
FORMATS = (1, 2)
"""The format of a file without pending events, and of one with some."""
HEADER, CHECKPOINT, SEGMENT, OUTCOME, PENDING = range(5)
_RECORD = struct.Struct("<BQ")
_VERSION = struct.Struct("<Q")
_ID = struct.Struct("<H")
_HASH = 32

Entries: TypeAlias = list[tuple[str, bytes]]
"""(id, record) of events, the oldest first."""
Version: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]


class Header(BaseModel):
    """The first record of a file."""

    model_config = ConfigDict(strict=True, frozen=True)

    format: int
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    version: Version
    """Events learnt."""
    epoch: Annotated[str, Field(min_length=1)]
    chain: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    config: dict[str, Any]
    fingerprint: str
    begins: Version
    """The version at which the log in the file begins."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A file that was checked: it holds a stream whose log leads from its first learner to the end in the header."""

    header: Header
    start: LogPosition
    """Where the log in the file begins."""
    checkpoint: bytes | None
    """The learner at `start`; None for a new one, at version 0."""
    outcomes: Entries
    pending: Entries


class IllFormedError(ValueError):
    """A record of the file is not what the format says."""


def write(
    file: BinaryIO, header: Header, outcomes: Entries, pending: Entries, segments: Iterable[bytes],
    checkpoints: dict[int, bytes],
) -> None:  # fmt: skip
    """Write a whole file. `checkpoints` are learners by version; those before the log's begin are left out."""
    digest = hashlib.sha256()

    def put(part: bytes) -> None:
        digest.update(part)
        file.write(part)

    def record(kind: int, *parts: bytes) -> None:
        put(_RECORD.pack(kind, sum(map(len, parts))))
        for part in parts:
            put(part)

    put(MAGIC)
    record(HEADER, json.dumps(header.model_dump()).encode())
    for kind, entries in ((OUTCOME, outcomes), (PENDING, pending)):
        for name, entry in entries:
            encoded = name.encode()
            record(kind, _ID.pack(len(encoded)), encoded, entry)
    ordered = [(log.bounds(segment)[1], SEGMENT, segment) for segment in segments]
    # A learner at the version where the log begins or later; after the segment that ends there.
    ordered += [(version, CHECKPOINT, blob) for version, blob in checkpoints.items() if version >= header.begins]
    for version, kind, payload in sorted(ordered, key=lambda one: (one[0], one[1] == CHECKPOINT)):
        record(kind, *([_VERSION.pack(version)] if kind == CHECKPOINT else []), payload)
    file.write(digest.digest())


def check(path: Path) -> Contents:
    """Read a whole file and check it. Raises CommandError, with one line, for a file that is not as it was written."""
    end = _check_hash(path)
    try:
        return _contents(path, end)
    except (IllFormedError, log.DamagedLog, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is whole but not a stream that this program wrote: {error}") from error


def history(path: Path, start: LogPosition) -> Iterator[tuple[LogPosition, bytes, bool]]:
    """The log of a checked file: (position afterwards, bytes, whether they are the checkpoint at that position)."""
    position = start
    for kind, payload in _records(path, path.stat().st_size - _HASH):
        if kind == SEGMENT:
            position = _after(position, payload, log.bounds(payload)[1])
            yield position, payload, False
        elif kind == CHECKPOINT:
            yield position, payload[_VERSION.size :], True


def _contents(path: Path, end: int) -> Contents:
    records = _records(path, end)
    header, config = _header(path, *next(records, (None, b"")))
    outcomes: Entries = []
    pending: Entries = []
    start: LogPosition | None = None
    checkpoint: bytes | None = None
    if header.begins == 0:
        start = LogPosition.first(header.epoch)
    position = start
    for kind, payload in records:
        if kind in (OUTCOME, PENDING) and checkpoint is None and position in (None, LogPosition.first(header.epoch)):
            (outcomes if kind == OUTCOME else pending).append(_entry(kind, payload))
        elif kind == CHECKPOINT:
            version, blob = _checkpoint(payload)
            if position is None:
                start = position = LogPosition(header.begins, header.epoch, chain_of(blob))
                checkpoint = blob
            if (version, chain_of(blob)) != (position.version, position.chain):
                raise IllFormedError(f"a checkpoint at version {version} does not belong to the log")
        elif kind == SEGMENT and position is not None:
            events = log.decode(payload)
            if events.first != position.version + 1 or events.last < events.first:
                raise IllFormedError(f"its log has a hole after version {position.version}")
            if (events.Y.shape[1], events.X.shape[1]) != (len(config.targets), len(config.inputs)):
                raise IllFormedError("its events have other targets or inputs than its configuration")
            position = _after(position, payload, events.last)
        else:
            raise IllFormedError(f"a record of kind {kind} stands where none may be")
    if start is None or position is None:
        raise IllFormedError("it has no learner at the version where its log begins")
    if (position.version, position.chain.hex()) != (header.version, header.chain):
        raise IllFormedError("its log does not lead to its own end")
    return Contents(header, start, checkpoint, outcomes, pending)


def _header(path: Path, kind: int | None, payload: bytes) -> tuple[Header, model.Config]:
    if kind != HEADER:
        raise IllFormedError("it does not begin with a header")
    try:
        values = json.loads(payload)
        if isinstance(values, dict) and isinstance(values.get("format"), int) and values["format"] not in FORMATS:
            raise CommandError(f"{path} has format {values['format']}; this version reads formats up to {FORMATS[-1]}")
        header = Header.model_validate(values)
        return header, model.stored_config(header.config)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise IllFormedError(f"header, {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except model.ConfigError as error:
        raise IllFormedError(f"header, config: {error}") from error
    except ValueError as error:
        raise IllFormedError("the header is not JSON") from error


def _entry(kind: int, payload: bytes) -> tuple[str, bytes]:
    """(id, record) of an event. Outcome and pending event are JSON, an outcome after the fingerprint of its event."""
    if len(payload) < _ID.size or len(payload) < _ID.size + _ID.unpack_from(payload)[0]:
        raise IllFormedError("an id is cut short")
    size = _ID.size + _ID.unpack_from(payload)[0]
    name, record = payload[_ID.size : size].decode(), payload[size:]
    needed: dict[str, type | tuple[type, ...]]
    needed = {"version": int} if kind == OUTCOME else {"labelled": bool, "since": (int, float), "answer": str}
    try:
        values = json.loads(record[FINGERPRINT if kind == OUTCOME else 0 :])
    except ValueError as error:
        raise IllFormedError("the record of an event is not JSON") from error
    if not isinstance(values, dict) or not all(isinstance(values.get(key), type_) for key, type_ in needed.items()):
        raise IllFormedError("the record of an event lacks something")
    return name, record


def _checkpoint(payload: bytes) -> tuple[int, bytes]:
    if len(payload) < _VERSION.size + CHAIN + CHECK:
        raise IllFormedError("a checkpoint is cut short")
    return _VERSION.unpack_from(payload)[0], payload[_VERSION.size :]


def _after(before: LogPosition, segment: bytes, last: int) -> LogPosition:
    """The position after one more segment, whose last event makes version `last`."""
    return LogPosition(last, before.epoch, log.link(before.chain, segment))


def _check_hash(path: Path) -> int:
    """Where the records end. Raises CommandError unless the file has every byte that was written."""
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


def _records(path: Path, end: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        while file.tell() < end:
            head = file.read(_RECORD.size) if end - file.tell() >= _RECORD.size else b""
            if not head or file.tell() + _RECORD.unpack(head)[1] > end:
                raise IllFormedError("a record is cut short")
            kind, size = _RECORD.unpack(head)
            yield kind, file.read(size)
