"""A stream in a file and back: the same history, to the bit, and nothing but the whole of it."""

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nobacktrack.service.errors import CommandError, Unavailable
from nobacktrack.service.offline.archive import export, restore
from nobacktrack.service.offline.archive_file import CHECKPOINT, MAGIC, OUTCOME, PENDING, SEGMENT
from nobacktrack.service.schemas import Event, Label
from nobacktrack.service.store.base import AddPendingResult, Commit, CommitResult, Retention, Store
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG, Process, event, oracle, value

pytestmark = pytest.mark.anyio

FEW = {"checkpoint_every": 40, "max_batch": 10}


async def grown(store: Store, version: int = 130) -> list[bytes]:
    """A stream `s` with two checkpoints; its outcomes."""
    process = Process(store, **FEW)
    await process.streams.create("s", CONFIG)
    outcomes: list[bytes] = []
    for first in range(1, version, 10):
        outcomes += await process.learn(first, min(first + 9, version))
    await process.streams.close()
    return outcomes


def label(number: int) -> Label:
    """That of event number `number`."""
    return Label(label=f"e{number}", y={"y": value(number)})


async def left_waiting(store: Store, version: int = 130) -> list[tuple[str, bytes]]:
    """A stream `s` in which three events wait: the second came complete, the third has its label already."""
    await grown(store, version)
    process = Process(store)
    first = version + 1
    await process.streams.observe("s", [Event(id=f"e{first}"), event(first + 1), Event(id=f"e{first + 2}")])
    await process.streams.observe("s", [label(first + 2)])
    await process.streams.close()
    return await store.pending("s")


@pytest.mark.parametrize("whole_log", [False, True], ids=["recent", "whole log"])
async def test_a_stream_goes_on_elsewhere_as_if_nothing_had_happened(
    store_keeping: Callable[[Retention], Store], tmp_path: Path, whole_log: bool
) -> None:
    store = store_keeping(Retention(whole_log=whole_log))
    outcomes = await grown(store)
    written = await export(store, "s", tmp_path / "s.nbt")
    assert (written.version, written.outcomes) == (130, 130)
    assert (written.begins == 0) == whole_log
    other = MemoryStore()
    assert await restore(other, tmp_path / "s.nbt", None, 10) == written
    there = Process(other)
    assert (await there.streams.status("s")).digest == oracle(130)
    # An id that the original knew is answered byte for byte as there.
    assert await there.streams.observe("s", [event(7), event(130)]) == [outcomes[6], outcomes[129]]
    await there.learn(131, 140)
    assert (await there.streams.status("s")).digest == oracle(140)
    # Once more changes nothing; what has gone on is not overwritten.
    with pytest.raises(CommandError, match="another history"):
        await restore(other, tmp_path / "s.nbt", None, 10)
    assert (await there.streams.status("s")).version == 140


async def test_an_exported_copy_is_the_same_file(store: Store, tmp_path: Path) -> None:
    await grown(store)
    await export(store, "s", tmp_path / "one")
    other = MemoryStore()
    for _ in range(2):
        await restore(other, tmp_path / "one", None, 10)
    await export(other, "s", tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]  # noqa: PTH208 - nothing else waits for it


async def test_another_name_beside_the_original(store: Store, tmp_path: Path) -> None:
    await grown(store, 50)
    await export(store, "s", tmp_path / "file")
    assert (await restore(store, tmp_path / "file", "copy", 10)).stream == "copy"
    process = Process(store)
    await process.learn(51, 60)
    assert [(await process.streams.status(name)).digest for name in ("s", "copy")] == [oracle(60), oracle(50)]


@pytest.mark.parametrize("version", [0, 1, 40, 41])
async def test_streams_of_any_age(store: Store, tmp_path: Path, version: int) -> None:
    process = Process(store, **FEW)
    await process.streams.create("s", CONFIG)
    if version:
        await process.learn(1, version)
    await process.streams.close()
    await export(store, "s", tmp_path / "file")
    other = MemoryStore()
    await restore(other, tmp_path / "file", None, 10)
    assert (await Process(other).streams.status("s")).digest == oracle(version)


class BreakingStore(MemoryStore):
    """Takes a number of commits and then no more, until told."""

    left = 2

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        self.left -= 1
        if self.left < 0:
            raise Unavailable("broken off")
        return await super().commit(stream, commit)


async def test_an_import_that_was_broken_off_is_completed(tmp_path: Path) -> None:
    store, other = MemoryStore(Retention(whole_log=True)), BreakingStore()
    outcomes = await grown(store)
    await export(store, "s", tmp_path / "file")
    with pytest.raises(Unavailable):
        await restore(other, tmp_path / "file", None, 10)
    head = await other.head("s")
    assert head is not None
    assert head.position.version < 130
    other.left = 1000
    await restore(other, tmp_path / "file", None, 10)
    there = Process(other)
    assert (await there.streams.status("s")).digest == oracle(130)
    assert await there.streams.observe("s", [event(100)]) == [outcomes[99]]


async def test_a_damaged_file_makes_nothing(tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    await grown(store, 50)
    await export(store, "s", tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:length] for length in (0, 7, 8, 39, 40, *rng.integers(41, len(whole), 20))]
    for bit in rng.integers(0, len(whole) * 8, 200):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        damaged.append(bytes(flipped))
    for one in damaged:
        (tmp_path / "damaged").write_bytes(one)
        with pytest.raises(CommandError, match=r"is no stream that was exported|is damaged or cut short"):
            await restore(other, tmp_path / "damaged", None, 10)
    assert await other.names() == []


async def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    store = MemoryStore()
    await grown(store, 50)
    with pytest.raises(CommandError, match="there is no stream nothing"):
        await export(store, "nothing", tmp_path / "file")
    with pytest.raises(CommandError, match="cannot write"):
        await export(store, "s", tmp_path / "none" / "file")
    with pytest.raises(CommandError, match="cannot read"):
        await restore(store, tmp_path / "file", None, 10)
    await export(store, "s", tmp_path / "file")
    with pytest.raises(CommandError, match="holds 1 streams"):
        await restore(store, tmp_path / "file", "other", 1)
    other = MemoryStore()
    process = Process(other)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 3)
    with pytest.raises(CommandError, match="another history"):
        await restore(other, tmp_path / "file", None, 10)
    assert (await process.streams.status("s")).digest == oracle(3)


async def test_what_waits_goes_along(store: Store, tmp_path: Path) -> None:
    waiting = await left_waiting(store)
    written = await export(store, "s", tmp_path / "s.nbt")
    assert (written.version, written.outcomes, written.pending) == (130, 130, 3)
    other = MemoryStore()
    assert await restore(other, tmp_path / "s.nbt", None, 10) == written
    await restore(store, tmp_path / "s.nbt", "copy", 10)
    answers: list[Any] = []
    for where, name in ((store, "s"), (store, "copy"), (other, "s")):
        # In order, with the labels that have come, with the time at which each came: as it was, byte for byte.
        assert await where.pending(name) == waiting
        process = Process(where)
        status = await process.streams.status(name)
        assert (status.version, status.digest, status.pending) == (130, oracle(130), 3)
        forecast = await process.streams.forecast(name, 3)
        again = await process.streams.observe(name, [Event(id="e131"), event(132)])
        learnt = await process.streams.observe(name, [label(131), label(133), event(134)])
        status = await process.streams.status(name)
        assert (status.version, status.digest, status.pending) == (134, oracle(134), 0)
        answers.append((forecast, again, learnt))
        await process.streams.close()
    assert answers[0] == answers[1] == answers[2]


async def test_what_has_waited_too_long_has_so_elsewhere(tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    await left_waiting(store, 10)
    await export(store, "s", tmp_path / "file")
    await restore(other, tmp_path / "file", None, 10)
    digests = []
    for where in (store, other):
        process = Process(where, pending_ttl=1e-9)
        await process.streams.observe("s", [Event(id="later")])
        status = await process.streams.status("s")
        assert (status.version, status.pending) == (13, 1)
        digests.append(status.digest)
    assert digests[0] == digests[1] != oracle(13)


@pytest.mark.parametrize("version", [0, 50])
async def test_an_exported_copy_with_what_waits_is_the_same_file(tmp_path: Path, version: int) -> None:
    store, other = MemoryStore(), MemoryStore()
    await left_waiting(store, version)
    await export(store, "s", tmp_path / "one")
    for _ in range(2):
        await restore(other, tmp_path / "one", None, 10)
    await export(other, "s", tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


class LosingStore(MemoryStore):
    """Loses the next answer to `add_pending`, after it has done it or before."""

    loses: str | None = None

    async def add_pending(
        self, stream: str, epoch: str, entries: tuple[tuple[str, bytes], ...], limit: int
    ) -> AddPendingResult:
        """See `Store.add_pending`."""
        loses, self.loses = self.loses, None
        if loses == "before":
            raise Unavailable("broken off")
        result = await super().add_pending(stream, epoch, entries, limit)
        if loses == "after":
            raise Unavailable("broken off")
        return result


@pytest.mark.parametrize("loses", ["before", "after"])
async def test_an_import_that_was_broken_off_before_what_waits_is_completed(tmp_path: Path, loses: str) -> None:
    store, other = MemoryStore(), LosingStore()
    waiting = await left_waiting(store, 50)
    await export(store, "s", tmp_path / "file")
    other.loses = loses
    with pytest.raises(Unavailable):
        await restore(other, tmp_path / "file", None, 10)
    await restore(other, tmp_path / "file", None, 10)
    assert await other.pending("s") == waiting
    assert (await Process(other).streams.status("s")).digest == oracle(50)


async def test_labels_that_have_come_since_are_not_overwritten(tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    await grown(store, 50)
    await export(store, "s", tmp_path / "before")
    process = Process(store)
    await process.streams.observe("s", [Event(id="e51"), Event(id="e52")])
    await export(store, "s", tmp_path / "file")
    await restore(other, tmp_path / "file", None, 10)
    await Process(other).streams.observe("s", [label(52)])
    waiting = await other.pending("s")
    for file in ("file", "before"):  # other events wait than these say
        with pytest.raises(CommandError, match="another history"):
            await restore(other, tmp_path / file, None, 10)
        assert await other.pending("s") == waiting


class BusyStore(MemoryStore):
    """While what waits is being looked at, something happens."""

    happens: Callable[[], Awaitable[Any]] | None = None

    async def pending(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.pending`."""
        found = await super().pending(stream)
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return found


async def test_a_label_that_comes_during_an_export_is_in_it_once(tmp_path: Path) -> None:
    store, other = BusyStore(), MemoryStore()
    await left_waiting(store, 50)
    process = Process(store)
    await process.streams.observe("s", [Event(id="e54")])
    store.happens = lambda: process.streams.observe("s", [label(51)])
    summary = await export(store, "s", tmp_path / "file")
    assert (summary.version, summary.pending) == (53, 1)
    await restore(other, tmp_path / "file", None, 10)
    there = Process(other)
    await there.streams.observe("s", [label(54)])
    assert (await there.streams.status("s")).digest == oracle(54)


async def test_an_export_gives_up_where_labels_never_rest(tmp_path: Path) -> None:
    store = BusyStore()
    process = Process(store)
    await process.streams.create("s", CONFIG)
    await process.streams.observe("s", [Event(id=f"e{number}") for number in range(1, 41)])
    numbers = iter(range(1, 41))

    async def learn() -> None:
        await process.streams.observe("s", [label(next(numbers))])
        store.happens = learn

    store.happens = learn
    with pytest.raises(CommandError, match="a quieter time"):
        await export(store, "s", tmp_path / "file")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing else waits for it


async def test_the_format_is_the_oldest_that_will_do(tmp_path: Path) -> None:
    """A file without anything that waits can be read by versions that know only format 1, and is read here."""
    store, other = MemoryStore(), MemoryStore()
    await grown(store, 50)
    await export(store, "s", tmp_path / "one")
    await left_waiting(other, 50)
    await export(other, "s", tmp_path / "two")
    assert [_header(tmp_path / name)["format"] for name in ("one", "two")] == [1, 2]
    written = (tmp_path / "two").read_bytes()[:-32].replace(b'"format": 2', b'"format": 3')
    (tmp_path / "three").write_bytes(written + hashlib.sha256(written).digest())
    with pytest.raises(CommandError, match="has format 3; this version reads formats up to 2"):
        await restore(MemoryStore(), tmp_path / "three", None, 10)


def _records(path: Path) -> list[tuple[int, bytes]]:
    """The records of a file."""
    content, records = path.read_bytes()[len(MAGIC) : -32], []
    while content:
        size = int.from_bytes(content[1:9], "little")
        records.append((content[0], content[9 : 9 + size]))
        content = content[9 + size :]
    return records


def _hashed(path: Path, records: list[tuple[int, bytes]]) -> None:
    """Write a file of these records, with the right hash."""
    content = MAGIC + b"".join(bytes([kind]) + len(one).to_bytes(8, "little") + one for kind, one in records)
    path.write_bytes(content + hashlib.sha256(content).digest())


def _without(header: bytes, name: str) -> bytes:
    return json.dumps({key: value for key, value in json.loads(header).items() if key != name}).encode()


def _with(header: bytes, **values: object) -> bytes:
    return json.dumps(json.loads(header) | values).encode()


async def test_a_file_that_is_well_hashed_and_ill_formed_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    store, other = MemoryStore(), MemoryStore()
    await left_waiting(store)
    await export(store, "s", tmp_path / "file")
    (_, header), *rest = _records(tmp_path / "file")
    kinds = [kind for kind, _ in rest]
    outcome, pending, checkpoint, segment = (kinds.index(kind) for kind in (OUTCOME, PENDING, CHECKPOINT, SEGMENT))

    def changed(place: int, payload: bytes) -> list[tuple[int, bytes]]:
        return [(0, header), *rest[:place], (rest[place][0], payload), *rest[place + 1 :]]

    wrong = {
        "nothing": [],
        "no header": rest,
        "not JSON": [(0, b"{"), *rest],
        "a list": [(0, b"[]"), *rest],
        "two headers": [(0, header), (0, header), *rest],
        "an unknown kind": [(0, header), (9, b""), *rest],
        "a format that is text": [(0, _with(header, format="1")), *rest],
        "a version that is none": [(0, _with(header, version=-1)), *rest],
        "a name that is none": [(0, _with(header, stream="a/b")), *rest],
        "a config that is none": [(0, _with(header, config={"targets": []})), *rest],
        "other targets": [(0, _with(header, config={**json.loads(header)["config"], "targets": ["a", "b"]})), *rest],
        "an id cut short": changed(outcome, b"\xff\xff"),
        "an id that is no text": changed(outcome, b"\x01\x00\xff"),
        "an outcome without a version": changed(outcome, b"\x01\x00a" + bytes(16) + b"{}"),
        "a pending event that is not JSON": changed(pending, b"\x01\x00a"),
        "a pending event without an answer": changed(pending, b'\x01\x00a{"labelled":true,"since":1.0}'),
        "a checkpoint cut short": changed(checkpoint, b""),
        "a checkpoint of another version": changed(checkpoint, bytes(8) + rest[checkpoint][1][8:]),
        "a segment cut short": changed(segment, rest[segment][1][:-1]),
        "a segment of nothing": changed(segment, b""),
        "no first checkpoint": [(0, header), *(one for one in rest if one[0] != CHECKPOINT)],
        "a hole": [(0, header), *rest[:segment], *rest[segment + 1 :]],
        "an end that is missing": [(0, header), *rest[: max(i for i, kind in enumerate(kinds) if kind == SEGMENT)]],
        "outcomes after the log": [(0, header), *rest, rest[outcome]],
    }
    for name in json.loads(header):
        wrong[f"no {name}"] = [(0, _without(header, name)), *rest]
    for what, records in wrong.items():
        _hashed(tmp_path / "wrong", records)
        message = "nothing was refused"
        try:
            await restore(other, tmp_path / "wrong", None, 10)
        except CommandError as error:
            message = str(error)
        assert "is whole but not a stream that this program wrote: " in message, what
        assert "\n" not in message, what
        assert await other.names() == [], what
    content = MAGIC + b"\x00" + (2**63).to_bytes(8, "little")
    for one in (content, MAGIC + b"\x00\x01"):
        (tmp_path / "wrong").write_bytes(one + hashlib.sha256(one).digest())
        with pytest.raises(CommandError, match="a record is cut short"):
            await restore(other, tmp_path / "wrong", None, 10)
    _hashed(tmp_path / "right", [(0, header), *rest])
    assert (await restore(other, tmp_path / "right", None, 10)).version == 130


def _header(path: Path) -> dict[str, Any]:
    """The first record of a file."""
    content = path.read_bytes()[len(MAGIC) :]
    header: dict[str, Any] = json.loads(content[9 : 9 + int.from_bytes(content[1:9], "little")])
    return header
