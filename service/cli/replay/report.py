"""A replay as one HTML page that needs neither a service nor a network.

The charts are those of the live page (`static/charts.js`). A long series is thinned, because a chart has fewer pixels
across than the series has events. The newest events are shown in full as well.
"""

import json
import math
import re
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...schemas import Event, Outcome, Said, number
from ...web import assets
from .replay import Report

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

POINTS = 6_000
"""The most events that are drawn of one target."""
ALL_POINTS = 60_000
"""The most events that are drawn of all targets together, roughly."""
NEWEST = 1_000
"""Number of newest events that are drawn in full."""
MEAN_OF = 100
"""The fewest events in a running mean of the loss, as on the live page."""
MEANS = 200
"""The most running means without a common event: a longer series has more events in each mean."""
ANOMALY = 0.99
"""Anomaly scores above this are marked, as on the live page."""
DIGITS = 6
"""Significant digits of the numbers that are drawn."""

_SCRIPTS = ("charts.js", "format.js", "dom.js", "report/report.js")
_OF_TARGETS = ("actual", "predicted", "lower", "upper")
_OF_EVENTS = ("version", "time", "loss", "baseline", "anomaly")


class Recording:
    """The events and outcomes of a replay, with 8 bytes for each number."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        self._numbers = {name: array("d") for name in _OF_EVENTS}
        self._by_target = {name: array("d") for name in _OF_TARGETS}

    def add(self, event: Event, outcome: Outcome) -> None:
        """Add the next event and its outcome."""
        said: tuple[Mapping[str, Said | str], ...] = (event.values, outcome.prediction, outcome.lower, outcome.upper)
        for column, values in zip(self._by_target.values(), said, strict=True):
            column.extend(_float(number(values.get(target))) for target in self.targets)
        time = math.nan if event.time is None else event.time.timestamp()
        of_event = (outcome.version, time, outcome.loss, outcome.baseline_loss, outcome.anomaly)
        for column, value in zip(self._numbers.values(), of_event, strict=True):
            column.append(_float(value))

    def event_columns(self) -> dict[str, Float64]:
        """`version`, `time` in seconds, `loss`, `baseline` and `anomaly`, each (T,); NaN where there is nothing."""
        return {name: np.array(column) for name, column in self._numbers.items()}

    def target_columns(self, target: str) -> dict[str, Float64]:
        """`actual`, `predicted`, `lower` and `upper` of one target, each (T,)."""
        place, step = self.targets.index(target), len(self.targets)
        return {name: np.array(column)[place::step] for name, column in self._by_target.items()}


def page(report: Report, recording: Recording, config: Mapping[str, Any]) -> str:
    """The page as HTML."""
    events = recording.event_columns()
    count = len(events["version"])
    views = [_view(f"all {count:,} events", recording, events, 0)]
    if count > 2 * NEWEST:
        views.append(_view(f"the newest {NEWEST:,}", recording, events, count - NEWEST))
    data = report.to_dict() | {
        "timed": _timed(events),
        "anomaly": ANOMALY,
        "config": dict(config),
        "views": views,
    }
    filled = {
        "style": assets.text("style.css"),
        "plotly": _inline(assets.plotly().read_text(encoding="utf-8")),
        # Without "<", the data cannot end the element that holds it.
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": _inline("\n".join(_without_imports(assets.text(name)) for name in _SCRIPTS)),
    }
    return re.sub(r"\{\{ (\w+) \}\}", lambda place: filled[place[1]], assets.text("report/report.html"))


def _timed(events: Mapping[str, Float64]) -> bool:
    """Whether time can be the axis: every event has a time, and times never go back."""
    return bool((np.diff(events["time"], prepend=-np.inf) >= 0.0).all())


def _view(name: str, recording: Recording, events: dict[str, Float64], start: int) -> dict[str, Any]:
    """The data of the charts for the events from index `start` on."""
    count = len(events["version"]) - start
    x = np.round(events["time"] * 1000.0) if _timed(events) else events["version"]
    most = max(100, min(POINTS, ALL_POINTS // len(recording.targets)))
    mean_of = max(MEAN_OF, count // MEANS)
    # Means begin where the view begins, but include events before it.
    means = {of: running_mean(events[of], mean_of)[start:] for of in ("loss", "baseline")}
    even = np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(np.int64))
    series = {}
    for target in recording.targets:
        columns = {of: column[start:] for of, column in recording.target_columns(target).items()}
        columns |= {"x": x[start:], "anomaly": events["anomaly"][start:]}
        places = telling(columns["actual"], columns["anomaly"], most)
        series[target] = {of: _json(column[places], exact=of == "x") for of, column in columns.items()}
    loss = {"x": _json(x[start:][even], exact=True)} | {of: _json(column[even]) for of, column in means.items()}
    return {"name": name, "events": count, "mean_of": mean_of, "series": series, "loss": loss}


def telling(actual: Float64, anomaly: Float64, most: int) -> Int64:
    """Indices of at most `most` events whose chart looks like that of all events, in order.

    They are the lowest, the highest and the most anomalous event of each of equal stretches.
    """
    count = len(actual)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, most // 3 + 1).astype(np.int64)
    kept: set[int] = set()
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        for column, pick in ((actual, np.nanargmin), (actual, np.nanargmax), (anomaly, np.nanargmax)):
            stretch = column[first:last]
            if not np.isnan(stretch).all():
                kept.add(first + int(pick(stretch)))
    return np.array(sorted(kept), dtype=np.int64)


def running_mean(values: Float64, width: int) -> Float64:
    """Running means over the last `width` values without NaN, shape (T,); NaN before the first value."""
    there = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(there, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(there)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    number = counts[last] - counts[first]
    return np.where(number > 0, (sums[last] - sums[first]) / np.maximum(number, 1), np.nan)


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _json(column: Float64, *, exact: bool = False) -> list[float | None]:
    numbers = (value if exact else float(f"{value:.{DIGITS}g}") for value in column.tolist())
    return [value if math.isfinite(value) else None for value in numbers]


def _inline(script: str) -> str:
    """A script for an HTML document: text that would end the script element, or begin a comment, is escaped."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _without_imports(module: str) -> str:
    """A module of `static/` without its imports, each of one line: in one script with the others it needs none."""
    return re.sub(r"^import .*\n", "", module, flags=re.MULTILINE)
