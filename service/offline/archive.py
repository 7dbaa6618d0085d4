"""A stream to a file (`archive_file`) and back: configuration, learners, log, outcomes and pending events.

The stream that a file makes is the same history: same epoch, same chain, same bits. It takes the next events and labels
as the original would have, and knows the ids that the original knew. A pending event counts as pending since it came to
the original.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ..codec import segments as log
from ..codec.events import FINGERPRINT
from ..errors import CommandError
from ..files import replacing
from ..store.base import Commit, Committed, Head, LogPosition, PendingAdded, Store
from . import archive_file
from .archive_file import Entries, Header

ATTEMPTS = 5
"""How often a stream is read again when its checkpoints change meanwhile."""
PENDING_ATTEMPTS = 20
"""How often the pending events are read again when some of them are learnt meanwhile."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written or read."""

    stream: str
    version: int
    """Events learnt."""
    begins: int
    """Version at which the log in the file begins."""
    outcomes: int
    """Number of outcomes."""
    pending: int
    """Number of pending events."""


async def export(store: Store, stream: str, path: Path) -> Summary:
    """Write a stream to a file, which exists whole or not at all. The stream may go on learning meanwhile.

    Raises CommandError for a stream that does not exist, and for a file that cannot be written.
    """
    for _ in range(ATTEMPTS):
        head, pending = await _head_and_pending(store, stream)
        segments = [one for one in await store.segments(stream, 0) if log.bounds(one)[1] <= head.position.version]
        blobs = {version: await store.read_checkpoint(stream, version) for version in head.checkpoints}
        checkpoints = {version: blob for version, blob in blobs.items() if blob is not None}
        begins = log.bounds(segments[0])[0] - 1 if segments else head.position.version
        if begins in (0, *checkpoints):
            break
    else:
        raise CommandError(f"the log of {stream} reaches back to no checkpoint that can be read")
    # Outcomes are read last, so that none is missing. Those of events that the file does not hold are left out.
    outcomes = [
        (name, record)
        for name, record in await store.recorded(stream)
        if json.loads(record[FINGERPRINT:])["version"] <= head.position.version
    ]
    header = Header(
        format=archive_file.FORMATS[bool(pending)], stream=stream, version=head.position.version,
        epoch=head.position.epoch, chain=head.position.chain.hex(), config=json.loads(head.config),
        fingerprint=head.fingerprint, begins=begins,
    )  # fmt: skip
    try:
        with replacing(path) as file:
            archive_file.write(file, header, outcomes, pending, segments, checkpoints)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error
    return Summary(stream, header.version, begins, len(outcomes), len(pending))


async def _head_and_pending(store: Store, stream: str) -> tuple[Head, Entries]:
    """The head, and the events that were pending at that head.

    When the head is the same before and after the pending events are read, none of them was learnt in between.
    """
    before = None
    for _ in range(PENDING_ATTEMPTS):
        pending = await store.pending(stream)
        head = await store.head(stream)
        if head is None:
            raise CommandError(f"there is no stream {stream}")
        if not pending or head.position == before:
            return head, pending
        before = head.position
    raise CommandError(
        f"the pending events of {stream} are learnt faster than they can be read; export it at a quieter time"
    )


async def restore(store: Store, path: Path, name: str | None, limit: int) -> Summary:
    """Make a stream from a file, under its own name or another. An import that was broken off is completed.

    Raises CommandError for a file that is damaged or ill-formed, which changes nothing, and when the store has a stream
    of that name with another history.
    """
    contents = archive_file.check(path)
    header, start = contents.header, contents.start
    stream, epoch = name or header.stream, header.epoch
    made = await store.create(stream, start, json.dumps(header.config), header.fingerprint, limit, contents.checkpoint)
    if made is None:
        raise CommandError(f"the store holds {limit} streams; delete one first")
    there = made[0].position
    if there.epoch != epoch or there.version > header.version:
        raise _another(stream)
    if await store.pending(stream) not in ([], contents.pending):
        raise _another(stream)
    before = start
    for position, payload, is_checkpoint in archive_file.history(path, start):
        if is_checkpoint:
            await store.write_checkpoint(stream, position, payload)
            continue
        outcomes = tuple(contents.outcomes) if position.version == header.version else ()
        await _follow(store, stream, there, Commit(before, position, payload, outcomes))
        before = position
    await _add_pending(store, stream, epoch, contents.pending)
    return Summary(stream, header.version, header.begins, len(contents.outcomes), len(contents.pending))


async def _follow(store: Store, stream: str, there: LogPosition, commit: Commit) -> None:
    """Commit one more segment, unless the store was past it (`there`) in the beginning."""
    if commit.after.version <= there.version:
        if commit.after.version == there.version and commit.after != there:
            raise _another(stream)
    elif not isinstance(await store.commit(stream, commit), Committed):
        raise _another(stream)


async def _add_pending(store: Store, stream: str, epoch: str, pending: Entries) -> None:
    """Add the pending events, all at once and after the log, unless the store has them already.

    No limit holds here: the original took as many.
    """
    if pending and await store.pending(stream) != pending:
        result = await store.add_pending(stream, epoch, tuple(pending), len(pending))
        if not isinstance(result, PendingAdded):
            raise _another(stream)


def _another(stream: str) -> CommandError:
    return CommandError(f"there is a stream {stream} with another history; import under another name with --as")
