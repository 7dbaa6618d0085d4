"""What a process knows of streams is bounded by what the store has, whoever deletes them."""

from typing import Any

import pytest

from nobacktrack import model
from nobacktrack.service.errors import UnknownStream
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.streams import service
from tests.integration.replicas import CONFIG, Process

pytestmark = pytest.mark.anyio

STREAMS = 100


def known(process: Process) -> dict[str, int]:
    """How many streams each part of a process knows."""
    learners: Any = process.streams._learners
    return {
        "workers": len(process.streams._workers),
        "cached": len(learners._cached),
        "acknowledged": len(learners._acknowledged),
        "recent": len(learners._recent),
        "checkpoints": len(learners._checkpointer._progress),
        "metrics": len(process.metrics._named),
    }


async def test_streams_that_another_replica_deletes_are_forgotten() -> None:
    store = MemoryStore()
    one, other = Process(store), Process(store)
    names = [f"s{number}" for number in range(STREAMS)]
    for name in names:
        await one.streams.create(name, CONFIG)
        await one.learn(1, 1, stream=name)
    assert min(known(one).values()) >= 10  # the metrics name the first ten
    for name in names[1:]:
        await other.streams.delete(name)
    await one.streams.forget_deleted()
    assert known(one) == dict.fromkeys(known(one), 1) | {"metrics": 2}  # one stream, and those without a name
    await one.learn(2, 2, stream="s0")
    with pytest.raises(UnknownStream):
        await one.learn(2, 2, stream="s1")
    for process in (one, other):
        await process.streams.close()


async def test_a_store_without_streams_leaves_nothing() -> None:
    store = MemoryStore()
    one, other = Process(store), Process(store)
    await one.streams.create("s", CONFIG)
    await one.learn(1, 1)
    await other.streams.delete("s")
    await one.streams.forget_deleted()
    assert known(one) == dict.fromkeys(known(one), 0)
    for process in (one, other):
        await process.streams.close()


async def test_workers_of_streams_whose_learners_have_left_memory_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SPARE_WORKERS", 4)
    process = Process(MemoryStore(), hot_bytes=2 * model.Learner(model.Config.from_dict(CONFIG)).nbytes)
    for number in range(STREAMS):
        await process.streams.create(f"s{number}", CONFIG)
        await process.learn(1, 1, stream=f"s{number}")
    assert known(process)["cached"] == 2
    assert known(process)["workers"] <= 2 * 3 + 4
    await process.learn(2, 2, stream="s0")
    await process.streams.close()
