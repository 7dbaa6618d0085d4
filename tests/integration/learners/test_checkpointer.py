"""Checkpoints that are written late: what they leave of the versions and times that the metrics report."""

import asyncio
from typing import Any

import pytest

from nobacktrack import model
from nobacktrack.service.codec.checkpoints import pack
from nobacktrack.service.learners.checkpointer import Checkpointer
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import LogPosition
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.commits import created, grown

pytestmark = pytest.mark.anyio

CONFIG: dict[str, Any] = {"targets": ["y"], "units": 2}


class SlowStore(MemoryStore):
    """Takes a checkpoint only when told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def write_checkpoint(self, stream: str, position: LogPosition, blob: bytes) -> bool:
        """See `Store.write_checkpoint`."""
        self.asked.set()
        await self.go_on.wait()
        return await super().write_checkpoint(stream, position, blob)


class Writing:
    """A checkpoint of version 10, two seconds of learning, that the store has not taken yet."""

    def __init__(self) -> None:
        self.store = SlowStore()
        self.metrics = Metrics(1)
        self.checkpointer = Checkpointer(Settings(), self.store, self.metrics)
        self.checkpointer.show(["s"])
        self.learner = model.Learner(model.Config.from_dict(CONFIG))

    async def begin(self) -> LogPosition:
        start = await created(self.store)
        position = await grown(self.store, start, 10)
        self.checkpointer.reset("s", 0, saved=0)
        self.checkpointer.learnt("s", position, self.learner, 2.0)
        await self.store.asked.wait()
        return position

    async def finish(self) -> None:
        self.store.go_on.set()
        await self.checkpointer.drained()

    def metric(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"nobacktrack_{name}")


async def test_a_checkpoint_in_time() -> None:
    writing = Writing()
    position = await writing.begin()
    assert (writing.metric("replay_seconds"), writing.metric("unsaved_events")) == (2.0, 10)
    more = await grown(writing.store, position, 2)
    writing.checkpointer.learnt("s", more, writing.learner, 0.25)
    await writing.finish()
    assert (writing.metric("replay_seconds"), writing.metric("unsaved_events")) == (0.25, 2)
    assert writing.checkpointer.saved("s") == 10


async def test_a_learner_that_is_loaded_meanwhile_leaves_no_negative_time() -> None:
    """It left memory while its checkpoint was written, and was replayed from the one before."""
    writing = Writing()
    position = await writing.begin()
    writing.checkpointer.loaded("s", 0)
    writing.checkpointer.replayed("s", 0.5)
    more = await grown(writing.store, position, 1)
    writing.checkpointer.learnt("s", more, writing.learner, 0.125)
    await writing.finish()
    assert writing.metric("replay_seconds") == 0.625  # too much, rather than less than nothing
    assert (writing.checkpointer.saved("s"), writing.metric("unsaved_events")) == (10, 1)


async def test_the_saved_version_does_not_go_back() -> None:
    """Another replica has written a newer checkpoint meanwhile, which was loaded here."""
    writing = Writing()
    position = await writing.begin()
    newer = await grown(writing.store, position, 10)
    writing.checkpointer.loaded("s", newer.version)
    writing.checkpointer.learnt("s", newer, writing.learner, 0.0)
    assert await MemoryStore.write_checkpoint(writing.store, "s", newer, pack(newer.chain, writing.learner))
    await writing.finish()
    assert writing.checkpointer.saved("s") == 20
    assert (writing.metric("replay_seconds"), writing.metric("unsaved_events")) == (0.0, 0)


async def test_a_checkpoint_of_a_history_that_is_gone_tells_nothing_of_the_new_one() -> None:
    writing = Writing()
    await writing.begin()
    writing.checkpointer.reset("s", 3, saved=0)
    await writing.finish()
    assert (writing.checkpointer.saved("s"), writing.metric("unsaved_events")) == (0, 3)
    assert writing.metric("replay_seconds") == 0.0
