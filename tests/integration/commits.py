"""Streams and commits for the tests of stores."""

import numpy as np

from nobacktrack.service.codec import segments
from nobacktrack.service.store.base import Commit, Committed, LogPosition, Store


def following(before: LogPosition, count: int = 1, ids: tuple[str, ...] = (), value: float = 0.0) -> Commit:
    """The commit of `count` events after `before`, with an outcome for each of `ids`."""
    events = segments.Events(before.version + 1, np.zeros(count), np.full((count, 1), value), np.zeros((count, 0)))
    segment = segments.encode(events, 0)
    after = LogPosition(before.version + count, before.epoch, segments.link(before.chain, segment))
    return Commit(before, after, segment, tuple((name, record(name)) for name in ids))


def record(name: str) -> bytes:
    """The outcome that `following` gives to an id."""
    return b"\x00\xff outcome of " + name.encode()


async def created(store: Store, stream: str = "s", epoch: str = "epoch") -> LogPosition:
    """A new stream at version 0."""
    answer = await store.create(stream, LogPosition.first(epoch), "{}", "print", 1000)
    assert answer is not None
    return answer[0].position


async def grown(store: Store, before: LogPosition, commits: int = 1, stream: str = "s", count: int = 1) -> LogPosition:
    """The position after so many more commits of `count` events each."""
    for _ in range(commits):
        commit = following(before, count)
        assert await store.commit(stream, commit) == Committed()
        before = commit.after
    return before
