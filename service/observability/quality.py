"""How a stream has been predicted lately: what its status says, beyond the learner itself."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...model import Outcomes

WINDOW = 1000
"""Events that are looked back at."""
NEWEST = 100
"""Of these, the ones that drift is judged by."""
ERRORS = 3.0
"""Standard errors by which their loss must exceed that of the ones before."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over the window; None where there is nothing to tell."""

    events: int
    """Scored events in the window: those that this process has learnt or replayed, at most WINDOW."""
    loss: float | None
    baseline_loss: float | None
    skill: float | None
    """1 - √(loss/baseline): 0 is persistence, 1 is perfect."""
    coverage: float | None
    """Share of the measurements that lay inside their 90 % interval."""
    drift: bool
    """Whether the newest losses are clearly above those before."""


class Coverage(NamedTuple):
    """How the 90 % intervals of T events fared."""

    inside: npt.NDArray[np.int64]
    """(T,): measurements that lay inside of theirs,"""
    judged: npt.NDArray[np.int64]
    """(T,): of so many for which there was one."""


def coverage(outcomes: Outcomes, targets: npt.NDArray[np.float64]) -> Coverage:
    """That of the outcomes of events with `targets` (T, q). Symbols have no intervals."""
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
        """Take the outcomes of events, but for those that were taken already.

        (A log may be replayed again.)
        """
        scored = ~np.isnan(outcomes.loss) & (outcomes.version > self._version)
        self._version = max(self._version, int(outcomes.version[-1]))
        rows = np.column_stack([outcomes.loss, outcomes.baseline_loss, *covered])[scored][-WINDOW:]
        places = (self._seen + np.arange(len(rows))) % WINDOW
        self._rows[places] = rows
        self._seen += len(rows)

    def summary(self) -> Summary:
        """Means over what is there."""
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
        """(n, 4): the rows that there are, the newest last."""
        if self._seen < WINDOW:
            return self._rows[: self._seen]
        return np.roll(self._rows, -(self._seen % WINDOW), axis=0)


def _drifted(losses: npt.NDArray[np.float64]) -> bool:
    before, newest = losses[:-NEWEST], losses[-NEWEST:]
    if len(before) < NEWEST:
        return False
    error = math.sqrt(float(before.var()) / len(before) + float(newest.var()) / len(newest))
    return float(newest.mean()) > float(before.mean()) + ERRORS * error and error > 0.0
