"""Two replicas and one stream: who is second learns again what the first was quicker with."""

from pathlib import Path

from tests.e2e.faults.results import record
from tests.e2e.faults.scale import RACE_EVENTS, REPEATS
from tests.support.load import Load, Verdict, metric, verdict
from tests.support.servers import Replicas, Server


def test_two_replicas_race_on_one_stream(tmp_path: Path) -> None:
    with Server(tmp_path / "store") as server, Replicas(tmp_path, server.url, 2, checkpoint_every=10**9) as replicas:
        load = Load(replicas.urls, ["race"], lanes=4, batch=100, twice=0.2, most=RACE_EVENTS)
        load.create()
        load.start()
        load.join()
        assert verdict(load, server.url) == Verdict(RACE_EVENTS, 0, 0)
        repeated = load.repeat(10 * REPEATS)
        conflicts = [metric(url, "nobacktrack_conflicts_total") for url in replicas.urls]
        assert all(conflicts), "there was no race"
        assert "Traceback" not in replicas.logs()
    record(
        "Two replicas race on one stream",
        "version = events; each id once; the same id, the same bytes; digest = offline replay",
        f"{load.total:,} events in {load.requests:,} requests, {load.repeated:,} of them sent to both at once: 0 lost, "
        f"0 twice; {sum(conflicts):,.0f} conflicts; {load.refused}; "
        f"{repeated} repeated ids answered as before",
        "race",
    )
