"""Bulk: durable events over HTTP, one a line, against learning the same events in a loop and nothing else."""

import http.client
import time
from pathlib import Path

import numpy as np

from nobacktrack import model
from nobacktrack.service.cli.local_service import LocalService
from tests.bench.timing import report

EVENTS, UNITS, ROUNDS = 50_000, 32, 3


def test_bulk_against_learning_alone(tmp_path: Path) -> None:
    values = np.round(np.cumsum(np.random.default_rng(0).normal(size=EVENTS)), 3)
    body = b"".join(b'{"y":{"y":%r}}\n' % value for value in values.tolist())
    learner = model.Learner(model.Config(targets=("y",), units=UNITS))
    learner.observe_many(values[:10, None])
    alone, bulk = [], []
    with LocalService(tmp_path, embedded=True) as service:
        connection = http.client.HTTPConnection(service.url.removeprefix("http://"))
        connection.request("PUT", "/v1/streams/s", b'{"targets": ["y"], "units": %d}' % UNITS)
        connection.getresponse().read()
        for turn in range(1, ROUNDS + 1):
            start = time.perf_counter()
            learner.observe_many(values[:, None])
            alone.append(time.perf_counter() - start)
            start = time.perf_counter()
            connection.request("POST", "/v1/streams/s/events", body, {"Content-Type": "application/x-ndjson"})
            last = connection.getresponse().read().splitlines()[-1]
            bulk.append(time.perf_counter() - start)
            assert b'"version":%d,' % (turn * EVENTS) in last
        connection.close()
    ratio = min(bulk) / min(alone)
    report(
        f"bulk, {EVENTS / min(bulk):,.0f} durable events/s of {UNITS} units (asked for: 50,000), over learning alone, "
        f"{EVENTS / min(alone):,.0f} events/s",
        ratio,
        "at most 2.2",
        met=ratio <= 2.2,
    )
