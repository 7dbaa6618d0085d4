"""A primary that dies and a replica that is promoted by Sentinels: what `replicated` acknowledged is there."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from nobacktrack.service.client.sync import ApiError, Client
from tests.e2e.faults.results import record
from tests.e2e.faults.scale import FAILOVER_REPLICAS, FAILOVERS, REPEATS
from tests.support.failover import Watched
from tests.support.load import CONFIG, Load, Verdict, metric, replayed, stored, value, verdict
from tests.support.servers import HOST, Replicas

STREAMS = [f"s{i}" for i in range(4)]
BETWEEN = 40
"""Events that are acknowledged before a primary is killed, at least."""
REFUSED_SECONDS = 2.0
"""How long a request may take to fail."""
BACK_SECONDS = 30.0
"""How long every stream may take to go on after a primary is killed."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watched, Replicas]]:
    """A primary with its replica, and the service over it."""
    folder, settings = tmp_path_factory.mktemp("site"), {"checkpoint_every": 100, "outcomes_kept": 10**6}
    with (
        Watched(folder) as watched,
        Replicas(folder, watched.url, FAILOVER_REPLICAS, ack="replicated", **settings) as replicas,
    ):
        yield watched, replicas


def test_a_primary_dies_and_its_replica_is_promoted(site: tuple[Watched, Replicas]) -> None:
    watched, replicas = site
    slowest = 0.0
    load = Load(replicas.urls, STREAMS, lanes=2, twice=0.1, pause=0.01)
    load.create()
    load.start()
    for _ in range(FAILOVERS):
        watched.settle()
        load.wait_for(BETWEEN)
        killed = time.monotonic()
        watched.fail_over()
        load.until_all_go_on()
        slowest = max(slowest, time.monotonic() - killed)
    load.finish()
    assert verdict(load, watched.primary().url) == Verdict(load.total, 0, 0)
    load.repeat(REPEATS)
    assert slowest < BACK_SECONDS
    rewinds = sum(metric(url, "nobacktrack_rewinds_total") for url in replicas.urls)
    assert rewinds == 0
    assert "Traceback" not in replicas.logs()
    record(
        f"{FAILOVERS} times SIGKILL of the primary, its replica promoted by Sentinels, NBT_ACK=replicated",
        "0 acknowledged lost; 0 learnt twice; digests = offline replay; on again within 30 s",
        f"{load.total:,} events, 0 lost, 0 twice, 0 rewinds; {load.refused}; "
        f"every stream on again at most {slowest:.1f} s after the kill",
        "replica_is_promoted",
    )


def test_nothing_is_acknowledged_that_no_replica_has(site: tuple[Watched, Replicas]) -> None:
    """Neither the first time nor when the same id comes again, though the event is in the primary's log by then."""
    watched, replicas = site
    watched.settle()
    with Client(replicas.urls[0], retries=0) as client:
        client.create("s", CONFIG)

        def observe(number: int) -> int:
            at = datetime.fromtimestamp(number, UTC)
            return client.observe("s", {"y": value(number)}, time=at, id=str(number)).version

        assert [observe(number) for number in (1, 2, 3)] == [1, 2, 3]
        replica, primary = watched.replica(), watched.primary()
        replica.kill()
        for _ in range(2):
            sent = time.monotonic()
            with pytest.raises(ApiError) as refused:
                observe(4)
            assert time.monotonic() - sent < REFUSED_SECONDS
            assert (refused.value.status, refused.value.retry_after) == (503, 1)
            assert stored(primary.url, ["s"])["s"].numbers == [1, 2, 3, 4]
        replica.start("--replicaof", f"{HOST} {primary.port}")
        watched.settle()
        assert [observe(number) for number in (4, 5)] == [4, 5]
        found = stored(primary.url, ["s"])["s"]
        assert (found.version, found.digest) == (5, replayed([1, 2, 3, 4, 5]))
