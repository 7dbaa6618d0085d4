"""The use case under faults of the store: whatever happens to a commit, each event is learnt once and in order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import model
from service.errors import OtherBody, ServiceError, StoreFull, Unavailable, UnknownStream
from service.memory_store import MemoryStore
from service.metrics import Metrics
from service.schemas import Event, Outcome
from service.settings import Settings
from service.store import Commit, CommitResult, Token
from service.streams import Streams

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
    assert isinstance(unlike, OtherBody)
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
    streams._hot._store = streams._store = backup
    await assert_learnt(streams, 1.0, 7.0, 8.0)
    assert await versions(streams, event(4.0)) == [4]
    await assert_learnt(streams, 1.0, 7.0, 8.0, 4.0)


async def copy_of(store: MemoryStore) -> MemoryStore:
    """A store with the same history as far as the log tells."""
    head = await store.head("s")
    assert head is not None
    twin = MemoryStore()
    made = await twin.create("s", head.token.epoch, head.config, head.fingerprint, 10)
    assert made is not None
    from service import log

    before = made[0].token
    for segment in await store.segments("s", 0):
        after = Token(log.bounds(segment)[1], before.epoch, log.link(before.chain, segment))
        await twin.commit("s", Commit(before, after, segment, ()))
        before = after
    return twin


async def test_nothing_is_taken_after_the_end(store: FaultyStore) -> None:
    streams = service(store)
    await streams.create("s", CONFIG)
    await streams.close()
    with pytest.raises(Unavailable):
        await streams.observe("s", [event(1.0)])


async def test_deleted_under_the_worker(streams: Streams, store: FaultyStore) -> None:
    await versions(streams, event(1.0))
    await store.delete("s")
    await store.create("s", "another", '{"targets": ["y"], "units": 3}', "print", 10)
    [answer] = await streams.observe("s", [event(2.0)])
    assert isinstance(answer, UnknownStream)
    assert isinstance(answer, ServiceError)
