"""Every metric of the service: name, unit, buckets, help. Nothing else creates one.

Losses are sums, so that any window can be asked for: rate(loss_sum)/rate(baseline_loss_sum) is the skill of a stream
against persistence over that window.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from ...model import SHRUNK, SKIPPED, Outcomes
from ..errors import ServiceError
from .quality import Coverage

SECONDS = (
    50e-6,
    100e-6,
    200e-6,
    350e-6,
    500e-6,
    750e-6,
    1e-3,
    1.5e-3,
    2e-3,
    3.5e-3,
    5e-3,
    10e-3,
    20e-3,
    50e-3,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
)
"""Bucket bounds in seconds: an update takes microseconds, a commit to a disk milliseconds."""

EVENTS = tuple(float(2**power) for power in range(12))
"""Bucket bounds of the events of one commit, up to the default of `max_batch`."""

GUARDS = {SHRUNK: "shrunk", SKIPPED: "skipped"}
"""Label of each bit of `Outcomes.guarded`."""

ANOMALOUS = 0.99
"""An event that scores higher is anomalous; on noise it is one in some 25 000 (`model/scores/anomaly.py`)."""

OTHER = "other"
"""The label shared by the streams beyond the first `metric_streams`."""


class Durations(Histogram):
    """A histogram of seconds that can count many equal values at once."""

    def observe_many(self, seconds: float, count: int) -> None:
        """The same as `count` calls of `observe(seconds)`. Only for a histogram without labels."""
        self._sum.inc(seconds * count)
        self._buckets[bisect_left(self._upper_bounds, seconds)].inc(count)


class Named(NamedTuple):
    """The metrics of one stream, looked up by their label once and not with every batch."""

    events: Counter
    scored: Counter
    loss: Counter
    baseline_loss: Counter
    judged: Counter
    inside: Counter
    anomalous: Counter
    duplicates: Counter
    deferred: Counter
    expired: Counter
    tangent_norm: Gauge
    gradient_norm: Gauge
    step_size: Gauge


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, named_streams: int) -> None:
        self.registry = CollectorRegistry()
        self._named_streams = named_streams
        self._named: dict[str, Named] = {}
        r = self.registry
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        GCCollector(registry=r)
        self.events = Counter("nobacktrack_events", "Events learnt and made durable.", ["stream"], registry=r)
        self.scored = Counter(
            "nobacktrack_scored_events",
            "Events whose prediction could be scored: a target had been seen before.",
            ["stream"],
            registry=r,
        )
        self.loss = Counter(
            "nobacktrack_loss_sum",
            "Sum of losses: squared error over the mean square of the target's changes so far, mean over targets.",
            ["stream"],
            registry=r,
        )
        self.baseline_loss = Counter(
            "nobacktrack_baseline_loss_sum",
            "The same sum for persistence: the last value as prediction.",
            ["stream"],
            registry=r,
        )
        self.judged = Counter(
            "nobacktrack_judged_measurements", "Measurements for which a 90 % interval had been given.", ["stream"],
            registry=r,
        )  # fmt: skip
        self.inside = Counter(
            "nobacktrack_inside_measurements", "Those of them that lay inside of it.", ["stream"], registry=r
        )
        self.anomalous = Counter(
            "nobacktrack_anomalous_events", "Events with an anomaly score above 0.99.", ["stream"], registry=r
        )
        self.drifting = Gauge(
            "nobacktrack_drifting", "1 while a stream's newest losses are clearly above those before. Not for `other`.",
            ["stream"], registry=r,
        )  # fmt: skip
        self.duplicates = Counter(
            "nobacktrack_duplicates", "Events answered with the stored outcome of their id.", ["stream"], registry=r
        )
        self.deferred = Counter(
            "nobacktrack_deferred_events",
            "Events answered by their prediction, to be learnt with their label.",
            ["stream"],
            registry=r,
        )
        self.expired = Counter(
            "nobacktrack_expired_events",
            "Deferred events whose label did not come in time; learnt as missing.",
            ["stream"],
            registry=r,
        )
        self.conflicts = Counter(
            "nobacktrack_conflicts",
            "Commits refused because another replica was first; they are done again.",
            registry=r,
        )
        self.rewinds = Counter(
            "nobacktrack_rewinds",
            "Times a stream's head was found behind what this process had seen acknowledged.",
            registry=r,
        )
        self.failed_commits = Counter(
            "nobacktrack_failed_commits", "Commits that the store refused or did not answer; they are tried again.",
            registry=r,
        )  # fmt: skip
        self.checkpoints = Counter("nobacktrack_checkpoints", "Checkpoints written.", registry=r)
        self.failed_checkpoints = Counter(
            "nobacktrack_failed_checkpoints", "Checkpoints that the store did not take.", registry=r
        )
        self.checkpoint_every = Gauge(
            "nobacktrack_checkpoint_every_events", "Events between two checkpoints of a stream, as set.", registry=r
        )
        self.unsaved = Gauge(
            "nobacktrack_unsaved_events", "Events since its newest checkpoint, of the stream in memory with most.",
            registry=r,
        )  # fmt: skip
        self.unsaved_age = Gauge(
            "nobacktrack_unsaved_age_seconds", "How long a stream in memory has had events that no checkpoint has; the "
            "longest.", registry=r,
        )  # fmt: skip
        self.replay_seconds = Gauge(
            "nobacktrack_replay_seconds", "What learning the events since its newest checkpoint took, of the stream in "
            "memory where it took longest: a restart needs about as long for it.", registry=r,
        )  # fmt: skip
        self.damaged = Counter(
            "nobacktrack_damaged_checkpoints", "Checkpoints that could not be read; an older one was used.", registry=r
        )
        self.refused = Counter(
            "nobacktrack_refused", "Requests and events refused, by the error's type.", ["type"], registry=r
        )
        self.guards = Counter(
            "nobacktrack_guards",
            "Times a guard acted: tangent `shrunk` to its bound, or step `skipped`.",
            ["guard"],
            registry=r,
        )
        self.update_seconds = Durations(
            "nobacktrack_update_seconds", "Learning one event: predict, score, learn.", buckets=SECONDS, registry=r
        )
        self.commit_seconds = Histogram(
            "nobacktrack_commit_seconds", "Making one batch of events durable.", buckets=SECONDS, registry=r
        )
        self.commit_events = Histogram("nobacktrack_commit_events", "Events of one commit.", buckets=EVENTS, registry=r)
        self.request_seconds = Histogram(
            "nobacktrack_request_seconds", "Answering one HTTP request, until its last byte.",
            ["route", "method", "status"], buckets=SECONDS, registry=r,
        )  # fmt: skip
        self.websockets = Gauge("nobacktrack_websockets", "WebSocket connections that are open.", registry=r)
        self.queue = Gauge("nobacktrack_queued_events", "Events that wait to be learnt, in all streams.", registry=r)
        self.hot = Gauge("nobacktrack_hot_learners", "Learners in memory.", registry=r)
        self.hot_bytes = Gauge("nobacktrack_hot_bytes", "Bytes of the learners in memory.", registry=r)
        self.evictions = Counter(
            "nobacktrack_hot_evictions", "Learners that left memory to make room for others.", registry=r
        )
        self.tangent_norm = Gauge(
            "nobacktrack_tangent_norm", "Size |v||w| of the tangent after the last event.", ["stream"], registry=r
        )
        self.gradient_norm = Gauge(
            "nobacktrack_gradient_norm", "Bound on the gradient's norm at the last event.", ["stream"], registry=r
        )
        self.step_size = Gauge(
            "nobacktrack_step_size", "Step size of the recurrent parameters after the last event.", ["stream"],
            registry=r,
        )  # fmt: skip
        self.ready = Gauge("nobacktrack_ready", "1 when the kernels are compiled and the store answers.", registry=r)
        self.store_up = Gauge("nobacktrack_store_up", "1 when the store has answered this scrape in time.", registry=r)
        self.store_bytes = Gauge(
            "nobacktrack_store_bytes", "Memory that the store uses, of its fullest server; NaN when unknown.",
            registry=r,
        )  # fmt: skip
        self.store_limit = Gauge(
            "nobacktrack_store_limit_bytes", "Memory that this server may use, 0 for no limit; NaN when unknown.",
            registry=r,
        )  # fmt: skip
        # A counter that has counted nothing is 0 and not absent; otherwise its first rise would not be seen.
        self._guards = {bit: self.guards.labels(guard) for bit, guard in GUARDS.items()}
        for error in _kinds(ServiceError):
            self.refused.labels(error.slug)

        self._families = Named(
            self.events, self.scored, self.loss, self.baseline_loss, self.judged, self.inside, self.anomalous,
            self.duplicates, self.deferred, self.expired, self.tangent_norm, self.gradient_norm,
            self.step_size,
        )  # fmt: skip

    def of(self, stream: str) -> Named:
        """The metrics of a stream; those of `other`, which many streams share, if the stream has no label."""
        label = self.label(stream)
        if label not in self._named:
            children: list[Any] = [family.labels(label) for family in self._families]
            self._named[label] = Named(*children)
        return self._named[label]

    def label(self, stream: str) -> str:
        """The label of a stream: its own name for the first `named_streams` streams, `other` for the rest."""
        if stream in self._named or len(self._named) - (OTHER in self._named) < self._named_streams:
            return stream
        return OTHER

    def forget(self, stream: str) -> None:
        """Drop the metrics of a stream that is gone, counters too: its label makes room for another stream."""
        if stream in self._named and stream != OTHER:
            del self._named[stream]
            for family in (*self._families, self.drifting):
                family.remove(stream)

    def learnt(
        self, stream: str, outcomes: Outcomes, coverage: Coverage, seconds: float, step_size: float,
        drifting: Callable[[], bool],
    ) -> None:  # fmt: skip
        """Count a durable batch that was learnt in `seconds`. `drifting` is called when the metrics are read."""
        label, count, of = self.label(stream), len(outcomes.version), self.of(stream)
        scored = ~np.isnan(outcomes.loss)
        of.events.inc(count)
        of.scored.inc(int(scored.sum()))
        of.loss.inc(float(outcomes.loss[scored].sum()))
        of.baseline_loss.inc(float(outcomes.baseline_loss[scored].sum()))
        of.judged.inc(int(coverage.judged.sum()))
        of.inside.inc(int(coverage.inside.sum()))
        of.anomalous.inc(int(np.count_nonzero(outcomes.anomaly > ANOMALOUS)))
        if outcomes.guarded.any():
            for bit, acted in self._guards.items():
                acted.inc(int(np.count_nonzero(outcomes.guarded & bit)))
        of.tangent_norm.set(float(outcomes.tangent_norm[-1]))
        of.gradient_norm.set(float(outcomes.gradient_norm[-1]))
        of.step_size.set(step_size)
        if label != OTHER:
            self.drifting.labels(label).set_function(drifting)
        self.update_seconds.observe_many(seconds / count, count)
        self.commit_events.observe(count)

    def answered(self, up: bool, used: float, limit: float) -> None:
        """What the store said to a scrape: whether it answers, the bytes that it uses and may use; NaN = unknown."""
        self.store_up.set(up)
        self.store_bytes.set(used)
        self.store_limit.set(limit)


def _kinds(error: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """All subclasses of an error, of theirs too."""
    for kind in error.__subclasses__():
        yield kind
        yield from _kinds(kind)
