"""A store that went back, and that another replica has brought forward again before anybody looked."""

import asyncio
import os
from pathlib import Path

import pytest

from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.schemas import Event
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams.service import Streams
from tests.support.load import CONFIG, encoded, replayed
from tests.support.servers import Server


class Replica:
    """What a process of the service has of a store, in this process."""

    def __init__(self, url: str) -> None:
        self.metrics = Metrics(1)
        self._store = RedisStore(url, 5.0)
        self.streams = Streams(Settings(), self._store, self.metrics)

    async def observe(self, *numbers: int) -> None:
        """Learn these events; every one is acknowledged."""
        answers = await self.streams.observe("s", [Event.model_validate_json(encoded(number)) for number in numbers])
        assert all(isinstance(answer, bytes) for answer in answers)

    @property
    def rewinds(self) -> float:
        """As counted."""
        return self.metrics.registry.get_sample_value("nobacktrack_rewinds_total") or 0.0

    async def close(self) -> None:
        """Let go of the store."""
        await self.streams.close()
        await self._store.close()


def went_back(folder: Path, meanwhile: tuple[int, ...]) -> tuple[str, float]:
    """Two replicas; the first has acknowledged four events of which the store loses two; then the second learns
    `meanwhile`, and the first one more. The digest, and the rewinds counted by both."""

    async def main(server: Server) -> tuple[str, float]:
        first, second = Replica(server.url), Replica(server.url)
        await first.streams.create("s", CONFIG)
        await first.observe(1, 2)
        await second.streams.status("s")
        size = server.append_only_file.stat().st_size
        await first.observe(3, 4)
        server.kill()
        os.truncate(server.append_only_file, size)
        server.start()
        if meanwhile:
            await second.observe(*meanwhile)
        await first.observe(10)
        digests = {(await one.streams.status("s")).digest for one in (first, second)}
        rewinds = first.rewinds + second.rewinds
        await first.close()
        await second.close()
        [digest] = digests
        return digest, rewinds

    with Server(folder / "store", fsync="everysec") as server:
        return asyncio.run(main(server))


@pytest.mark.parametrize("meanwhile", [(), (5,), (5, 6), (5, 6, 7)], ids=len)
def test_no_history_is_mixed(tmp_path: Path, meanwhile: tuple[int, ...]) -> None:
    digest, _ = went_back(tmp_path, meanwhile)
    assert digest == replayed([1, 2, *meanwhile, 10])


@pytest.mark.parametrize(
    "meanwhile",
    [
        (),
        (5,),
        (5, 6),
        (5, 6, 7),
    ],
    ids=len,
)
def test_it_is_counted(tmp_path: Path, meanwhile: tuple[int, ...]) -> None:
    _, rewinds = went_back(tmp_path, meanwhile)
    assert rewinds == 1
