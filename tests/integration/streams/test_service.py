"""The use case under faults of the store: whatever happens to a commit, each event is learnt once and in order."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nobacktrack import model
from nobacktrack.service.errors import BadConfig, BadEvent, IdReused, StoreFull, Unavailable, UnknownStream
from nobacktrack.service.learners.kernels import Kernels
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event, Outcome
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import Commit, CommitResult, LogPosition
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.streams.service import Streams

pytestmark = pytest.mark.anyio

CONFIG: dict[str, Any] = {"targets": ["y"], "units": 2}


class FaultyStore(MemoryStore):
    """Does as it is told with the next commits: `lost` commits and says nothing, `dead` does not, `full` refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        fault = self.faults.pop(0) if self.faults else "none"
        if fault == "dead":
            raise Unavailable("dead")
        if fault == "full":
            raise StoreFull("full")
        result = await super().commit(stream, commit)
        if fault == "lost":
            raise Unavailable("lost")
        return result


def service(store: MemoryStore, **settings: Any) -> Streams:
    return Streams(Settings(**({"request_deadline": 1.0} | settings)), store, Metrics(10))


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
async def streams(store: FaultyStore) -> AsyncIterator[Streams]:
    streams = service(store)
    await streams.create("s", CONFIG)
    yield streams
    await streams.close()


def event(value: float, event_id: str | None = None) -> Event:
    return Event(id=event_id, y={"y": value})


async def versions(streams: Streams, *events: Event) -> list[int]:
    answers = await streams.observe("s", events)
    return [Outcome.model_validate_json(answer).version for answer in answers if isinstance(answer, bytes)]


async def assert_learnt(streams: Streams, *values: float) -> None:
    learner = model.Learner(model.Config(targets=("y",), units=2))
    learner.observe_many([[value] for value in values])
    status = await streams.status("s")
    assert (status.version, status.digest) == (len(values), learner.digest())


@pytest.mark.parametrize("faults", [["lost"], ["dead"], ["dead", "lost"], ["dead", "dead"]], ids="-".join)
@pytest.mark.parametrize("ids", [True, False], ids=["ids", "no-ids"])
async def test_a_commit_whose_reply_is_lost_counts_once(
    streams: Streams, store: FaultyStore, faults: list[str], ids: bool
) -> None:
    store.faults = list(faults)
    assert await versions(streams, event(1.0, "a" if ids else None), event(2.0)) == [1, 2]
    assert store.faults == []
    await assert_learnt(streams, 1.0, 2.0)


async def test_a_full_store_refuses_and_changes_nothing(streams: Streams, store: FaultyStore) -> None:
    store.faults = ["full"]
    [answer] = await streams.observe("s", [event(1.0, "a")])
    assert isinstance(answer, StoreFull)
    assert await versions(streams, event(1.0, "a")) == [1]
    await assert_learnt(streams, 1.0)


async def test_a_dead_store_is_told_by_the_deadline_and_nothing_waits_on(store: FaultyStore) -> None:
    streams = service(store, request_deadline=0.2)
    await streams.create("s", CONFIG)
    store.faults = ["dead"] * 1000
    start = asyncio.get_running_loop().time()
    [answer] = await streams.observe("s", [event(1.0)])
    assert isinstance(answer, Unavailable)
    assert asyncio.get_running_loop().time() - start < 1.0
    store.faults = []
    # The refused event is gone; the next one is the first.
    assert await versions(streams, event(2.0)) == [1]
    await assert_learnt(streams, 2.0)
    await streams.close()


async def test_two_replicas_make_one_history(store: FaultyStore) -> None:
    replicas = [service(store), service(store), service(store)]
    await replicas[0].create("s", CONFIG)

    async def send(replica: Streams, start: int) -> list[int]:
        return [
            version
            for number in range(start, start + 40)
            for version in await versions(replica, event(0.5, f"e{number}"))
        ]

    # The middle replica sends the second half of the first one's ids and the first half of the last one's.
    found = await asyncio.gather(send(replicas[0], 0), send(replicas[1], 20), send(replicas[2], 40))
    assert {version for one in found for version in one} == set(range(1, 81))
    for replica in replicas:
        await assert_learnt(replica, *[0.5] * 80)


async def test_ids(streams: Streams) -> None:
    first, again, other, unlike = await streams.observe(
        "s", [event(1.0, "a"), event(1.0, "a"), event(2.0, "b"), event(3.0, "a")]
    )
    assert first == again
    assert isinstance(other, bytes)
    assert isinstance(unlike, IdReused)
    await assert_learnt(streams, 1.0, 2.0)


async def test_a_batch_is_bounded_and_order_is_kept(store: FaultyStore) -> None:
    streams = service(store, max_batch=7)
    await streams.create("s", CONFIG)
    answers = await asyncio.gather(*(versions(streams, *[event(i + 10 * k) for i in range(10)]) for k in range(5)))
    assert [version for one in answers for version in one] == list(range(1, 51))
    assert len(await store.segments("s", 0)) == 8
    await streams.close()


async def test_learners_beyond_the_memory_limit_leave_and_come_back(store: FaultyStore) -> None:
    streams = service(store, hot_bytes=1)
    for name in ("s", "t"):
        await streams.create(name, CONFIG)
    for value in range(5):
        assert await versions(streams, event(value)) == [value + 1]
        await streams.observe("t", [event(value)])
    await assert_learnt(streams, *range(5))
    await streams.close()


async def test_a_damaged_checkpoint_is_passed_over(store: FaultyStore) -> None:
    metrics = Metrics(10)
    first = Streams(Settings(checkpoint_every=4), store, metrics)
    await first.create("s", CONFIG)
    for value in range(9):
        await versions(first, event(value))
    await first.close()
    newest, older = (await store.head("s")).checkpoints  # type: ignore[union-attr]
    assert newest > older
    blob = bytearray(await store.read_checkpoint("s", newest) or b"")
    blob[100] ^= 1
    store._streams["s"].checkpoints[newest] = bytes(blob)
    second = Streams(Settings(), store, metrics)
    await assert_learnt(second, *range(9))
    assert metrics.registry.get_sample_value("nobacktrack_damaged_checkpoints_total") == 1


async def test_a_head_that_went_back_is_counted_and_followed(store: FaultyStore) -> None:
    metrics = Metrics(10)
    streams = Streams(Settings(), store, metrics)
    await streams.create("s", CONFIG)
    await versions(streams, event(1.0))
    backup = await copy_of(store)
    await versions(streams, event(2.0), event(3.0))
    # The store forgets two events, and another replica adds two others: the same version, another history.
    other = service(backup)
    await versions(other, event(7.0), event(8.0))
    store._streams = backup._streams
    await assert_learnt(streams, 1.0, 7.0, 8.0)
    assert metrics.registry.get_sample_value("nobacktrack_rewinds_total") == 1
    assert await versions(streams, event(4.0)) == [4]
    await assert_learnt(streams, 1.0, 7.0, 8.0, 4.0)


async def copy_of(store: MemoryStore) -> MemoryStore:
    """A store with the same history as far as the log tells."""
    head = await store.head("s")
    assert head is not None
    twin = MemoryStore()
    made = await twin.create("s", LogPosition.first(head.position.epoch), head.config, head.fingerprint, 10)
    assert made is not None
    from nobacktrack.service.codec import segments as log

    before = made[0].position
    for segment in await store.segments("s", 0):
        after = LogPosition(log.bounds(segment)[1], before.epoch, log.link(before.chain, segment))
        await twin.commit("s", Commit(before, after, segment, ()))
        before = after
    return twin


async def test_nothing_is_taken_after_the_end(store: FaultyStore) -> None:
    streams = service(store)
    await streams.create("s", CONFIG)
    await streams.close()
    with pytest.raises(Unavailable):
        await streams.observe("s", [event(1.0)])


async def recreated(store: MemoryStore, *targets: str) -> None:
    """What another replica does: the stream is gone, and one of the same name is there."""
    config = model.Config(targets=targets, units=2)
    await store.delete("s")
    await store.create("s", LogPosition.first("another"), json.dumps(config.to_dict()), config.fingerprint(), 10)


async def test_a_stream_that_was_created_anew_is_the_new_one_at_once(streams: Streams, store: FaultyStore) -> None:
    await versions(streams, event(1.0))
    await recreated(store, "y")
    assert await versions(streams, event(2.0)) == [1]
    await assert_learnt(streams, 2.0)


async def test_a_stream_that_was_created_anew_has_its_own_channels(streams: Streams, store: FaultyStore) -> None:
    await versions(streams, event(1.0))
    await recreated(store, "z")
    other = Event(y={"z": 1.0})
    assert await versions(streams, other) == [1]
    assert await versions(streams, other) == [2]
    [refused] = await streams.observe("s", [event(3.0)])
    assert isinstance(refused, BadEvent)


async def test_events_that_wait_while_the_stream_is_created_anew_are_read_again(
    streams: Streams, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_learning(monkeypatch, 0.05)
    waiting = await streams.submit("s", [event(2.0), event(3.0)])
    await asyncio.sleep(0.01)  # the worker learns them now
    await recreated(store, "y", "z")
    [fits] = await streams.observe("s", [Event(y={"y": 1.0, "z": 2.0})])
    assert isinstance(fits, bytes)
    assert [type(await answer) for answer in waiting] == [BadEvent, BadEvent]
    assert (await streams.status("s")).version == 1


async def test_a_stream_that_is_gone_is_not_found(streams: Streams, store: FaultyStore) -> None:
    await versions(streams, event(1.0))
    await store.delete("s")
    with pytest.raises(UnknownStream):
        await streams.observe("s", [Event(y={"z": 1.0})])
    [answer] = await streams.observe("s", [event(2.0)])
    assert isinstance(answer, UnknownStream)


async def test_a_deletion_whose_reply_is_lost_leaves_nothing_behind(
    streams: Streams, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await versions(streams, event(1.0))

    async def lost(stream: str) -> bool:
        await MemoryStore.delete(store, stream)
        raise Unavailable("lost")

    monkeypatch.setattr(store, "delete", lost)
    with pytest.raises(Unavailable):
        await streams.delete("s")
    with pytest.raises(UnknownStream):
        await streams.observe("s", [event(2.0)])


# Time: learning takes what it takes, a store that fails does not.


def slow_learning(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Let each event take so long to learn; the list will have the size of each batch."""
    sizes: list[int] = []
    observe_many = model.Learner.observe_many

    def slow(self: model.Learner, Y: Any, X: Any = None, times: Any = None) -> model.Outcomes:
        sizes.append(len(Y))
        time.sleep(seconds * len(Y))
        return observe_many(self, Y, X, times)

    monkeypatch.setattr(model.Learner, "observe_many", slow)
    return sizes


async def test_a_slow_learner_is_waited_for(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = service(store, request_deadline=0.2, store_timeout=0.1)
    await streams.create("s", CONFIG)
    sizes = slow_learning(monkeypatch, 0.02)
    assert await versions(streams, *[event(value) for value in range(60)]) == list(range(1, 61))
    assert sizes[0] <= 8
    assert max(sizes) <= 30, "a batch learns for about half a second at most"
    await streams.close()


async def test_a_slow_learner_does_not_keep_the_service_from_ending(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nobacktrack.service.streams.service.CLOSE_SECONDS", 0.1)
    streams = service(store)
    await streams.create("s", CONFIG)
    slow_learning(monkeypatch, 0.05)
    answers = await streams.submit("s", [event(value) for value in range(100)])
    await streams.close()
    learnt = [await answer for answer in answers]
    assert isinstance(learnt[0], bytes)
    assert isinstance(learnt[-1], Unavailable)


class HangingStore(FaultyStore):
    """Says nothing for `timeout` seconds and then that, as a store must; while it hangs nothing happens."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self.timeout = timeout
        self.hangs: set[str] = set()

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        await self._hang("commit")
        return await super().commit(stream, commit)

    async def outcomes(self, stream: str, ids: list[str]) -> list[bytes | None]:
        """See `Store.outcomes`."""
        await self._hang("outcomes")
        return await super().outcomes(stream, ids)

    async def segments(self, stream: str, after: int) -> list[bytes]:
        """See `Store.segments`."""
        await self._hang("segments")
        return await super().segments(stream, after)

    async def _hang(self, name: str) -> None:
        if name in self.hangs:
            await asyncio.sleep(self.timeout)
            raise Unavailable("the store hangs")


@pytest.mark.parametrize("hangs", [["commit"], ["outcomes"], ["commit", "outcomes", "segments"]], ids="-".join)
@pytest.mark.parametrize("seconds", [0.3, 0.0], ids=["hangs", "refuses"])
async def test_whatever_is_sent_to_a_store_that_fails_is_refused_in_time_and_not_learnt(
    hangs: list[str], seconds: float
) -> None:
    store = HangingStore(seconds)
    streams = service(store, request_deadline=0.5, store_timeout=0.3, max_batch=3)
    await streams.create("s", CONFIG)
    assert await versions(streams, event(1.0)) == [1]
    store.hangs = set(hangs)
    loop = asyncio.get_running_loop()

    async def send(number: int) -> float:
        await asyncio.sleep(0.02 * number)
        sent = loop.time()
        [answer] = await streams.observe("s", [event(number, f"e{number}")])
        assert isinstance(answer, Unavailable), number
        return loop.time() - sent

    assert max(await asyncio.gather(*(send(number) for number in range(60)))) < 0.6
    assert (await streams.status("s")).version == 1
    store.hangs = set()
    assert await versions(streams, event(2.0)) == [2]
    await assert_learnt(streams, 1.0, 2.0)
    await streams.close()


async def test_learning_does_not_count_as_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    store = HangingStore(0.0)
    streams = service(store, request_deadline=0.3, store_timeout=0.1)
    await streams.create("s", CONFIG)
    slow_learning(monkeypatch, 0.25)
    store.faults = ["dead"]
    # Learnt twice: longer than a store may fail, but the store has failed for a moment only.
    assert await versions(streams, event(1.0), event(2.0)) == [1, 2]
    await streams.close()


async def test_what_is_left_of_a_queue_is_refused_with_its_front(store: FaultyStore) -> None:
    streams = service(store, request_deadline=0.1, max_batch=2)
    await streams.create("s", CONFIG)
    store.faults = ["full"]
    answers = await streams.observe("s", [event(value) for value in range(6)])
    assert [type(answer) for answer in answers] == [StoreFull] * 6, "nothing behind a gap is learnt"
    await streams.close()


# Size.


async def test_a_learner_that_is_too_large_is_refused_before_it_is_made(store: FaultyStore) -> None:
    streams = service(store, max_state_bytes=1_000_000)
    for units in (300, 4096):
        with pytest.raises(BadConfig, match="units"):
            await streams.create("s", CONFIG | {"units": units})
    assert await streams.names() == []
    status, created = await streams.create("s", CONFIG | {"units": 64})
    assert created
    assert status.state_bytes <= 1_000_000
    await streams.close()


async def test_a_large_learner_is_copied_in_a_thread(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()
    copy = model.Learner.copy

    def seen(self: model.Learner) -> model.Learner:
        threads.add(threading.current_thread().name)
        return copy(self)

    monkeypatch.setattr(model.Learner, "copy", seen)
    monkeypatch.setattr("nobacktrack.service.streams.learning.INLINE_BYTES", 1)
    streams = service(store)
    await streams.create("s", CONFIG)
    for value in range(5):
        await versions(streams, event(value))
    assert threads
    assert threading.main_thread().name not in threads
    await streams.close()


# Precision.


async def test_a_precision_that_is_not_compiled_is_said(store: FaultyStore) -> None:
    kernels = Kernels()
    kernels.ready.set()
    before = service(store)
    await before.create("d", CONFIG | {"dtype": "float64"})
    streams = Streams(Settings(), store, Metrics(10), kernels)
    await streams.create("s", CONFIG)
    assert await versions(streams, event(1.0)) == [1]
    with pytest.raises(Unavailable, match="are being compiled for float64"):
        await streams.create("e", CONFIG | {"dtype": "float64"})
    with pytest.raises(Unavailable, match="are being compiled for float64"):
        await streams.observe("d", [event(1.0)])
    assert await streams.names() == ["d", "s"]
    await streams.close()
