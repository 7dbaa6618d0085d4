"""A store that takes events and no checkpoints, as a shard does from which the keys of a slot are moving away."""

import asyncio
import hashlib
from pathlib import Path

from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.redis.client import Script
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams.service import Streams
from tests.support.load import CONFIG, encoded, replayed
from tests.support.servers import Server

EVERY = 10
EVENTS = 60
REFUSAL = "return redis.error_reply('TRYAGAIN Multiple keys request during rehashing of slot')"


def refused(folder: Path) -> tuple[str, int]:
    """Digest of a stream that has learnt EVENTS events, and chunks of checkpoints that are in the store then."""

    async def main(server: Server) -> tuple[str, int]:
        store = RedisStore(server.url, 5.0)
        sha = hashlib.sha1(REFUSAL.encode(), usedforsecurity=False).hexdigest()
        store._checkpoint = Script("checkpoint", REFUSAL, sha)
        streams = Streams(Settings(checkpoint_every=EVERY), store, Metrics(1))
        await streams.create("s", CONFIG)
        for number in range(1, EVENTS + 1):
            [answer] = await streams.observe("s", [Event.model_validate_json(encoded(number))])
            assert isinstance(answer, bytes)
        digest = (await streams.status("s")).digest
        with server.client() as client:
            chunks = len(client.keys("nbt:{s}:ck:*"))
        await streams.close()
        await store.close()
        return digest, chunks

    with Server(folder / "store", fsync="everysec") as server:
        return asyncio.run(main(server))


def test_events_go_on(tmp_path: Path) -> None:
    digest, _ = refused(tmp_path)
    assert digest == replayed(range(1, EVENTS + 1))


def test_little_is_left_behind(tmp_path: Path) -> None:
    _, chunks = refused(tmp_path)
    assert chunks <= EVENTS // EVERY
