"""SIGKILL of replicas under load: what they acknowledged is in the store, and what they did not is learnt once."""

import random
from pathlib import Path

from tests.e2e.faults.results import record
from tests.e2e.faults.scale import LANES, REPEATS, REPLICA_KILLS
from tests.support.load import Load, Verdict, verdict
from tests.support.servers import Replicas, Server

REPLICAS = 3
STREAMS = [f"s{i}" for i in range(10)]
BETWEEN = 30
"""Events that are acknowledged between two kills, at least."""


def test_replicas_are_killed_under_load(tmp_path: Path) -> None:
    chance = random.Random(1)
    with (
        Server(tmp_path / "store") as server,
        # Checkpoints often: kills hit writers of checkpoints too, and who comes back starts from one.
        Replicas(tmp_path, server.url, REPLICAS, checkpoint_every=10, outcomes_kept=10**6) as replicas,
    ):
        load = Load(replicas.urls, STREAMS, lanes=LANES, twice=0.2, pause=0.05)
        load.create()
        load.start()
        for _ in range(REPLICA_KILLS):
            load.wait_for(BETWEEN)
            victim = chance.randrange(REPLICAS)
            replicas.kill(victim)
            load.wait_for(BETWEEN)
            replicas.start(victim)
        load.wait_for(BETWEEN)
        load.finish()
        found = verdict(load, server.url)
        assert found == Verdict(load.total, 0, 0)
        repeated = load.repeat(REPEATS)
        assert verdict(load, server.url) == found, "a repeated id was learnt again"
        broken = load.refusals[0]
        assert broken >= REPLICA_KILLS, "the kills met no request"
        with server.client() as client:
            # In the store, as a process that was killed counts anew.
            heads = [client.hget(f"nbt:{{{name}}}:head", "checkpoints") for name in STREAMS]
        assert any(heads), "no kill can have met the writing of a checkpoint"
        assert "Traceback" not in replicas.logs()
    record(
        f"{REPLICA_KILLS} times SIGKILL of one of {REPLICAS} replicas",
        "0 acknowledged lost; 0 learnt twice; the same id, the same bytes; digests = offline replay",
        f"{load.total:,} events on {len(STREAMS)} streams, {load.repeated:,} sent twice at the same time: "
        f"{found.lost} lost, {found.twice} twice; {broken:,} requests got no answer; {repeated} ids repeated "
        "at the end answered as before",
        "replicas_are_killed",
    )
