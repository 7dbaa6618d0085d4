"""A store without room: events are refused cleanly, what is there stays as it is, and it goes on when there is room."""

from pathlib import Path

import pytest
from redis import Redis

from nobacktrack.service.client.sync import ApiError, Client
from nobacktrack.service.schemas import StreamStatus
from tests.e2e.faults.results import record
from tests.e2e.faults.scale import FILLINGS, REPEATS
from tests.support.load import CONFIG, Load, Verdict, stored, verdict
from tests.support.processes import wait_until
from tests.support.servers import Replicas, Server

STREAMS = [f"s{i}" for i in range(4)]
ROOM = 60_000
"""Bytes that are left when the limit is set."""
REFUSALS = 40


def wait_for_refusals(load: Load) -> None:
    """Return when so many more events were refused."""
    wanted = load.refusals[507] + REFUSALS
    wait_until(lambda: load.failures or load.refusals[507] >= wanted, lambda: f"refused: {load.refusals}")


def states(client: Client) -> list[StreamStatus]:
    """All streams as the service sees them, but for how long learning takes: what is refused was learnt, too."""
    return [client.status(stream).model_copy(update={"update_seconds": None}) for stream in STREAMS]


def set_limit(store: Redis, limit: int) -> None:
    """Of the store's memory, in bytes; 0 is none."""
    store.config_set("maxmemory", limit)


def test_a_store_that_is_full(tmp_path: Path) -> None:
    slowest = 0.0
    with (
        Server(tmp_path / "store") as server,
        Replicas(tmp_path, server.url, 1, checkpoint_every=100, outcomes_kept=10**6) as replicas,
        Client(replicas.urls[0], retries=0) as client,
        server.client() as store,
    ):
        load = Load(replicas.urls, STREAMS, lanes=2, pause=0.005)
        load.create()
        load.start()
        for _ in range(FILLINGS):
            load.wait_for(100)
            # It fills up by itself; a checkpoint that makes room by trimming the log may let a few more in.
            set_limit(store, store.info("memory")["used_memory"] + ROOM)
            wait_for_refusals(load)
            # Nothing at all is let in now.
            set_limit(store, 1)
            wait_for_refusals(load)
            before = states(client)
            wait_for_refusals(load)
            for status in before:
                forecast = client.forecast(status.name, 3)
                assert (forecast.version, len(forecast.steps)) == (status.version, 3)
            with pytest.raises(ApiError) as full:
                client.create("another", CONFIG)
            assert (full.value.status, full.value.retry_after) == (507, 10)
            assert states(client) == before
            found = stored(server.url, STREAMS)
            assert [(found[s.name].version, found[s.name].digest) for s in before] == [
                (s.version, s.digest) for s in before
            ]
            set_limit(store, 0)
            slowest = max(slowest, load.until_all_go_on())
        load.finish()
        assert verdict(load, server.url) == Verdict(load.total, 0, 0)
        load.repeat(REPEATS)
        assert load.refusals.keys() == {507}
        assert slowest < 1.0
        assert "Traceback" not in replicas.logs()
    record(
        f"Store full (maxmemory), {FILLINGS} times",
        "507 with Retry-After; versions and digests unchanged; forecasts go on; so do events when there is room, "
        "without a restart",
        f"{load.total:,} events, 0 lost, 0 twice; {load.refused}; "
        f"versions and digests unchanged; every stream on again after {slowest:.2f} s",
        "store_that_is_full",
    )
