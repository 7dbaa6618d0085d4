"""Sends a recorded series through a running service and scores the predictions."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from ...client.sync import Client
from ...errors import CommandError
from ...schemas import Event, Outcome, Problem
from ..scores import Scores
from .csv_events import Row


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a replay."""

    stream: str
    version: int
    """The version of the stream at the end."""
    events: int
    seconds: float
    """Seconds from the first event sent to the last outcome."""
    scores: Scores

    @property
    def events_per_second(self) -> float:
        """Events per second, over the whole replay."""
        return self.events / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The result as values for JSON."""
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
        """The result as a table; losses are root mean squared errors."""
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
    client: Client,
    stream: str,
    rows: Iterable[Row],
    targets: Sequence[str],
    progress: Callable[[int], None],
    record: Callable[[Event, Outcome], None] | None = None,
) -> Report:
    """Send rows to a stream that exists and score its predictions.

    `progress` gets the line reached, `record` gets each event and its outcome.

    Raises CommandError at the first row that the service refuses, and ClientError.
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
            raise CommandError(f"line {row.line} was refused: {answer.detail}")
        scores.add(row.event, answer)
        if record is not None:
            record(row.event, answer)
        count, version = count + 1, answer.version
        progress(row.line)
    return Report(stream, version, count, time.monotonic() - started, scores)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 10 else f"{value:,.1f}"
