"""Every metric of the service: name, unit, buckets, help. Nothing else creates one.

Losses are sums, so that any window can be asked for: rate(loss_sum)/rate(baseline_loss_sum) is the skill of a stream
against persistence over that window.
"""

from bisect import bisect_left

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from model import SHRUNK, SKIPPED, Outcomes

SECONDS = (
    50e-6, 100e-6, 200e-6, 350e-6, 500e-6, 750e-6, 1e-3, 1.5e-3, 2e-3, 3.5e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5,
    1.0, 2.0,
)
"""Bucket bounds in seconds: an update takes microseconds, a commit to a disk milliseconds."""

GUARDS = {SHRUNK: "shrunk", SKIPPED: "skipped"}
"""Label of each bit of `Outcomes.guarded`."""

OTHER = "other"
"""The label shared by the streams beyond the first `metric_streams`."""


class Durations(Histogram):
    """A histogram of seconds that takes many equal ones at once."""

    def observe_many(self, seconds: float, count: int) -> None:
        """The same as `count` calls of `observe(seconds)`. Only for a histogram without labels."""
        self._sum.inc(seconds * count)
        self._buckets[bisect_left(self._upper_bounds, seconds)].inc(count)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, named_streams: int) -> None:
        self.registry = CollectorRegistry()
        self._named_streams = named_streams
        self._named: set[str] = set()
        r = self.registry
        self.events = Counter("nobacktrack_events", "Events learnt and made durable.", ["stream"], registry=r)
        self.scored = Counter(
            "nobacktrack_scored_events", "Events whose prediction could be scored: a target had been seen before.",
            ["stream"], registry=r,
        )
        self.loss = Counter(
            "nobacktrack_loss_sum",
            "Sum of losses: squared error over the mean square of the target's changes so far, mean over targets.",
            ["stream"], registry=r,
        )
        self.baseline_loss = Counter(
            "nobacktrack_baseline_loss_sum", "The same sum for persistence: the last value as prediction.",
            ["stream"], registry=r,
        )
        self.duplicates = Counter(
            "nobacktrack_duplicates", "Events answered with the stored outcome of their id.", ["stream"], registry=r
        )
        self.deferred = Counter(
            "nobacktrack_deferred_events", "Events answered by their prediction, to be learnt with their label.",
            ["stream"], registry=r,
        )
        self.expired = Counter(
            "nobacktrack_expired_events", "Deferred events whose label did not come in time; learnt as missing.",
            ["stream"], registry=r,
        )
        self.conflicts = Counter(
            "nobacktrack_conflicts", "Commits refused because another replica was first; they are done again.",
            registry=r,
        )
        self.rewinds = Counter(
            "nobacktrack_rewinds", "Times a stream's head was found behind what this process had seen acknowledged.",
            registry=r,
        )
        self.checkpoints = Counter("nobacktrack_checkpoints", "Checkpoints written.", registry=r)
        self.damaged = Counter(
            "nobacktrack_damaged_checkpoints", "Checkpoints that could not be read; an older one was used.", registry=r
        )
        self.refused = Counter(
            "nobacktrack_refused", "Requests and events refused, by the error's type.", ["type"], registry=r
        )
        self.guards = Counter(
            "nobacktrack_guards", "Times a guard acted: tangent `shrunk` to its bound, or step `skipped`.",
            ["guard"], registry=r,
        )
        self.update_seconds = Durations(
            "nobacktrack_update_seconds", "Learning one event: predict, score, learn.", buckets=SECONDS, registry=r
        )
        self.commit_seconds = Histogram(
            "nobacktrack_commit_seconds", "Making one batch of events durable.", buckets=SECONDS, registry=r
        )
        self.request_seconds = Histogram(
            "nobacktrack_request_seconds", "Answering one HTTP request, until its last byte.",
            ["route", "method", "status"], buckets=SECONDS, registry=r,
        )  # fmt: skip
        self.websockets = Gauge("nobacktrack_websockets", "WebSocket connections that are open.", registry=r)
        self.queue = Gauge("nobacktrack_queued_events", "Events that wait to be learnt, in all streams.", registry=r)
        self.hot = Gauge("nobacktrack_hot_learners", "Learners in memory.", registry=r)
        self.hot_bytes = Gauge("nobacktrack_hot_bytes", "Bytes of the learners in memory.", registry=r)
        self.tangent_norm = Gauge(
            "nobacktrack_tangent_norm", "Size |v||w| of the tangent after the last event.", ["stream"], registry=r
        )
        self.gradient_norm = Gauge(
            "nobacktrack_gradient_norm", "Bound on the gradient's norm at the last event.", ["stream"], registry=r
        )
        self.ready = Gauge("nobacktrack_ready", "1 when the kernels are compiled and the store answers.", registry=r)

    def label(self, stream: str) -> str:
        """The stream's own name for the first `named_streams` of them, `other` for the rest."""
        if stream in self._named:
            return stream
        if len(self._named) < self._named_streams:
            self._named.add(stream)
            return stream
        return OTHER

    def forget(self, stream: str) -> None:
        """Drop the gauges of a stream that is gone; counters stay, as counters must."""
        if stream in self._named:
            for gauge in (self.tangent_norm, self.gradient_norm):
                gauge.remove(stream)
            self._named.discard(stream)

    def learnt(self, stream: str, outcomes: Outcomes, seconds: float) -> None:
        """Count a batch that was learnt in `seconds` and made durable."""
        label, count = self.label(stream), len(outcomes.version)
        scored = ~np.isnan(outcomes.loss)
        self.events.labels(label).inc(count)
        self.scored.labels(label).inc(int(scored.sum()))
        self.loss.labels(label).inc(float(outcomes.loss[scored].sum()))
        self.baseline_loss.labels(label).inc(float(outcomes.baseline_loss[scored].sum()))
        for bit, guard in GUARDS.items():
            self.guards.labels(guard).inc(int(np.count_nonzero(outcomes.guarded & bit)))
        self.tangent_norm.labels(label).set(float(outcomes.tangent_norm[-1]))
        self.gradient_norm.labels(label).set(float(outcomes.gradient_norm[-1]))
        self.update_seconds.observe_many(seconds / count, count)
