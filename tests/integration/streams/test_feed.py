"""Watching a stream: what happens is shown, once, in order, on whichever replica, and again to who comes back."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from nobacktrack import model
from nobacktrack.service.errors import LimitReached, Unavailable, UnknownStream
from nobacktrack.service.schemas import Event, Outcome, Seen
from nobacktrack.service.store.base import Store
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams import catch_up
from nobacktrack.service.streams.catch_up import Shown
from nobacktrack.service.streams.feed import RING
from tests.integration.replicas import CONFIG, Process, oracle, value

pytestmark = pytest.mark.anyio

IDLE = 5.0


async def take(shown: AsyncIterator[Shown | None], count: int) -> list[Shown]:
    """The next so many, of which none is a pause."""
    found: list[Shown] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            one = await anext(shown)
            assert one is not None
            found.append(one)
    return found


async def watch(process: Process, after: int | None = None, stream: str = "s") -> AsyncIterator[Shown | None]:
    """A watcher that has begun: its feed is open."""
    return await process.streams.live.watch(stream, after, IDLE)


def without_id(outcome: bytes) -> Outcome:
    """What is the same on every replica, whether or not it is shown with its event."""
    return Outcome.model_validate_json(outcome, extra="ignore").model_copy(update={"id": None})


def seen_with(outcome: bytes, number: int) -> bytes:
    """The outcome of event number `number` as watchers are shown it."""
    return outcome[:-1] + b',"time":null,"y":{"y":%.1f}}' % value(number)


@pytest.fixture(params=["memory", "redis"])
def store_of(request: pytest.FixtureRequest, redis_store: RedisStore) -> Callable[[], Store]:
    """A new store in memory, or the one on the real server."""
    return MemoryStore if request.param == "memory" else lambda: redis_store


async def test_a_watcher_sees_what_is_learnt_here_byte_for_byte(store_of: Callable[[], Store]) -> None:
    process = Process(store_of())
    await process.streams.create("s", CONFIG)
    await process.learn(1, 5)
    shown = await watch(process, after=5)
    first = asyncio.ensure_future(anext(shown))
    await asyncio.sleep(0)
    learnt = await process.learn(6, 30)
    begun = await first
    assert begun is not None
    expected = [Shown(number, seen_with(one, number)) for number, one in enumerate(learnt, 6)]
    assert [begun, *await take(shown, 24)] == expected
    await shown.aclose()  # type: ignore[attr-defined]
    await process.streams.close()


async def test_a_watcher_on_another_replica_sees_the_same(store_of: Callable[[], Store]) -> None:
    store = store_of()
    writer, reader = Process(store), Process(store)
    await writer.streams.create("s", CONFIG)
    learnt = await writer.learn(1, 3)
    shown = await watch(reader, after=0)
    assert [one.version for one in await take(shown, 3)] == [1, 2, 3]
    learnt += await writer.learn(4, 40)
    seen = await take(shown, 37)
    assert [one.version for one in seen] == list(range(4, 41))
    assert [without_id(one.outcome or b"") for one in seen] == [without_id(one) for one in learnt[3:]]
    # In turns, from both.
    learnt += await reader.learn(41, 45)
    learnt += await writer.learn(46, 50)
    seen = await take(shown, 10)
    assert [without_id(one.outcome or b"") for one in seen] == [without_id(one) for one in learnt[40:]]
    await shown.aclose()  # type: ignore[attr-defined]
    assert (await reader.streams.status("s")).digest == oracle(50)


@pytest.mark.parametrize(
    ("config", "events", "said"),
    [
        (
            {"targets": ["a", "b: c/d"], "units": 2},
            [
                Event(time=datetime(2026, 1, 1, tzinfo=UTC), y={"a": 1.5, "b: c/d": None}),
                Event(time=datetime(1969, 12, 31, 23, 59, 59, 250_001, tzinfo=UTC), y={"a": None, "b: c/d": -2}),
                Event(y={"a": 0, "b: c/d": 1e-9}),
            ],
            [
                ("2026-01-01T00:00:00Z", {"a": 1.5, "b: c/d": None}),
                ("1969-12-31T23:59:59.250001Z", {"a": None, "b: c/d": -2.0}),
                (None, {"a": 0.0, "b: c/d": 1e-9}),
            ],
        ),
        (
            {"targets": ["door"], "alphabet": ["open", "shut"], "units": 2},
            [Event(y={"door": "shut"}), Event(y={"door": None}), Event(y={"door": "open"})],
            [(None, {"door": "shut"}), (None, {"door": None}), (None, {"door": "open"})],
        ),
    ],
)
async def test_a_watcher_sees_what_the_event_was_on_every_replica(
    config: dict[str, Any], events: list[Event], said: list[tuple[str | None, dict[str, Any]]]
) -> None:
    store = MemoryStore()
    writer, reader = Process(store), Process(store)
    await writer.streams.create("s", config)
    here = await watch(writer, after=0)
    first = asyncio.ensure_future(anext(here))
    await asyncio.sleep(0)
    answers = await writer.streams.observe("s", events)
    begun = await first
    assert begun is not None
    there = await watch(reader, after=0)
    for shown in ([begun, *await take(here, 2)], await take(there, 3)):
        for one, answer, (time, y) in zip(shown, answers, said, strict=True):
            assert isinstance(answer, bytes)
            assert json.loads(one.outcome or b"") == json.loads(answer) | {"time": time, "y": y}
            assert Seen.model_validate_json(one.outcome or b"").y == y
    for watcher in (here, there):
        await watcher.aclose()  # type: ignore[attr-defined]


async def test_who_comes_back_is_shown_what_was_missed(store_of: Callable[[], Store]) -> None:
    process = Process(store_of(), checkpoint_every=20, max_batch=10)
    await process.streams.create("s", CONFIG)
    learnt: list[bytes] = []
    for first in range(1, 60, 10):
        learnt += await process.learn(first, first + 9)
    await process.streams.close()
    again = Process(process.streams._store)
    head = await again.streams._store.head("s")
    assert head is not None
    older = head.checkpoints[-1]
    for after in (older, older + 1, 59):
        shown = await watch(again, after=after)
        seen = await take(shown, 60 - after)
        assert [one.version for one in seen] == list(range(after + 1, 61))
        assert [without_id(one.outcome or b"") for one in seen] == [without_id(one) for one in learnt[after:]]
        await shown.aclose()  # type: ignore[attr-defined]
    # The log does not reach back behind the older checkpoint: the gap is told, and it goes on from there.
    shown = await watch(again, after=1)
    gap, *seen = await take(shown, 1 + 60 - older)
    assert gap == Shown(older, None)
    assert [one.version for one in seen] == list(range(older + 1, 61))
    assert [without_id(one.outcome or b"") for one in seen] == [without_id(one) for one in learnt[older:]]
    await shown.aclose()  # type: ignore[attr-defined]
    # Beyond the newest: of a history that is no more.
    shown = await watch(again, after=99)
    assert await take(shown, 1) == [Shown(60, None)]
    await shown.aclose()  # type: ignore[attr-defined]


@pytest.fixture
def learnt_events(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each call to any learner of this process has learnt, as they come."""
    counts: list[int] = []
    observe_many = model.Learner.observe_many

    def counted(self: model.Learner, Y: Any, *more: Any) -> model.Outcomes:
        counts.append(len(Y))
        return observe_many(self, Y, *more)

    monkeypatch.setattr(model.Learner, "observe_many", counted)
    return counts


async def long_ago(process: Process, *after: int, until: int = 60) -> list[list[Outcome]]:
    """What watchers are shown who come back together, each to a version, and then go."""
    watchers = [await watch(process, after=version) for version in after]
    seen = await asyncio.gather(*(take(one, until - version) for one, version in zip(watchers, after, strict=True)))
    for one in watchers:
        await one.aclose()  # type: ignore[attr-defined]
    assert [[one.version for one in some] for some in seen] == [list(range(one + 1, until + 1)) for one in after]
    return [[without_id(one.outcome or b"") for one in some] for some in seen]


async def test_who_comes_back_costs_one_replay_for_all(store_of: Callable[[], Store], learnt_events: list[int]) -> None:
    store = store_of()
    writer = Process(store, checkpoint_every=20, max_batch=10)
    await writer.streams.create("s", CONFIG)
    learnt = [one for first in range(1, 60, 10) for one in await writer.learn(first, first + 9)]
    await writer.streams.close()
    head = await store.head("s")
    assert head is not None
    older = head.checkpoints[-1]
    assert older < 60
    process = Process(store)
    await process.streams.status("s")  # the learner itself is there
    learnt_events.clear()
    outcomes = [without_id(one) for one in learnt]
    assert await long_ago(process, *[older] * 5) == [outcomes[older:]] * 5
    assert sum(learnt_events) == 60 - older
    # Nor does one who comes later, alone, or who has seen more; only what has come since is read.
    assert await long_ago(process, older) == [outcomes[older:]]
    assert await long_ago(process, 55) == [outcomes[55:]]
    assert sum(learnt_events) == 60 - older
    other = Process(store)
    outcomes += [without_id(one) for one in await other.learn(61, 67)]
    await process.streams.status("s")
    learnt_events.clear()
    assert await long_ago(process, older, 60, older, until=67) == [outcomes[older:], outcomes[60:], outcomes[older:]]
    assert sum(learnt_events) == 7
    assert (await process.streams.status("s")).digest == oracle(67)


async def test_what_is_kept_of_a_log_is_not_shown_of_another(learnt_events: list[int]) -> None:
    """A store that goes back and on differently: same epoch, same versions, other events."""
    store = MemoryStore()
    process = Process(store)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 10)
    early = copy.deepcopy(store._streams)
    await process.learn(11, 20)
    again = Process(store)
    [before] = await long_ago(again, 5, until=20)
    store._streams = early
    other = Process(store)
    answers = await other.streams.observe("s", [Event(y={"y": 100.0 + number}) for number in range(10)])
    [after] = await long_ago(again, 5, until=20)
    assert after[:5] == before[:5]
    assert after[5:] == [without_id(one) for one in answers if isinstance(one, bytes)]
    assert after[6:] != before[6:]
    # What is too large is not kept.
    for bound, cost in ((catch_up.KEPT_BYTES, 0), (0, 20)):
        fresh = Process(store)
        await fresh.streams.status("s")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(catch_up, "KEPT_BYTES", bound)
            assert await long_ago(fresh, 5, until=20) == [after]
            learnt_events.clear()
            assert await long_ago(fresh, 5, until=20) == [after]
            assert sum(learnt_events) == cost


async def test_a_segment_that_reaches_too_far_leaves_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is kept the oldest goes; what is shown is whole."""
    process = Process(MemoryStore())
    await process.streams.create("s", CONFIG)
    await process.learn(1, 40)
    monkeypatch.setattr(catch_up, "CATCH_UP", 40)
    again = Process(process.streams._store)
    shown = await long_ago(again, 0, until=40)
    await process.learn(41, 60)
    await again.streams.status("s")
    assert (await long_ago(again, 10, until=60))[0][:30] == shown[0][10:]
    # Versions 1 to 20 are no longer kept, and the log is too long to be read from its beginning.
    gone = await watch(again, after=0)
    assert await take(gone, 1) == [Shown(60, None)]
    await gone.aclose()  # type: ignore[attr-defined]


async def test_who_still_waits_for_the_log_at_the_end_is_told_of_no_gap(learnt_events: list[int]) -> None:
    process = Process(MemoryStore())
    await process.streams.create("s", CONFIG)
    await process.learn(1, 10)
    again = Process(process.streams._store)
    async with again.streams.live._past._one:  # another log is being read
        watchers = [await watch(again, after=0) for _ in range(3)]
        waiting = [asyncio.ensure_future(anext(one, None)) for one in watchers]
        await asyncio.sleep(0.01)
        again.streams.live.close()
        learnt_events.clear()
    assert await asyncio.gather(*waiting) == [None] * 3
    assert learnt_events == []


async def test_a_watcher_that_falls_behind_the_ring_is_served_from_the_log() -> None:
    process = Process(MemoryStore(), checkpoint_every=10**6)
    await process.streams.create("s", CONFIG)
    shown = await watch(process, after=0)
    waiting = asyncio.ensure_future(anext(shown))
    await asyncio.sleep(0)
    last = RING + 500
    learnt: list[bytes] = []
    for first in range(1, last, 500):
        learnt += await process.learn(first, min(first + 499, last))
    begun = await waiting
    assert begun is not None
    seen = [begun, *await take(shown, last - 1)]
    assert [one.version for one in seen] == list(range(1, last + 1))
    for one, outcome in islice(zip(seen, learnt, strict=True), 0, None, 97):
        assert without_id(one.outcome or b"") == without_id(outcome)
    await shown.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", ["head", "segments"])
async def test_a_watcher_is_let_go_without_a_gap_while_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    process = Process(store := MemoryStore())
    await process.streams.create("s", CONFIG)
    await process.learn(1, 5)

    async def away(*_: object) -> None:
        raise Unavailable("the store does not answer", retry_after=1)

    shown = await watch(process, after=2)
    with monkeypatch.context() as patch:
        patch.setattr(store, call, away)
        assert [one async for one in shown] == []
    again = await watch(process, after=2)
    assert [one.version for one in await take(again, 3)] == [3, 4, 5]
    await again.aclose()  # type: ignore[attr-defined]


async def test_a_stream_that_is_made_anew_is_told_as_a_gap() -> None:
    store = MemoryStore()
    process, other = Process(store), Process(store)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 3)
    shown = await watch(process, after=3)
    waiting = asyncio.ensure_future(anext(shown))
    await asyncio.sleep(0)
    await other.streams.delete("s")
    await other.streams.create("s", CONFIG)
    await other.learn(1, 2)
    assert await asyncio.wait_for(waiting, 10) == Shown(2, None)
    await shown.aclose()  # type: ignore[attr-defined]


async def test_watchers_are_bounded_and_leave_nothing_behind() -> None:
    process = Process(MemoryStore(), max_watchers=2)
    await process.streams.create("s", CONFIG)
    with pytest.raises(UnknownStream):
        await watch(process, stream="nothing")
    both = [await watch(process), await watch(process)]
    waiting = [asyncio.ensure_future(anext(one)) for one in both]
    await asyncio.sleep(0.01)
    with pytest.raises(LimitReached):
        await watch(process)
    await process.learn(1, 1)
    assert [one.version for one in await asyncio.gather(*waiting) if one is not None] == [1, 1]
    for one in both:
        await one.aclose()  # type: ignore[attr-defined]
    assert process.streams.live._feeds == {}
    again = await watch(process)
    waiting = [asyncio.ensure_future(anext(again, None))]
    await asyncio.sleep(0.01)
    process.streams.live.close()
    assert await asyncio.gather(*waiting) == [None]
