"""Streams and commits for the tests of stores."""

import numpy as np

from service import log
from service.store import Commit, Committed, Store, Token


def following(before: Token, count: int = 1, ids: tuple[str, ...] = (), value: float = 0.0) -> Commit:
    """The commit of `count` events after `before`, with an outcome for each of `ids`."""
    events = log.Events(before.version + 1, np.zeros(count), np.full((count, 1), value), np.zeros((count, 0)))
    segment = log.encode(events, 0)
    after = Token(before.version + count, before.epoch, log.link(before.chain, segment))
    return Commit(before, after, segment, tuple((name, record(name)) for name in ids))


def record(name: str) -> bytes:
    """The outcome that `following` gives to an id."""
    return b"\x00\xff outcome of " + name.encode()


async def created(store: Store, stream: str = "s", epoch: str = "epoch") -> Token:
    """A new stream at version 0."""
    answer = await store.create(stream, Token.first(epoch), "{}", "print", 1000)
    assert answer is not None
    return answer[0].token


async def grown(store: Store, before: Token, commits: int = 1, stream: str = "s", count: int = 1) -> Token:
    """The token after so many more commits of `count` events each."""
    for _ in range(commits):
        commit = following(before, count)
        assert await store.commit(stream, commit) == Committed()
        before = commit.after
    return before
