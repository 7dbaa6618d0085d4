"""SIGKILL of the store under load: fsync always loses nothing; everysec loses a moment, and it is noticed."""

import os
import time
from pathlib import Path

from tests.e2e.faults.results import record
from tests.e2e.faults.scale import REPEATS, STORE_KILLS
from tests.support.load import Acknowledged, Load, Verdict, metric, replayed, stored, verdict
from tests.support.servers import Replicas, Server

STREAMS = [f"s{i}" for i in range(4)]
BETWEEN = 40
"""Events that are acknowledged before a kill, at least."""
LOSS_SECONDS = 2.0
"""Only what was acknowledged so shortly before the kill may be lost."""


def test_a_store_that_flushes_always_is_killed_under_load(tmp_path: Path) -> None:
    with (
        Server(tmp_path / "store") as server,
        Replicas(tmp_path, server.url, 2, checkpoint_every=100, outcomes_kept=10**6) as replicas,
    ):
        load = Load(replicas.urls, STREAMS, lanes=2, twice=0.2, pause=0.01)
        load.create()
        load.start()
        for _ in range(STORE_KILLS):
            load.wait_for(BETWEEN)
            server.kill()
            server.start()
        load.wait_for(BETWEEN)
        load.finish()
        assert verdict(load, server.url) == Verdict(load.total, 0, 0)
        repeated = load.repeat(REPEATS)
        rewinds = sum(metric(url, "nobacktrack_rewinds_total") for url in replicas.urls)
        assert rewinds == 0
        assert "Traceback" not in replicas.logs()
    record(
        f"{STORE_KILLS} times SIGKILL of the store, fsync always",
        "0 acknowledged lost; 0 learnt twice; digests = offline replay",
        f"{load.total:,} events: 0 lost, 0 twice, 0 rewinds; {load.refused}; "
        f"{repeated} ids repeated at the end answered as before",
        "flushes_always",
    )


def test_a_store_that_flushes_once_a_second_is_killed_under_load(tmp_path: Path) -> None:
    """Every second time its log also loses what was written in the last moment, as when the power fails."""
    lost_events = rewinds = 0
    oldest = 0.0
    with (
        Server(tmp_path / "store", fsync="everysec") as server,
        # The whole log stays, so that it can be read from the first event on.
        Replicas(tmp_path, server.url, 1, checkpoint_every=10**9, outcomes_kept=10**6) as replicas,
    ):
        load = Load(replicas.urls, STREAMS, lanes=2, pause=0.01)
        load.create()
        for kill in range(STORE_KILLS):
            load.start()
            load.wait_for(BETWEEN)
            size = server.append_only_file.stat().st_size
            load.wait_for(BETWEEN)
            server.kill()
            killed = time.monotonic()
            if kill % 2 == 1:
                os.truncate(server.append_only_file, size + 7)
            server.start()
            started = time.monotonic()
            load.wait_for(BETWEEN)
            load.finish()
            for stream, lost in settled(load, server.url).items():
                lost_events += len(lost)
                rewinds += bool(lost)
                for one in lost:
                    assert killed - LOSS_SECONDS <= one.at < started
                    oldest = max(oldest, killed - one.at)
                if kill % 2 == 1:
                    assert lost, f"the end of the log was cut off and {stream} lost nothing"
        assert metric(replicas.urls[0], "nobacktrack_rewinds_total") == rewinds
        assert replicas.logs().count("the store lost acknowledged events") == rewinds
        assert "Traceback" not in replicas.logs()
        kept = load.total
    record(
        f"{STORE_KILLS} times SIGKILL of the store, fsync everysec; every second time the log's end is cut off as well",
        "lost: at most 2 s before the kill; each loss counted as a rewind; digest = offline replay of what is left",
        f"{lost_events:,} of {lost_events + kept:,} events lost, the oldest {oldest:.2f} s before the kill; {rewinds} "
        f"times a stream lost something, {rewinds} rewinds counted; every digest that of the log that was left",
        "once_a_second",
    )


def settled(load: Load, store_url: str) -> dict[str, list[Acknowledged]]:
    """What each stream has lost, which leaves the ledger; the rest is in the log, in its place, and nothing twice."""
    lost = {}
    for stream, store in stored(store_url, load.streams).items():
        acks = load.acknowledged[stream]
        there = set(store.numbers)
        lost[stream] = [one for one in acks if one.number not in there]
        kept = load.acknowledged[stream] = [one for one in acks if one.number in there]
        assert len(there) == len(store.numbers) == store.version, "an event is in the log twice"
        assert {one.number: one.version for one in kept} == {n: i for i, n in enumerate(store.numbers, 1)}
        assert store.digest == replayed(store.numbers), "a mixed history"
    return lost
