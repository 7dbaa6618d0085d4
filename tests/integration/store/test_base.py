"""What every store promises, asked of each of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from nobacktrack.service.codec import segments as log
from nobacktrack.service.store.base import (
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
    Store,
    Taken,
)
from tests.integration.commits import created, following, grown, record

pytestmark = pytest.mark.anyio


async def test_a_new_stream_is_at_version_zero(store: Store) -> None:
    head = Head(LogPosition.first("e1"), '{"targets": ["ü"]}', "print", ())
    assert await store.head("s") is None
    assert await store.create("s", LogPosition.first("e1"), head.config, head.fingerprint, 1) == (head, True)
    assert await store.head("s") == head


async def test_a_stream_is_made_once(store: Store) -> None:
    first = await store.create("s", LogPosition.first("e1"), "{}", "print", 10)
    assert first is not None
    assert await store.create("s", LogPosition.first("e2"), '{"other": 1}', "other", 10) == (first[0], False)
    assert await store.head("s") == first[0]


async def test_no_more_streams_than_the_limit(store: Store) -> None:
    await created(store, "a")
    await created(store, "b")
    assert await store.create("c", LogPosition.first("e"), "{}", "print", 2) is None
    assert await store.head("c") is None
    assert await store.create("b", LogPosition.first("e"), "{}", "print", 2) is not None
    assert await store.delete("a")
    assert await store.create("c", LogPosition.first("e"), "{}", "print", 2) is not None


async def test_names_are_sorted(store: Store) -> None:
    assert await store.names() == []
    for name in ("b", "C", "a-1", "a_1"):
        await created(store, name)
    assert await store.names() == ["C", "a-1", "a_1", "b"]


async def test_delete_removes_everything(store: Store) -> None:
    position = await created(store)
    commit = following(position, ids=("a",))
    await store.commit("s", commit)
    await store.write_checkpoint("s", commit.after, b"state")
    assert await store.delete("s")
    assert not await store.delete("s")
    assert (await store.head("s"), await store.names(), await store.outcomes("s", ["a"])) == (None, [], [None])
    assert (await store.segments("s", 0), await store.read_checkpoint("s", 1)) == ([], None)
    assert await store.commit("s", following(position)) == Conflict()


async def test_a_stream_made_anew_has_nothing_of_the_old_one(store: Store) -> None:
    old = await grown(store, await created(store), 3)
    await store.write_checkpoint("s", old, b"old")
    await store.delete("s")
    new = await created(store, epoch="another")
    assert await store.commit("s", following(old)) == Conflict()
    assert not await store.write_checkpoint("s", old, b"old")
    assert await store.read_checkpoint("s", old.version) is None
    await grown(store, new)
    assert len(await store.segments("s", 0)) == 1


async def test_a_commit_moves_the_head_and_keeps_the_segment_and_the_outcomes(store: Store) -> None:
    position = await created(store)
    first = following(position, 2, ids=("a", "b"))
    second = following(first.after, 3, ids=("c",))
    assert await store.commit("s", first) == Committed()
    assert await store.commit("s", second) == Committed()
    head = await store.head("s")
    assert head == Head(second.after, "{}", "print", ())
    assert await store.segments("s", 0) == [first.segment, second.segment]
    assert await store.outcomes("s", ["c", "x", "a", "b"]) == [record("c"), None, record("a"), record("b")]


async def test_outcomes_of_nothing(store: Store) -> None:
    await created(store)
    assert await store.outcomes("s", []) == []
    assert await store.outcomes("s", ["a"]) == [None]


async def test_streams_do_not_touch_each_other(store: Store) -> None:
    commit = following(await created(store, "s"), ids=("a",))
    other = following(await created(store, "t"), ids=("a",), value=1.0)
    assert await store.commit("s", commit) == Committed()
    assert await store.outcomes("t", ["a"]) == [None]
    assert await store.commit("t", other) == Committed()
    await store.delete("t")
    assert await store.segments("s", 0) == [commit.segment]


@pytest.mark.parametrize(
    "wrong",
    [{"version": 1}, {"version": 3}, {"epoch": "another"}, {"chain": bytes(32)}],
    ids=["version behind", "version ahead", "epoch", "chain"],
)
async def test_a_commit_from_another_history_conflicts(store: Store, wrong: dict[str, object]) -> None:
    position = await grown(store, await created(store), 2)
    commit = following(replace(position, **wrong), ids=("a",))  # type: ignore[arg-type]
    before = (await store.head("s"), await store.segments("s", 0))
    assert await store.commit("s", commit) == Conflict()
    assert (await store.head("s"), await store.segments("s", 0)) == before
    assert await store.outcomes("s", ["a"]) == [None]


async def test_a_commit_to_no_stream_conflicts(store: Store) -> None:
    assert await store.commit("s", following(LogPosition.first("epoch"))) == Conflict()
    assert await store.head("s") is None


async def test_a_repeated_commit_is_a_duplicate_not_a_conflict(store: Store) -> None:
    commit = following(await created(store), 2, ids=("a", "b"))
    assert await store.commit("s", commit) == Committed()
    assert await store.commit("s", commit) == Duplicate()


async def test_one_known_id_is_enough_for_a_duplicate(store: Store) -> None:
    first = following(await created(store), ids=("a",))
    await store.commit("s", first)
    assert await store.commit("s", following(first.after, 3, ids=("b", "c", "a"), value=9.0)) == Duplicate()
    head = await store.head("s")
    assert head is not None
    assert head.position == first.after
    assert await store.outcomes("s", ["a", "b", "c"]) == [record("a"), None, None]


@pytest.mark.parametrize("count", [1024, 2500])
async def test_many_ids_in_one_commit(store: Store, count: int) -> None:
    ids = tuple(f"id-{i}" for i in range(count))
    commit = following(await created(store), count, ids)
    assert await store.commit("s", commit) == Committed()
    assert await store.outcomes("s", list(ids)) == [record(name) for name in ids]
    # The one that is known is the last of all.
    others = tuple(f"other-{i}" for i in range(count - 1))
    assert await store.commit("s", following(commit.after, count, (*others, ids[-1]))) == Duplicate()


async def test_the_newest_outcomes_are_kept(store_keeping: Callable[[Retention], Store]) -> None:
    store = store_keeping(Retention(outcomes=3))
    first = following(await created(store), 2, ids=("b", "a"))
    await store.commit("s", first)
    second = following(first.after, 2, ids=("d", "c"))
    await store.commit("s", second)
    assert await store.outcomes("s", ["b", "a", "d", "c"]) == [None, record("a"), record("d"), record("c")]
    # An id that is forgotten is an id like any other.
    third = following(second.after, 1, ids=("b",))
    assert await store.commit("s", third) == Committed()
    assert await store.outcomes("s", ["b", "a", "d", "c"]) == [record("b"), None, record("d"), record("c")]
    many = tuple(f"id-{i}" for i in range(1500))
    assert await store.commit("s", following(third.after, 1500, many)) == Committed()
    assert await store.outcomes("s", ["b", "d", "c", *many]) == [None] * 1500 + [record(name) for name in many[-3:]]


async def test_outcomes_are_kept_for_a_time(store_keeping: Callable[[Retention], Store]) -> None:
    """With no time at all each is forgotten with the commit that brought it; the other tests keep them for a day."""
    store = store_keeping(Retention(seconds=0))
    first = following(await created(store), 2, ids=("a", "b"))
    assert await store.commit("s", first) == Committed()
    assert await store.outcomes("s", ["a", "b"]) == [None, None]
    assert await store.commit("s", following(first.after, 1, ids=("a",))) == Committed()


async def test_the_whole_log_can_be_kept(store_keeping: Callable[[Retention], Store]) -> None:
    store = store_keeping(Retention(whole_log=True))
    position = await created(store)
    for _ in range(3):
        position = await grown(store, position, 2)
        assert await store.write_checkpoint("s", position, b"state")
    assert [log.bounds(segment)[0] for segment in await store.segments("s", 0)] == [1, 2, 3, 4, 5, 6]
    head = await store.head("s")
    assert head is not None
    assert head.checkpoints == (6, 4)


async def test_what_is_committed_is_confirmed_where_nothing_is_waited_for(store: Store) -> None:
    await grown(store, await created(store))
    await store.confirm("s")
    await store.confirm("nothing")


async def test_deferred_events_wait_in_order(store: Store) -> None:
    position = await created(store)
    assert await store.pending("s") == []
    assert await store.add_pending("s", position.epoch, (("b", b"\x00one"), ("a", b"two")), 3) == PendingAdded()
    assert await store.add_pending("s", position.epoch, (("c", b"three"), ("d", b"four")), 3) == Full()
    assert await store.add_pending("s", position.epoch, (("c", b"three"),), 3) == PendingAdded()
    for known in ("a", "b"):
        assert await store.add_pending("s", position.epoch, (("e", b""), (known, b"")), 10) == Duplicate()
    assert await store.add_pending("s", "another", (("e", b""),), 10) == Conflict()
    assert await store.add_pending("nothing", position.epoch, (("e", b""),), 10) == Conflict()
    assert await store.pending("s") == [("b", b"\x00one"), ("a", b"two"), ("c", b"three")]
    head = await store.head("s")
    assert head is not None
    assert head.position == position


async def test_a_label_replaces_the_record_that_was_read(store: Store) -> None:
    position = await created(store)
    await store.add_pending("s", position.epoch, (("a", b"one"), ("b", b"two")), 3)
    assert await store.label("s", "b", b"two", b"two and a label")
    assert not await store.label("s", "b", b"two", b"another label")
    assert not await store.label("s", "x", b"", b"a label")
    assert not await store.label("nothing", "a", b"one", b"a label")
    assert await store.pending("s") == [("a", b"one"), ("b", b"two and a label")]


async def test_nothing_is_learnt_before_what_was_deferred_earlier(store: Store) -> None:
    position = await created(store)
    await store.add_pending("s", position.epoch, (("a", b"one"), ("b", b"two"), ("c", b"three")), 3)
    late = following(position, 1, ids=("z",))
    assert await store.commit("s", late) == PendingFirst()
    for wrong in (("b",), ("a", "c"), ("a", "b", "c", "d")):
        assert (
            await store.commit("s", replace(following(position, len(wrong), ids=wrong), pending=wrong))
            == PendingFirst()
        )
    first = replace(following(position, 2, ids=("a", "b")), pending=("a", "b"))
    stale = replace(first, before=replace(position, version=5))
    assert await store.commit("s", stale) == Conflict()
    assert len(await store.pending("s")) == 3
    assert await store.commit("s", first) == Committed()
    assert await store.pending("s") == [("c", b"three")]
    assert await store.commit("s", first) == Duplicate()
    assert await store.outcomes("s", ["a", "b", "c"]) == [record("a"), record("b"), None]
    # The last of them, and what came after it, in one commit.
    rest = replace(following(first.after, 2, ids=("c", "z")), pending=("c",))
    assert await store.commit("s", rest) == Committed()
    assert await store.pending("s") == []
    assert await store.commit("s", following(rest.after)) == Committed()
    await store.add_pending("s", position.epoch, (("y", b""),), 3)
    await store.delete("s")
    await created(store)
    assert await store.pending("s") == []


async def test_segments_after_a_version_include_the_one_it_is_inside_of(store: Store) -> None:
    position = await created(store)
    commits = []
    for count in (2, 3, 1):
        commits.append(following(position, count))
        await store.commit("s", commits[-1])
        position = commits[-1].after
    segments = [commit.segment for commit in commits]  # versions 1-2, 3-5, 6
    expected = {0: segments, 1: segments, 2: segments[1:], 4: segments[1:], 5: segments[2:], 6: [], 99: []}
    assert {after: await store.segments("s", after) for after in expected} == expected


async def test_a_long_log_comes_whole_and_in_order(store: Store) -> None:
    await grown(store, await created(store), 1001)
    bounds = [log.bounds(segment) for segment in await store.segments("s", 0)]
    assert bounds == [(version, version) for version in range(1, 1002)]


async def test_a_checkpoint_can_be_read_back(store: Store) -> None:
    position = await grown(store, await created(store), 2)
    assert await store.read_checkpoint("s", 2) is None
    assert await store.write_checkpoint("s", position, b"\x00state\xff")
    head = await store.head("s")
    assert head is not None
    assert head.checkpoints == (2,)
    assert await store.read_checkpoint("s", 2) == b"\x00state\xff"
    assert await store.read_checkpoint("s", 1) is None


async def test_two_checkpoints_are_kept_and_the_log_reaches_back_to_the_older(store: Store) -> None:
    positions = [await grown(store, await created(store), 3)]
    assert await store.write_checkpoint("s", positions[0], b"at 3")
    assert len(await store.segments("s", 0)) == 3  # one alone may be damaged: then everything is needed
    positions.append(await grown(store, positions[0], 2))
    assert await store.write_checkpoint("s", positions[1], b"at 5")
    assert [log.bounds(segment) for segment in await store.segments("s", 0)] == [(4, 4), (5, 5)]
    positions.append(await grown(store, positions[1], 1, count=4))
    assert await store.write_checkpoint("s", positions[2], b"at 9")
    head = await store.head("s")
    assert head is not None
    assert head.checkpoints == (9, 5)
    assert [await store.read_checkpoint("s", version) for version in (9, 5, 3)] == [b"at 9", b"at 5", None]
    assert [log.bounds(segment) for segment in await store.segments("s", 0)] == [(6, 9)]
    await grown(store, positions[2])


async def test_an_older_checkpoint_may_come_late_but_not_after_a_newer_one(store: Store) -> None:
    older = await grown(store, await created(store), 2)
    newer = await grown(store, older, 2)
    assert await store.write_checkpoint("s", older, b"older")
    assert await store.write_checkpoint("s", newer, b"newer")
    assert not await store.write_checkpoint("s", newer, b"again")
    assert not await store.write_checkpoint("s", older, b"again")
    assert [await store.read_checkpoint("s", version) for version in (4, 2)] == [b"newer", b"older"]


async def test_a_checkpoint_of_another_history_is_refused(store: Store) -> None:
    start = await created(store)
    position = await grown(store, start, 3)
    lost = following(replace(position, version=2), value=7.0).after  # version 3 too, by other events
    ahead = replace(position, version=4)
    for wrong in (start, lost, ahead, replace(position, epoch="another"), replace(position, chain=bytes(32))):
        assert not await store.write_checkpoint("s", wrong, b"wrong")
        assert await store.read_checkpoint("s", wrong.version) is None
    assert not await store.write_checkpoint("nothing", position, b"wrong")
    assert await store.head("nothing") is None
    assert await store.write_checkpoint("s", position, b"right")


async def test_snapshots_are_kept_by_name(store: Store) -> None:
    position = await grown(store, await created(store), 2)
    one, two = Snapshot("one", 2, 1.5), Snapshot("two", 1, 2.5)
    assert await store.snapshot("s", position.epoch, two, b"\x00two", 2) == Kept()
    assert await store.snapshot("s", position.epoch, one, bytes(300_000), 2) == Kept()
    assert await store.snapshot("s", position.epoch, replace(one, version=9), b"", 3) == Taken()
    assert await store.snapshot("s", position.epoch, replace(one, name="three"), b"", 2) == Full()
    assert await store.snapshot("s", "another", replace(one, name="three"), b"", 9) == Conflict()
    assert await store.snapshots("s") == [one, two]
    assert await store.read_snapshot("s", "one") == bytes(300_000)
    assert await store.read_snapshot("s", "none") is None
    assert await store.drop_snapshot("s", "two")
    assert not await store.drop_snapshot("s", "two")
    assert await store.snapshots("s") == [one]
    await store.delete("s")
    await created(store)
    assert await store.snapshots("s") == []


async def test_a_stream_may_begin_anew_with_another_learner(store: Store) -> None:
    old = await grown(store, await created(store), 5)
    await store.write_checkpoint("s", old, b"old")
    last = following(old, 1, ids=("a",))
    await store.commit("s", last)
    await store.add_pending("s", old.epoch, (("b", b"waits"),), 9)
    await store.snapshot("s", old.epoch, Snapshot("kept", 5, 1.0), b"kept", 9)
    start = replace(old, version=3, epoch="new", chain=bytes(32))
    assert not await store.replace("s", "another", start, "{}", "print", b"")
    assert await store.replace("s", old.epoch, start, '{"a": 1}', "other", b"learner")
    assert await store.head("s") == Head(start, '{"a": 1}', "other", (3,))
    assert await store.read_checkpoint("s", 3) == b"learner"
    assert (await store.segments("s", 0), await store.pending("s"), await store.recorded("s")) == ([], [], [])
    assert await store.commit("s", following(last.after)) == Conflict()
    assert await store.read_snapshot("s", "kept") == b"kept"
    position = await grown(store, start, 2)
    assert await store.write_checkpoint("s", position, b"newer")
    assert not await store.replace("s", old.epoch, start, "{}", "print", b"")


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])
async def test_checkpoints_of_any_size(store: Store, size: int) -> None:
    position = await grown(store, await created(store))
    blob = bytes(i * i % 251 for i in range(1000)) * (size // 1000 + 1)
    assert await store.write_checkpoint("s", position, blob[:size])
    assert await store.read_checkpoint("s", 1) == blob[:size]


async def test_it_answers(store: Store) -> None:
    await store.ping()
