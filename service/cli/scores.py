"""How well the targets of a stream were predicted, compared with persistence, which predicts the last value."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ..schemas import Event, Outcome, number


@dataclass(slots=True)
class Score:
    """Squared errors of one target, over the events where prediction, actual and last value all exist."""

    scored: int = 0
    squares: float = 0.0
    persistence_squares: float = 0.0

    def add(self, actual: float, prediction: float, last: float) -> None:
        """Score one event against the prediction and against the last value."""
        self.scored += 1
        self.squares += (prediction - actual) ** 2
        self.persistence_squares += (last - actual) ** 2

    @property
    def rmse(self) -> float | None:
        """Root mean squared error, in the target's own unit."""
        return math.sqrt(self.squares / self.scored) if self.scored else None

    @property
    def persistence_rmse(self) -> float | None:
        """Root mean squared error of persistence, in the target's own unit."""
        return math.sqrt(self.persistence_squares / self.scored) if self.scored else None

    @property
    def ratio(self) -> float | None:
        """`rmse` over `persistence_rmse`; None where persistence is never wrong."""
        return math.sqrt(self.squares / self.persistence_squares) if self.persistence_squares else None


class Scores:
    """The scores of all targets of a stream."""

    def __init__(self, targets: Iterable[str]) -> None:
        self.targets = {name: Score() for name in targets}
        self._last: dict[str, float] = {}

    def add(self, event: Event, outcome: Outcome) -> None:
        """Take the next event and its outcome."""
        for name, score in self.targets.items():
            actual, last = number(event.values.get(name)), self._last.get(name)
            prediction = number(outcome.prediction.get(name))
            if actual is None:
                continue
            if prediction is not None and last is not None:
                score.add(actual, prediction, last)
            self._last[name] = actual

    @property
    def ratio(self) -> float | None:
        """The ratio over all targets: the root of the mean of their squared ratios."""
        ratios = [score.ratio for score in self.targets.values() if score.ratio is not None]
        return math.sqrt(sum(ratio**2 for ratio in ratios) / len(ratios)) if ratios else None
