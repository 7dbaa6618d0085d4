"""The metrics that are more than a counter."""

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from service.metrics import SECONDS, Durations


@pytest.mark.parametrize("seconds", [0.0, 1e-6, SECONDS[0], 3e-4, SECONDS[-1], 60.0])
def test_many_equal_durations_count_as_one_by_one(seconds: float) -> None:
    many, single = CollectorRegistry(), CollectorRegistry()
    Durations("d", "d", buckets=SECONDS, registry=many).observe_many(seconds, 4)
    one_by_one = Histogram("d", "d", buckets=SECONDS, registry=single)
    for _ in range(4):
        one_by_one.observe(seconds)

    def lines(registry: CollectorRegistry) -> list[str]:
        return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]

    assert lines(many) == lines(single)
