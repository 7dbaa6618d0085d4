"""What the runbook says of damage: a replica that has the stream in memory goes on, and its orderly end repairs it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from nobacktrack.service.errors import Internal
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams.service import Streams
from tests.support.load import CONFIG, encoded, replayed
from tests.support.servers import Server

EVERY = 10
EVENTS = 37


def damage_the_log(redis: Redis) -> None:
    """Cut one byte off the first segment that is left."""
    entries: Any = redis.xrange("nbt:{s}:log")
    redis.delete("nbt:{s}:log")
    for place, (name, fields) in enumerate(entries):
        if place == 0:
            fields = {**fields, b"segment": fields[b"segment"][:-1]}
        redis.xadd("nbt:{s}:log", fields, id=name)


def damage_both_checkpoints(redis: Redis) -> None:
    """Change a byte of each."""
    keys: Any = redis.keys("nbt:{s}:ck:*")
    assert len(keys) == 2
    for key in keys:
        redis.setrange(key, 200, b"\x00\xff\x00\xff")


@pytest.mark.parametrize("damage", [damage_the_log, damage_both_checkpoints])
def test_a_replica_that_has_the_stream_repairs_it(tmp_path: Path, damage: Callable[[Redis], None]) -> None:
    async def main(server: Server) -> None:
        # Under the log's first segments there is no checkpoint that could take their place.
        every = EVENTS + 1 if damage is damage_the_log else EVERY
        store, late = RedisStore(server.url, 5.0), RedisStore(server.url, 5.0)
        streams = Streams(Settings(checkpoint_every=every), store, Metrics(1))
        await streams.create("s", CONFIG)

        async def observe(number: int) -> None:
            [answer] = await streams.observe("s", [Event.model_validate_json(encoded(number))])
            assert isinstance(answer, bytes)

        for number in range(1, EVENTS):
            await observe(number)
        with server.client() as redis:
            damage(redis)
        with pytest.raises(Internal):
            await Streams(Settings(), late, Metrics(1)).status("s")
        await observe(EVENTS)
        await streams.close()
        await store.close()
        status = await Streams(Settings(), late, Metrics(1)).status("s")
        assert (status.version, status.digest) == (EVENTS, replayed(range(1, EVENTS + 1)))
        await late.close()

    with Server(tmp_path / "store", fsync="everysec") as server:
        asyncio.run(main(server))
