"""A recorded series through a running service, and how well it was predicted."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from service.client import Client
from service.csv_events import Row
from service.failure import Failure
from service.schemas import Event, Outcome, Problem


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
        """The same of the last value as prediction."""
        return math.sqrt(self.persistence_squares / self.scored) if self.scored else None

    @property
    def ratio(self) -> float | None:
        """Of the two; None where persistence is never wrong."""
        return math.sqrt(self.squares / self.persistence_squares) if self.persistence_squares else None


class Scores:
    """The scores of all targets of a stream."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = {name: Score() for name in targets}
        self._last: dict[str, float] = {}

    def add(self, event: Event, outcome: Outcome) -> None:
        """Take the next event and its outcome."""
        for name, score in self.targets.items():
            actual, prediction, last = event.y.get(name), outcome.prediction.get(name), self._last.get(name)
            if actual is None:
                continue
            if prediction is not None and last is not None:
                score.add(actual, prediction, last)
            self._last[name] = actual

    @property
    def ratio(self) -> float | None:
        """Of all targets together: the root of the mean of their squared ratios."""
        ratios = [score.ratio for score in self.targets.values() if score.ratio is not None]
        return math.sqrt(sum(ratio**2 for ratio in ratios) / len(ratios)) if ratios else None


@dataclass(frozen=True, slots=True)
class Report:
    """How a replay went."""

    stream: str
    version: int
    """Of the stream, at the end."""
    events: int
    seconds: float
    """From the first event sent to the last outcome."""
    scores: Scores

    @property
    def events_per_second(self) -> float:
        """Throughput."""
        return self.events / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return {
            "stream": self.stream,
            "version": self.version,
            "events": self.events,
            "seconds": self.seconds,
            "events_per_second": self.events_per_second,
            "targets": {
                name: {
                    "scored": score.scored,
                    "rmse": score.rmse,
                    "persistence_rmse": score.persistence_rmse,
                    "ratio": score.ratio,
                }
                for name, score in self.scores.targets.items()
            },
            "ratio": self.scores.ratio,
        }

    def to_table(self) -> Table:
        """The same for people; losses are root mean squared errors."""
        table = Table(title=f"{self.stream}, version {self.version}")
        table.add_column("target")
        for heading in ("events", "events/s", "loss (RMSE)", "persistence's", "ratio"):
            table.add_column(heading, justify="right")
        speed = f"{self.events_per_second:,.0f}"
        for name, score in self.scores.targets.items():
            table.add_row(
                name, f"{self.events:,}", speed, _text(score.rmse), _text(score.persistence_rmse), _text(score.ratio)
            )
        if len(self.scores.targets) > 1:
            table.add_row("all", f"{self.events:,}", speed, "", "", _text(self.scores.ratio), style="bold")
        return table


def replay(
    client: Client, stream: str, rows: Iterable[Row], targets: Sequence[str], progress: Callable[[int], None]
) -> Report:
    """Send rows to a stream that exists and score its predictions; `progress` is told the line reached.

    Raises Failure at the first row that the service refuses, and ClientError.
    """
    sent: deque[Row] = deque()

    def events() -> Iterator[Event]:
        for row in rows:
            sent.append(row)
            yield row.event

    scores = Scores(targets)
    count = version = 0
    started = time.monotonic()
    for answer in client.observe_many(stream, events()):
        row = sent.popleft()
        if isinstance(answer, Problem):
            raise Failure(f"line {row.line} was refused: {answer.detail}")
        scores.add(row.event, answer)
        count, version = count + 1, answer.version
        progress(row.line)
    return Report(stream, version, count, time.monotonic() - started, scores)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 10 else f"{value:,.1f}"
