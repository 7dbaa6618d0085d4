"""The least rights of a store's user: docs/OPERATIONS.md has the command, and everything works with it."""

import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from nobacktrack.service.store.base import Committed, Kept, LogPosition, PendingAdded, Retention, Snapshot
from nobacktrack.service.store.redis.store import RedisStore
from tests.integration.commits import created, following, grown

pytestmark = pytest.mark.anyio

OPERATIONS = Path(__file__).parents[3] / "docs" / "OPERATIONS.md"
SERVERS = {"wait", "cluster|slots"}
"""Commands that one server without replicas is never sent."""


def _rule() -> list[str]:
    """The words of the ACL SETUSER command in the handbook."""
    found = re.search(
        r"^    redis-cli (ACL SETUSER (?:.*\\\n)*.*)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found is not None
    return shlex.split(found[1].replace("\\\n", " "))


async def test_a_user_with_the_rights_of_the_handbook_can_do_everything_and_no_right_is_too_many(
    redis: Redis, redis_url: str
) -> None:
    words = _rule()
    name, [secret] = words[2], [word[1:] for word in words if word.startswith(">")]
    ask: Callable[..., Awaitable[Any]] = redis.execute_command
    await ask(*words)
    await ask("ACL", "LOG", "RESET")
    await redis.script_flush()
    await redis.config_resetstat()
    url = f"{redis_url}?username={name}&password={secret}"
    store = RedisStore(url, timeout=5)
    try:
        await store.ping()
        await created(store)
        start = LogPosition(3, "other", bytes(32))
        assert await store.create("t", start, "{}", "print", 2, b"learner") is not None
        position = await created(store)
        for _ in range(3):
            position = await grown(store, position)
            assert await store.write_checkpoint("s", position, b"learner")
        forgetful = RedisStore(url, 5, Retention(outcomes=1))
        for ids in (("a",), ("b",)):
            commit = following(position, ids=ids)
            assert await forgetful.commit("s", commit) == Committed()
            position = commit.after
        await forgetful.close()
        assert await store.add_pending("s", position.epoch, (("c", b"c"), ("d", b"d")), 9) == PendingAdded()
        assert await store.label("s", "c", b"c", b"labelled")
        assert len(await store.pending("s")) == 2
        assert await store.commit("s", replace(following(position, ids=("c",)), pending=("c",))) == Committed()
        assert await store.read_checkpoint("s", 3) == b"learner"
        assert await store.snapshot("s", position.epoch, Snapshot("one", 1, 0.0), b"learner", 9) == Kept()
        assert len(await store.snapshots("s")) == 1
        assert await store.read_snapshot("s", "one") == b"learner"
        assert await store.drop_snapshot("s", "one")
        assert len(await store.recorded("s")) == 2
        assert await store.segments("s", 0)
        assert await store.replace("s", position.epoch, start, "{}", "print", b"learner")
        await redis.sadd("nbt:streams", "ghost")
        assert await store.create("v", start, "{}", "print", 3) is not None
        assert await store.usage() is not None
        await store.warnings()
        assert await store.names() == ["s", "t", "v"]
        assert await store.delete("s")
        denied = await ask("ACL", "LOG")
        assert denied == []
        called = {
            command.removeprefix("cmdstat_")
            for command, stats in (await redis.info("commandstats")).items()
            if stats["calls"] > stats["rejected_calls"]
        }
        allowed = {word[1:] for word in words if word.startswith("+")}
        assert allowed - SERVERS <= called, "rights that nothing needs"
    finally:
        await store.close()
        await ask("ACL", "DELUSER", name)
