"""Events and outcomes since the demo started, for its screen and its log lines."""

import math
import statistics
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ...schemas import Event, Outcome, number
from ..scores import Scores

RECENT = 300
"""Number of events behind the recent figures."""
SHOWN = 30
"""Number of events in a sparkline."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean losses over some events; None before any could be scored."""

    loss: float | None = None
    """Mean loss of the learner."""
    baseline: float | None = None
    """Mean loss of persistence."""

    @classmethod
    def of(cls, total: float, baseline_total: float, events: int) -> "Losses":
        """Means, from sums over `events` events."""
        return cls(total / events, baseline_total / events) if events else cls()

    @property
    def ratio(self) -> float | None:
        """Root of `loss` over root of `baseline`: below 1, the learner is better."""
        if self.loss is None or not self.baseline:
            return None
        return math.sqrt(self.loss / self.baseline)


class History:
    """One run of the demo, in bounded memory."""

    def __init__(self, units: Mapping[str, str]) -> None:
        """`units`: the targets, and the unit of each."""
        self.units = units
        self.started = time.monotonic()
        self.version = 0
        """Events that the stream has learnt, in all runs."""
        self.events = 0
        self.event: Event | None = None
        self.outcome: Outcome | None = None
        self.actual: dict[str, deque[float | None]] = {name: deque(maxlen=SHOWN) for name in units}
        self.predicted: dict[str, deque[float | None]] = {name: deque(maxlen=SHOWN) for name in units}
        self.scores = Scores(units)
        """Errors of each target in its own unit, over this run."""
        self.update_seconds: float | None = None
        """Mean time that the service needs to learn an event, by its own measure."""
        self._round_trips: deque[float] = deque(maxlen=RECENT)
        self._scored = 0
        self._loss = 0.0
        self._baseline = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def add(self, event: Event, outcome: Outcome, round_trip: float) -> None:
        """Add an event, its outcome, and the seconds between sending the event and receiving the outcome."""
        self.events += 1
        self.event, self.outcome, self.version = event, outcome, outcome.version
        self.scores.add(event, outcome)
        self._round_trips.append(round_trip)
        for name in self.units:
            self.actual[name].append(number(event.values.get(name)))
            self.predicted[name].append(number(outcome.prediction.get(name)))
        if outcome.loss is not None and outcome.baseline_loss is not None:
            self._scored += 1
            self._loss += outcome.loss
            self._baseline += outcome.baseline_loss
            self._recent.append((outcome.loss, outcome.baseline_loss))

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def round_trip(self) -> float | None:
        """Median of the recent round trips, in seconds."""
        return statistics.median(self._round_trips) if self._round_trips else None

    @property
    def losses(self) -> Losses:
        """Losses over this run."""
        return Losses.of(self._loss, self._baseline, self._scored)

    @property
    def recent_losses(self) -> Losses:
        """Losses over the last RECENT events of this run."""
        return Losses.of(sum(a for a, _ in self._recent), sum(b for _, b in self._recent), len(self._recent))
