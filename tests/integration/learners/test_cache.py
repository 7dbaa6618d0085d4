"""Learners in memory against what the store says, also where it says it late."""

import asyncio
import logging
from typing import Any

import pytest

from nobacktrack import model
from nobacktrack.service.errors import Internal, Unavailable, UnknownStream
from nobacktrack.service.learners.cache import LearnerCache
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import Head, LogPosition
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.streams.service import Streams

pytestmark = pytest.mark.anyio

CONFIG: dict[str, Any] = {"targets": ["y"], "units": 2}


class LateStore(MemoryStore):
    """Answers the question for a head with what it was, but only when told."""

    def __init__(self) -> None:
        super().__init__()
        self.late: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def head(self, stream: str) -> Head | None:
        """See `Store.head`."""
        head, late = await super().head(stream), self.late
        if late is not None:
            self.late = None
            self.asked.set()
            await late.wait()
        return head


class Service:
    """One process: its streams, its metrics."""

    def __init__(self, store: MemoryStore, **settings: Any) -> None:
        self.metrics = Metrics(10)
        self.streams = Streams(Settings(**settings), store, self.metrics)

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"nobacktrack_{name}") or 0.0

    async def learn(self, *values: float, stream: str = "s") -> None:
        answers = await self.streams.observe(stream, [Event(y={"y": value}) for value in values])
        assert all(isinstance(answer, bytes) for answer in answers), answers


class AwayStore(MemoryStore):
    """Answers nothing while it is away."""

    away = False

    async def head(self, stream: str) -> Head | None:
        """See `Store.head`."""
        if self.away:
            raise Unavailable("away")
        return await super().head(stream)


async def test_forecasts_go_on_from_a_hot_copy_while_the_store_is_away() -> None:
    store = AwayStore()
    service = Service(store)
    for stream in ("s", "cold"):
        await service.streams.create(stream, CONFIG)
    await service.learn(1.0, 2.0, 3.0)
    fresh = await service.streams.forecast("s", 2)
    store.away = True
    stale = await service.streams.forecast("s", 2)
    assert (fresh.stale, stale.stale) == (False, True)
    assert (stale.version, stale.steps) == (fresh.version, fresh.steps)
    other = Service(store)
    with pytest.raises(Unavailable):
        await other.streams.forecast("s", 2)
    store.away = False
    assert await service.streams.forecast("s", 2) == fresh


async def test_a_thousand_streams_in_the_memory_of_a_few() -> None:
    """Learners come and go; whatever is asked of whichever, it is as if it had always been there."""
    count, again = 1000, 10
    store = MemoryStore()
    bound = 20 * model.Learner(model.Config.from_dict(CONFIG)).nbytes
    service = Service(store, hot_bytes=bound)
    names = [f"s{i}" for i in range(count)]
    for name in names:
        await service.streams.create(name, CONFIG)
    for step in (1, again):
        for place in range(0, count, step):
            await service.learn(float(place % 7 + step), stream=names[place])
            assert service.count("hot_bytes") <= bound
    assert service.count("hot_learners") == 20
    assert len(service.streams._learners._recent) <= 20
    for place in (0, 1, 770, count - 1):
        learner = model.Learner(model.Config.from_dict(CONFIG))
        learner.observe_many([[float(place % 7 + step)] for step in (1, again) if place % step == 0])
        assert (await service.streams.status(names[place])).digest == learner.digest()
    await service.streams.close()


async def test_a_late_answer_about_the_head_is_no_rewind() -> None:
    store = LateStore()
    service = Service(store)
    await service.streams.create("s", CONFIG)
    await service.learn(1.0)
    store.late = late = asyncio.Event()
    looking = asyncio.create_task(service.streams.status("s"))
    await store.asked.wait()
    await service.learn(2.0)
    await service.learn(3.0)
    late.set()
    assert (await looking).version == 3
    await service.learn(4.0)
    assert service.count("rewinds_total") == 0
    assert service.count("conflicts_total") == 0
    await service.streams.close()


async def test_a_replica_that_catches_up_late_does_not_undo_a_commit() -> None:
    store = LateStore()
    one, other = Service(store), Service(store)
    await one.streams.create("s", CONFIG)
    await other.learn(1.0)
    await one.learn(2.0)  # version 2; the other one is behind
    store.late = late = asyncio.Event()
    looking = asyncio.create_task(other.streams.status("s"))
    await store.asked.wait()
    await other.learn(3.0)  # conflicts, catches up, commits version 3
    late.set()
    assert (await looking).version >= 2
    before = other.count("conflicts_total")
    await other.learn(4.0)
    assert other.count("conflicts_total") == before
    assert other.count("rewinds_total") == 0
    for service in (one, other):
        await service.streams.close()


async def test_a_copy_older_than_what_was_acknowledged_is_not_kept() -> None:
    store = MemoryStore()
    service = Service(store)
    await service.streams.create("s", CONFIG)
    hot: LearnerCache = service.streams._learners
    older = await hot.get("s")
    await service.learn(1.0)
    newest = await hot.get("s")
    hot.put("s", older)
    assert await hot.get("s") is newest
    await service.streams.close()


async def test_the_memory_of_learners_is_counted_without_looking_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(MemoryStore())
    sizes = {"a": 2, "b": 3, "c": 5}
    bytes_of = {}
    for name, units in sizes.items():
        status, _ = await service.streams.create(name, CONFIG | {"units": units})
        bytes_of[name] = status.state_bytes
    assert service.count("hot_bytes") == sum(bytes_of.values())
    looks = 0
    nbytes = model.Learner.nbytes.fget  # type: ignore[attr-defined]

    def counted(self: model.Learner) -> int:
        nonlocal looks
        looks += 1
        return int(nbytes(self))

    monkeypatch.setattr(model.Learner, "nbytes", property(counted))
    await service.learn(1.0, stream="a")
    await service.learn(2.0, stream="a")
    assert looks == 0
    assert service.count("hot_bytes") == sum(bytes_of.values())
    await service.streams.delete("b")
    assert (service.count("hot_bytes"), service.count("hot_learners")) == (bytes_of["a"] + bytes_of["c"], 2)
    await service.streams.close()


async def test_a_damaged_log_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    first = Service(store)
    await first.streams.create("s", CONFIG)
    await first.learn(1.0, 2.0)
    (last, (segment, chain)), *_ = store._streams["s"].log.items()
    store._streams["s"].log[last] = (b"\xff" + segment[1:], chain)
    second = Service(store)
    with caplog.at_level(logging.ERROR), pytest.raises(Internal, match="log is damaged"):
        await second.streams.status("s")
    assert "the log of stream s is damaged after version 0" in caplog.text
    await second.streams.close()


@pytest.mark.parametrize(("saving", "checkpoints"), [(0.0, 2), (1000.0, 1)])
async def test_a_checkpoint_that_takes_long_is_written_less_often(
    monkeypatch: pytest.MonkeyPatch, saving: float, checkpoints: int
) -> None:
    """The first is due at once; the next when learning since then took longer than ten times the first."""
    monkeypatch.setattr("nobacktrack.service.learners.checkpointer.REPLAY_SECONDS", 0.0)
    service = Service(MemoryStore())
    await service.streams.create("s", CONFIG)
    await service.learn(1.0)
    hot = service.streams._learners
    await hot._checkpointer.drained()
    assert service.count("checkpoints_total") == 1
    hot._checkpointer._progress["s"].writing_seconds = saving
    await service.learn(2.0)
    await hot._checkpointer.drained()
    assert service.count("checkpoints_total") == checkpoints


async def test_what_is_forgotten_is_asked_for_again() -> None:
    store = MemoryStore()
    service = Service(store)
    await service.streams.create("s", CONFIG)
    await service.learn(1.0)
    position: LogPosition = (await service.streams._learners.get("s")).position
    service.streams._learners.forget("s")
    assert (await service.streams._learners.get("s")).position == position
    await store.delete("s")
    with pytest.raises(UnknownStream):
        await service.streams._learners.refresh("s")
    await service.streams.close()
