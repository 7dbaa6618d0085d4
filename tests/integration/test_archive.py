"""A stream in a file and back: the same history, to the bit, and nothing but the whole of it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.archive import export, restore
from service.errors import Unavailable
from service.failure import Failure
from service.memory_store import MemoryStore
from service.store import Commit, CommitResult, Keep, Store
from tests.integration.learners import CONFIG, Process, event, oracle

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


@pytest.mark.parametrize("whole_log", [False, True], ids=["recent", "whole log"])
async def test_a_stream_goes_on_elsewhere_as_if_nothing_had_happened(
    store_keeping: Callable[[Keep], Store], tmp_path: Path, whole_log: bool
) -> None:
    store = store_keeping(Keep(whole_log=whole_log))
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
    with pytest.raises(Failure, match="another history"):
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
    store, other = MemoryStore(Keep(whole_log=True)), BreakingStore()
    outcomes = await grown(store)
    await export(store, "s", tmp_path / "file")
    with pytest.raises(Unavailable):
        await restore(other, tmp_path / "file", None, 10)
    head = await other.head("s")
    assert head is not None
    assert head.token.version < 130
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
        with pytest.raises(Failure, match=r"is no stream that was exported|is damaged or cut short"):
            await restore(other, tmp_path / "damaged", None, 10)
    assert await other.names() == []


async def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    store = MemoryStore()
    await grown(store, 50)
    with pytest.raises(Failure, match="there is no stream nothing"):
        await export(store, "nothing", tmp_path / "file")
    with pytest.raises(Failure, match="cannot write"):
        await export(store, "s", tmp_path / "none" / "file")
    with pytest.raises(Failure, match="cannot read"):
        await restore(store, tmp_path / "file", None, 10)
    await export(store, "s", tmp_path / "file")
    with pytest.raises(Failure, match="holds 1 streams"):
        await restore(store, tmp_path / "file", "other", 1)
    other = MemoryStore()
    process = Process(other)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 3)
    with pytest.raises(Failure, match="another history"):
        await restore(other, tmp_path / "file", None, 10)
    assert (await process.streams.status("s")).digest == oracle(3)
