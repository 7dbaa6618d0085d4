"""How well a stream was predicted lately, for its status and its metrics."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...model import Outcomes

WINDOW = 1000
"""How many of the newest events count."""
NEWEST = 100
"""How many of the newest events drift is judged by, against the others in the window."""
ERRORS = 3.0
"""Drift: the newest loss exceeds the loss before by more than this many standard errors."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the window; None where there is no event to judge by."""

    events: int
    """Scored events in the window: those that this process has learnt or replayed, at most WINDOW."""
    loss: float | None
    baseline_loss: float | None
    skill: float | None
    """1 - √(loss/baseline): 0 is persistence, 1 is perfect."""
    coverage: float | None
    """Share of the measurements that lay inside their 90 % interval."""
    drift: bool
    """Whether the newest losses are clearly above the losses before."""


class Coverage(NamedTuple):
    """How many measurements of T events lay inside their 90 % intervals."""

    inside: npt.NDArray[np.int64]
    """(T,): measurements inside their interval."""
    judged: npt.NDArray[np.int64]
    """(T,): measurements that had an interval."""


def coverage(outcomes: Outcomes, targets: npt.NDArray[np.float64]) -> Coverage:
    """The coverage of the outcomes of events with `targets` (T, q). Symbols have no intervals."""
    if outcomes.lower.shape != targets.shape:
        nothing = np.zeros(len(targets), np.int64)
        return Coverage(nothing, nothing)
    judged = ~np.isnan(targets) & ~np.isnan(outcomes.lower)
    inside = judged & (outcomes.lower <= targets) & (outcomes.upper >= targets)
    return Coverage(np.count_nonzero(inside, axis=1), np.count_nonzero(judged, axis=1))


class Recent:
    """The newest outcomes of one stream, in a ring."""

    def __init__(self) -> None:
        self._rows = np.full((WINDOW, 4), np.nan)  # loss, baseline, measurements inside, measurements judged
        self._seen = 0
        self._version = 0

    def add(self, outcomes: Outcomes, covered: Coverage) -> None:
        """Add the outcomes of events, except those that were added before: a log may be replayed again."""
        scored = ~np.isnan(outcomes.loss) & (outcomes.version > self._version)
        self._version = max(self._version, int(outcomes.version[-1]))
        rows = np.column_stack([outcomes.loss, outcomes.baseline_loss, *covered])[scored][-WINDOW:]
        places = (self._seen + np.arange(len(rows))) % WINDOW
        self._rows[places] = rows
        self._seen += len(rows)

    def summary(self) -> Summary:
        """Means over the events in the window."""
        rows = self._ordered()
        count = len(rows)
        if count == 0:
            return Summary(0, None, None, None, None, drift=False)
        loss, baseline = float(rows[:, 0].mean()), float(rows[:, 1].mean())
        inside, judged = float(rows[:, 2].sum()), float(rows[:, 3].sum())
        return Summary(
            events=count,
            loss=loss,
            baseline_loss=baseline,
            skill=1.0 - math.sqrt(loss / baseline) if baseline > 0.0 else None,
            coverage=inside / judged if judged else None,
            drift=_drifted(rows[:, 0]),
        )

    def drifting(self) -> bool:
        """The `drift` of the summary."""
        return _drifted(self._ordered()[:, 0])

    def _ordered(self) -> npt.NDArray[np.float64]:
        """(n, 4): the rows of the n events so far, the newest last."""
        if self._seen < WINDOW:
            return self._rows[: self._seen]
        return np.roll(self._rows, -(self._seen % WINDOW), axis=0)


def _drifted(losses: npt.NDArray[np.float64]) -> bool:
    before, newest = losses[:-NEWEST], losses[-NEWEST:]
    if len(before) < NEWEST:
        return False
    error = math.sqrt(float(before.var()) / len(before) + float(newest.var()) / len(newest))
    return float(newest.mean()) > float(before.mean()) + ERRORS * error and error > 0.0
