"""The demo's output: a screen for a terminal of at least 80 columns and 24 lines, a plain line elsewhere."""

import time
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...schemas import number
from .history import RECENT, SHOWN, History

BARS = "▁▂▃▄▅▆▇█"


def screen(history: History, subject: str) -> RenderableType:
    """All figures of the run so far. `subject` names the source and the service."""
    elapsed = time.strftime("%H:%M:%S", time.gmtime(history.elapsed))
    return Group(
        Text(f"{subject} · version {history.version} · {elapsed} · Ctrl-C stops", style="bold"),
        _targets(history),
        Text(),
        _recent(history),
        Text(),
        _losses(history),
        Text(f"update {_time(history.update_seconds)} · round trip {_time(history.round_trip)}"),
    )


def line(history: History) -> str:
    """The main figures in one line."""
    losses = history.losses
    return (
        f"version {history.version}: loss {_number(losses.loss)}, persistence {_number(losses.baseline)}, "
        f"ratio of roots {_number(losses.ratio)}, update {_time(history.update_seconds)}, "
        f"round trip {_time(history.round_trip)}"
    )


def closing(history: History) -> str:
    """The summary at the end."""
    ratio = history.losses.ratio
    error = "" if ratio is None else f"; its error was {ratio:.2f} of persistence's"
    return f"stopped at version {history.version}, {history.events} events after the start{error}"


def sparkline(values: Iterable[float | None], low: float, high: float) -> str:
    """A bar for each value, between `low` and `high`; a blank for a missing value."""
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None else BARS[round((min(max(value, low), high) - low) * scale)] for value in values
    )


def _targets(history: History) -> Table:
    table = _table("target", "actual", "predicted", "error", "next", "ratio")
    event, outcome = history.event, history.outcome
    for name, unit in history.units.items():
        actual = None if event is None else number(event.values.get(name))
        predicted = None if outcome is None else number(outcome.prediction.get(name))
        following = None if outcome is None or outcome.next is None else number(outcome.next.get(name))
        table.add_row(
            f"{name} {unit}",
            _number(actual),
            _number(predicted),
            _number(None if actual is None or predicted is None else predicted - actual),
            _number(following),
            _ratio(history.scores.targets[name].ratio),
        )
    return table


def _recent(history: History) -> Table:
    table = _table("")
    table.add_column("actual, recently", style="cyan", min_width=SHOWN)
    table.add_column("predicted, recently", style="magenta", min_width=SHOWN)
    for name in history.units:
        # Both sparklines have one scale, so that they can be compared.
        seen = [value for value in history.actual[name] if value is not None] or [0.0]
        table.add_row(
            name,
            sparkline(history.actual[name], min(seen), max(seen)),
            sparkline(history.predicted[name], min(seen), max(seen)),
        )
    return table


def _losses(history: History) -> Table:
    table = _table("", "loss", "persistence", "ratio of roots")
    for name, losses in (("this run", history.losses), (f"last {RECENT} events", history.recent_losses)):
        table.add_row(name, _number(losses.loss), _number(losses.baseline), _ratio(losses.ratio))
    return table


def _table(first: str, *rest: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(first, min_width=15)
    for heading in rest:
        table.add_column(heading, justify="right", min_width=9)
    return table


def _ratio(ratio: float | None) -> Text:
    """The ratio of the learner's error to that of persistence: green where the learner is better."""
    return Text(_number(ratio), "" if ratio is None else "green" if ratio < 1 else "yellow")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.2f} ms"
