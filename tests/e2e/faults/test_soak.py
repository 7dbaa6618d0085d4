"""Load for a while: the memory of the service and what is in the store level off."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.e2e.faults.results import record
from tests.e2e.faults.scale import LONG, SOAK_SECONDS
from tests.support.load import Load, Verdict, verdict
from tests.support.servers import Replicas, Server

STREAMS = [f"s{i}" for i in range(5)]
KEPT = 100
"""Outcomes that are kept for each stream."""
EVERY = 40
"""Events between two checkpoints."""
KEYS_OF_A_STREAM = 4 + 3
"""Head, log, outcomes and their ids; two checkpoints of one chunk, and one that is being written."""
SAMPLE_SECONDS = 0.25
ENOUGH = 3 * EVERY * len(STREAMS)
"""Events in which every stream has thrown away checkpoints, outcomes and a part of its log;"""
MORE_SECONDS = 60.0
"""so much more time a busy machine gets for them."""
SETTLED = 1 / 3
"""Share of the time after which everything has been in use once."""
SLOPE_MB_A_MINUTE = 0.5 if LONG else 60.0
"""How much the service may still grow then; in a few seconds hardly anything can be said."""
STORE_MB_A_MINUTE = 0.5 if LONG else 60.0


class Sample(NamedTuple):
    """What was there at a moment."""

    at: float
    service: int
    """Resident bytes."""
    store: int
    """Bytes in use."""
    keys: int


def slope(samples: list[Sample], values: list[int]) -> float:
    """Megabytes a minute, by least squares."""
    return float(np.polyfit([one.at for one in samples], values, 1)[0]) * 60 / 2**20


def test_memory_and_keys_level_off(tmp_path: Path) -> None:
    samples: list[Sample] = []
    with (
        Server(tmp_path / "store") as server,
        Replicas(tmp_path, server.url, 1, checkpoint_every=EVERY, outcomes_kept=KEPT) as replicas,
        server.client() as store,
    ):
        load = Load(replicas.urls, STREAMS, lanes=2, twice=0.2, pause=0.002)
        load.create()
        load.start()
        began = time.monotonic()

        def over() -> bool:
            now = time.monotonic() - began
            if not samples or now - samples[-1].at >= SAMPLE_SECONDS:
                memory = replicas.processes[0].memory_info().rss
                samples.append(Sample(now, memory, store.info("memory")["used_memory"], store.dbsize()))
            done = now >= SOAK_SECONDS and load.total > ENOUGH
            return done or now >= SOAK_SECONDS + MORE_SECONDS or bool(load.failures)

        while not over():
            time.sleep(SAMPLE_SECONDS / 5)
        load.finish()
        assert verdict(load, server.url) == Verdict(load.total, 0, 0)
        assert load.refusals.keys() <= {0}, "something was refused"
        records = [store.hlen(f"nbt:{{{stream}}}:outcomes") for stream in STREAMS]
        segments = [store.xlen(f"nbt:{{{stream}}}:log") for stream in STREAMS]
        assert "Traceback" not in replicas.logs()
    assert load.total > ENOUGH, "too little happened"
    settled = [one for one in samples if one.at > SETTLED * SOAK_SECONDS]
    most = max(one.keys for one in settled)
    assert most <= 1 + KEYS_OF_A_STREAM * len(STREAMS)
    assert max(records) <= KEPT
    # Those after the older of two checkpoints, and what comes while one is written.
    assert max(segments) <= 3 * EVERY
    grows = slope(settled, [one.service for one in settled])
    store_grows = slope(settled, [one.store for one in settled])
    assert grows < SLOPE_MB_A_MINUTE
    assert store_grows < STORE_MB_A_MINUTE
    record(
        f"Load for {SOAK_SECONDS:.0f} s",
        f"memory and keys level off: at most +{SLOPE_MB_A_MINUTE:g} MB a minute after the first third, and "
        f"{1 + KEYS_OF_A_STREAM * len(STREAMS)} keys",
        f"{load.total:,} events, 0 lost, 0 twice; service {samples[0].service / 2**20:.1f} MB at the start, "
        f"{settled[0].service / 2**20:.1f} after the first third, {settled[-1].service / 2**20:.1f} at the end, slope "
        f"{grows:+.3f} MB a minute; store {settled[-1].store / 2**20:.1f} MB, slope {store_grows:+.3f}; at most "
        f"{most} keys, {max(records)} outcomes and {max(segments)} segments of a stream",
        "level_off",
    )
