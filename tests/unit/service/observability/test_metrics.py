"""The metrics that are more than a counter."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from nobacktrack import model
from nobacktrack.service.errors import Internal, StoreFull
from nobacktrack.service.observability.metrics import SECONDS, Durations, Metrics
from nobacktrack.service.observability.quality import NEWEST, Recent, coverage

STREAM = {"stream": "s"}


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


def learnt(**values: Any) -> model.Outcomes:
    """Outcomes of as many events as there are values, one target; what is not given is 0."""
    count = len(next(iter(values.values())))
    wide = {"prediction", "lower", "upper"}
    zeros: dict[str, Any] = {
        name: np.zeros((count, 1, 1) if name == "ahead" else (count, 1) if name in wide else count)
        for name in model.Outcomes._fields
    }
    zeros["version"] = np.arange(1, count + 1)
    zeros["guarded"] = np.zeros(count, np.int64)
    return model.Outcomes(**(zeros | {name: np.asarray(value) for name, value in values.items()}))


def test_a_batch_counts_as_its_events_do_one_by_one() -> None:
    config = model.Config(targets=("a", "b"), units=3)
    rng = np.random.default_rng(5)
    Y = rng.normal(size=(400, 2)) + np.arange(400)[:, None] % 7
    Y[rng.random(Y.shape) < 0.1] = math.nan
    Y[300] = 500.0
    outcomes = model.Learner(config).observe_many(Y)
    fields: list[Any] = list(outcomes)
    for cuts in ([0, 400], [0, 1, 2, 150, 400]):
        metrics = Metrics(1)
        for first, last in pairwise(cuts):
            part = model.Outcomes(*(field[first:last] for field in fields))
            metrics.learnt("s", part, coverage(part, Y[first:last]), 0.1, 1e-3, lambda: False)
        value = metrics.registry.get_sample_value
        judged = inside = 0
        for row, lower, upper in zip(Y, outcomes.lower, outcomes.upper, strict=True):
            for y, low, high in zip(row, lower, upper, strict=True):
                if not math.isnan(y) and not math.isnan(low):
                    judged += 1
                    inside += low <= y <= high
        assert 0 < inside < judged < 800
        assert value("nobacktrack_judged_measurements_total", STREAM) == judged
        assert value("nobacktrack_inside_measurements_total", STREAM) == inside
        anomalous = sum(score > 0.99 for score in outcomes.anomaly)
        assert anomalous > 0
        assert value("nobacktrack_anomalous_events_total", STREAM) == anomalous
        assert value("nobacktrack_events_total", STREAM) == 400
        losses = [loss for loss in outcomes.loss if not math.isnan(loss)]
        assert value("nobacktrack_scored_events_total", STREAM) == len(losses)
        assert value("nobacktrack_loss_sum_total", STREAM) == pytest.approx(math.fsum(losses), rel=1e-12)
        assert value("nobacktrack_commit_events_sum") == 400
        assert value("nobacktrack_commit_events_count") == len(cuts) - 1
        assert value("nobacktrack_update_seconds_count") == 400
        assert value("nobacktrack_gradient_norm", STREAM) == outcomes.gradient_norm[-1]
        assert value("nobacktrack_step_size", STREAM) == 1e-3


def test_symbols_have_no_intervals() -> None:
    outcomes = model.Learner(model.Config(targets=("s",), alphabet=("a", "b"), units=2)).observe_many([[0.0], [1.0]])
    covered = coverage(outcomes, np.array([[0.0], [1.0]]))
    assert (covered.judged.tolist(), covered.inside.tolist()) == ([0, 0], [0, 0])


def test_guards_are_counted_by_their_bits() -> None:
    metrics = Metrics(1)
    outcomes = learnt(guarded=[0, 1, 2, 3, 1])
    metrics.learnt("s", outcomes, coverage(outcomes, np.zeros((5, 1))), 0.1, 1e-3, lambda: False)
    value = metrics.registry.get_sample_value
    assert value("nobacktrack_guards_total", {"guard": "shrunk"}) == 3
    assert value("nobacktrack_guards_total", {"guard": "skipped"}) == 2


def test_a_stream_drifts_when_somebody_looks() -> None:
    recent, metrics = Recent(), Metrics(1)
    rng = np.random.default_rng(0)
    for batch, factor in ((0, 1.0), (1, 1.0), (2, 3.0), (3, 0.5)):
        outcomes = learnt(loss=factor * rng.random(NEWEST), baseline_loss=np.ones(NEWEST))
        outcomes.version[:] += batch * NEWEST
        covered = coverage(outcomes, np.zeros((NEWEST, 1)))
        recent.add(outcomes, covered)
        metrics.learnt("s", outcomes, covered, 0.1, 1e-3, recent.drifting)
        drifting = metrics.registry.get_sample_value("nobacktrack_drifting", STREAM)
        assert drifting == recent.summary().drift == (batch == 2)


def test_what_has_not_happened_is_zero() -> None:
    metrics = Metrics(1)
    value = metrics.registry.get_sample_value
    for error in (Internal, StoreFull):
        assert value("nobacktrack_refused_total", {"type": error.slug}) == 0
    assert value("nobacktrack_refused_total", {"type": "service-error"}) is None
    for guard in ("shrunk", "skipped"):
        assert value("nobacktrack_guards_total", {"guard": guard}) == 0
    assert value("nobacktrack_duplicates_total", STREAM) is None
    metrics.of("s")
    assert value("nobacktrack_duplicates_total", STREAM) == 0


def test_streams_come_and_go_and_never_have_more_names_than_there_may_be() -> None:
    metrics = Metrics(2)
    outcomes = learnt(loss=[0.5])
    covered = coverage(outcomes, np.zeros((1, 1)))

    def names() -> set[str]:
        return {
            sample.labels["stream"]
            for family in metrics.registry.collect()
            for sample in family.samples
            if "stream" in sample.labels
        }

    for step in range(6):
        for name in (f"a{step}", f"b{step}", f"c{step}"):
            metrics.learnt(name, outcomes, covered, 0.1, 1e-3, lambda: True)
        assert names() == {f"a{step}", f"b{step}", "other"}
        assert metrics.registry.get_sample_value("nobacktrack_events_total", {"stream": "other"}) == step + 1
        assert metrics.registry.get_sample_value("nobacktrack_drifting", {"stream": "other"}) is None
        for name in (f"a{step}", f"b{step}", f"c{step}"):
            metrics.forget(name)
    assert names() == {"other"}


def test_what_the_store_does_not_say_is_not_a_number() -> None:
    metrics = Metrics(1)
    value = metrics.registry.get_sample_value
    metrics.answered(up=True, used=5, limit=10)
    assert [value(f"nobacktrack_store_{name}") for name in ("up", "bytes", "limit_bytes")] == [1, 5, 10]
    metrics.answered(up=False, used=math.nan, limit=math.nan)
    assert value("nobacktrack_store_up") == 0
    assert math.isnan(value("nobacktrack_store_bytes") or 0.0)
    assert math.isnan(value("nobacktrack_store_limit_bytes") or 0.0)
