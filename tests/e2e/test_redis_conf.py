"""deploy/redis/redis.conf in a real server: it says what the file says, and the service has nothing against it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nobacktrack.service.store.redis.store import RedisStore
from tests.support.deployed import REDIS, Store
from tests.support.servers import HOST

UNITS = {"kb": 2**10, "mb": 2**20, "gb": 2**30}


def written() -> Iterator[tuple[str, str]]:
    """Each setting of the file, in the form in which a server answers."""
    for line in REDIS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, value = line.split(maxsplit=1)
            number, unit = value[:-2], value[-2:]
            yield name, str(int(number) * UNITS[unit]) if unit in UNITS and number.isdecimal() else value.strip('"')


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as running:
        yield running


def test_the_server_says_what_the_file_says(store: Store) -> None:
    settings = dict(written())
    # Not to the network, in a test.
    settings["bind"] = HOST
    with store.client() as client:
        assert client.config_get(*settings) == settings


def test_the_service_has_no_warnings_about_it(store: Store) -> None:
    async def warnings() -> list[str]:
        client = RedisStore(store.url, timeout=5)
        try:
            return await client.warnings()
        finally:
            await client.close()

    assert asyncio.run(warnings()) == []
