"""A cluster that moves the slot of a stream while events come in."""

import time
from functools import partial
from pathlib import Path

from tests.e2e.faults.results import record
from tests.e2e.faults.scale import FAILOVER_REPLICAS, REPEATS, SLOT_MOVES
from tests.support.failover import Cluster, ask
from tests.support.load import Load, Verdict, metric, verdict
from tests.support.servers import Replicas

STREAMS = ["b", "c", "d"]
BETWEEN = 20
"""Events that are acknowledged between two moves, at least."""
HALF_MOVED_SECONDS = (0.03, 0.6)
"""How long a slot stays as it is after each of its keys has moved; every second time longer than the service tries."""


def test_the_slot_of_a_stream_moves_under_load(tmp_path: Path) -> None:
    keys = 0
    slowest = 0.0
    with (
        Cluster(tmp_path) as cluster,
        Replicas(tmp_path, cluster.url, FAILOVER_REPLICAS, checkpoint_every=100, outcomes_kept=10**6) as replicas,
    ):
        load = Load(replicas.urls, STREAMS, lanes=2, twice=0.1, pause=0.01)
        load.create()
        slots = [int(ask(cluster.shards[0], "CLUSTER", "KEYSLOT", f"nbt:{{{stream}}}:head")) for stream in STREAMS]
        assert len({cluster.owner(slot).port for slot in slots}) == 3, "the streams do not use every shard"
        load.start()
        for move in range(SLOT_MOVES):
            pause = HALF_MOVED_SECONDS[move % 2]
            for slot in slots:
                load.wait_for(BETWEEN)
                to = cluster.shards[(cluster.shards.index(cluster.owner(slot)) + 1) % 3]
                keys += cluster.move(slot, to, partial(time.sleep, pause))
                assert cluster.owner(slot) is to
                slowest = max(slowest, load.until_all_go_on())
        load.finish()
        assert verdict(load, cluster.url) == Verdict(load.total, 0, 0)
        load.repeat(REPEATS)
        assert slowest < 1.0
        assert sum(metric(url, "nobacktrack_rewinds_total") for url in replicas.urls) == 0
        assert "Traceback" not in replicas.logs()
    moves = SLOT_MOVES * len(STREAMS)
    record(
        f"{moves} times a stream's slot moved to another shard of a cluster of three, key by key",
        "0 acknowledged lost; 0 learnt twice; digests = offline replay",
        f"{keys} keys moved; {load.total:,} events, 0 lost, 0 twice; {load.refused}; "
        f"every stream on again {slowest:.2f} s after its slot had moved",
        "slot_of_a_stream",
    )
