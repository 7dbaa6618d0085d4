"""A store against a list of commits: whatever is asked in whatever order, the answers are those of the list."""

import asyncio
import os
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from nobacktrack.service.codec import segments
from nobacktrack.service.store.base import Commit, Committed, Conflict, Duplicate, Head, LogPosition, Retention, Store
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.store.redis.store import RedisStore
from tests.integration.commits import following, record

RUNS = int(os.environ.get("NBT_TEST_MACHINE_RUNS", "100"))
STEPS = 50
KEPT = 5
"""Outcomes: few, so that some are forgotten."""
IDS = tuple("abcdefghijkl")


@dataclass
class Model:
    """What one stream must be: the list of its commits, and what was ever said of checkpoints."""

    start: LogPosition
    commits: list[Commit] = field(default_factory=list)
    checkpoints: list[tuple[int, bytes]] = field(default_factory=list)
    trimmed: int = 0

    @property
    def position(self) -> LogPosition:
        """Of the head."""
        return self.commits[-1].after if self.commits else self.start

    def known(self) -> list[tuple[str, bytes]]:
        """Outcomes that are kept, the oldest first; an id that was forgotten may have come again."""
        kept: dict[str, bytes] = {}
        for commit in self.commits:
            kept.update(commit.outcomes)
            for name in list(kept)[: max(0, len(kept) - KEPT)]:
                del kept[name]
        return list(kept.items())


class Machine(RuleBasedStateMachine):
    """One run over one store."""

    def __init__(self, store: Store, loop: asyncio.Runner) -> None:
        super().__init__()
        self.store, self.loop = store, loop
        self.model: Model | None = None
        self.epochs = 0

    positions = Bundle("positions")

    @initialize(target=positions)
    def begin(self) -> LogPosition:
        """The stream exists."""
        self.create()
        assert self.model is not None
        return self.model.position

    @rule()
    def create(self) -> None:
        """A stream that exists stays as it is."""
        self.epochs += 1
        start = LogPosition.first(f"epoch {self.epochs}")
        made = self.loop.run(self.store.create("s", start, "{}", "print", 10))
        assert made is not None
        assert made[1] == (self.model is None)
        if self.model is None:
            self.model = Model(start)

    @rule()
    def delete(self) -> None:
        """Nothing of it is left."""
        assert self.loop.run(self.store.delete("s")) == (self.model is not None)
        self.model = None

    @rule(target=positions, count=st.integers(1, 3), ids=st.lists(st.sampled_from(IDS), unique=True, max_size=3))
    def commit(self, count: int, ids: list[str]) -> LogPosition:
        """At the head."""
        before = self.model.position if self.model else LogPosition.first("none")
        return self.send(following(before, count, tuple(ids), value=float(len(ids))))

    @rule(
        target=positions, before=positions, version=st.integers(-1, 1), ids=st.lists(st.sampled_from(IDS), max_size=1)
    )
    def commit_elsewhere(self, before: LogPosition, version: int, ids: list[str]) -> LogPosition:
        """At a position of the past, or near it."""
        return self.send(following(replace(before, version=max(0, before.version + version)), 1, tuple(ids)))

    def send(self, commit: Commit) -> LogPosition:
        """A commit, and what must come of it."""
        model = self.model
        known = set() if model is None else {name for name, _ in model.known()}
        if any(name in known for name, _ in commit.outcomes):
            expected: object = Duplicate()
        elif model is None or commit.before != model.position:
            expected = Conflict()
        else:
            expected = Committed()
            model.commits.append(commit)
        assert self.loop.run(self.store.commit("s", commit)) == expected
        return commit.after

    @rule(position=positions, blob=st.binary(max_size=4))
    def checkpoint(self, position: LogPosition, blob: bytes) -> None:
        """At any position that was ever thought of."""
        model = self.model
        wanted = (
            model is not None
            and any(commit.after == position for commit in model.commits)
            and position.version > model.trimmed
            and all(version < position.version for version, _ in model.checkpoints)
        )
        assert self.loop.run(self.store.write_checkpoint("s", position, blob)) == wanted
        if wanted:
            assert model is not None
            if model.checkpoints:
                model.trimmed = model.checkpoints[-1][0]
            model.checkpoints.append((position.version, blob))

    @rule(after=st.integers(0, 40))
    def read(self, after: int) -> None:
        """The log from anywhere."""
        commits = self.model.commits if self.model else []
        trimmed = self.model.trimmed if self.model else 0
        expected = [c.segment for c in commits if c.after.version > max(after, trimmed)]
        assert self.loop.run(self.store.segments("s", after)) == expected

    @invariant()
    def the_store_is_the_list(self) -> None:
        """Head, outcomes, checkpoints."""
        head = self.loop.run(self.store.head("s"))
        outcomes = self.loop.run(self.store.outcomes("s", list(IDS)))
        if self.model is None:
            assert (head, outcomes) == (None, [None] * len(IDS))
            return
        kept = self.model.checkpoints[:-3:-1]
        assert head == Head(self.model.position, "{}", "print", tuple(version for version, _ in kept))
        known = self.model.known()
        assert outcomes == [dict(known).get(name) for name in IDS]
        assert self.loop.run(self.store.recorded("s")) == known
        for version, blob in kept:
            assert self.loop.run(self.store.read_checkpoint("s", version)) == blob
        if len(self.model.checkpoints) > 2:
            assert self.loop.run(self.store.read_checkpoint("s", self.model.checkpoints[-3][0])) is None


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_a_store_is_a_list_of_commits(kind: str, redis_url: str) -> None:
    keep = Retention(outcomes=KEPT)
    with asyncio.Runner() as loop:
        store: Store = MemoryStore() if kind == "memory" else RedisStore(redis_url, 5, keep)

        def machine() -> Machine:
            nonlocal store
            if kind == "memory":
                store = MemoryStore(keep)
            else:
                loop.run(store.delete("s"))
            return Machine(store, loop)

        run_state_machine_as_test(
            machine,  # type: ignore[arg-type]
            settings=settings(
                max_examples=RUNS, stateful_step_count=STEPS, deadline=None, derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
        loop.run(store.delete("s"))
        if kind == "redis":
            loop.run(_is_empty(redis_url))
        loop.run(store.close())


async def _is_empty(url: str) -> None:
    """Nothing is left of streams that were deleted; `confirm` and unclaimed chunks would go by themselves."""
    async with Redis.from_url(url) as redis:
        assert await redis.keys("nbt:{s}:*") == []


def test_the_list_is_one_that_can_be_read() -> None:
    """The helper's records and segments are what the machine takes them for."""
    commit = following(LogPosition.first("e"), 2, ("a",))
    assert (segments.bounds(commit.segment), commit.outcomes) == ((1, 2), (("a", record("a")),))
