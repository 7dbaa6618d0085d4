"""Outcomes of events and steps of forecasts, as JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydantic_core import to_json

from ...model import Config, Forecast, Outcomes
from ..schemas import Said
from . import segments

Float64 = npt.NDArray[np.float64]


FIRST_SECOND, END_SECOND = -62_135_596_800.0, 253_402_300_800.0
"""The first second of the year 1, and that of the year 10000, since the epoch."""


class OutcomeWriter:
    """Writes outcomes of one configuration as JSON (schemas.Outcome).

    Whole columns of numbers are written at once and then put into rows: a microsecond or two an event.
    """

    def __init__(self, config: Config) -> None:
        self._blind = bool(config.inputs)
        self._alphabet = None if config.alphabet is None else [to_json(symbol) for symbol in config.alphabet]
        self._measured = targets = _form(config.targets)
        self._form = targets if config.alphabet is None else targets % _form(config.alphabet)
        self._unknown = None if config.alphabet is None else targets % b"null"

    def write(self, ids: Sequence[str | None], outcomes: Outcomes) -> list[bytes]:
        """One JSON object an event. NaN and infinity become null, because JSON has neither."""
        columns = (
            [b"null" if name is None else to_json(name) for name in ids],
            outcomes.version.tolist(),
            self._values(outcomes.prediction),
            self._values(outcomes.lower),
            self._values(outcomes.upper),
            _numbers(outcomes.loss),
            _numbers(outcomes.baseline_loss),
            _numbers(outcomes.anomaly),
            [b"null"] * len(ids) if self._blind else self._values(outcomes.next),
        )
        return [_OUTCOME % row for row in zip(*columns, strict=True)]

    def with_event(self, lines: Iterable[bytes], events: segments.Events) -> list[bytes]:
        """Outcomes together with their events, as JSON (schemas.Seen)."""
        if self._alphabet is None:
            numbers = iter(_numbers(events.Y))
        else:
            places = events.Y.ravel()
            numbers = iter([b"null" if math.isnan(place) else self._alphabet[int(place)] for place in places])
        measured = zip(*[numbers] * events.Y.shape[1], strict=True)
        return [
            b'%b,"time":%b,"y":%b}' % (line[:-1], time, self._measured % row)
            for line, time, row in zip(lines, _times(events.times), measured, strict=True)
        ]

    def _values(self, rows: Float64) -> list[bytes]:
        """The values of the targets, for each row: a number a target, or a probability a symbol; null where unknown."""
        numbers = iter(_numbers(rows))
        written = [self._form % row for row in zip(*[numbers] * rows.shape[1], strict=True)]
        if self._unknown is not None:
            for row in np.flatnonzero(~np.isfinite(rows[:, 0])).tolist():
                written[row] = self._unknown
        return written


@dataclass(frozen=True)
class Answers:
    """The answers to a batch of events."""

    writer: OutcomeWriter
    ids: Sequence[str | None]
    outcomes: Outcomes

    @cached_property
    def lines(self) -> list[bytes]:
        """The outcome of each event, as JSON. Written at the first use."""
        return self.writer.write(self.ids, self.outcomes)


_OUTCOME = (
    b'{"id":%b,"version":%d,"prediction":%b,"lower":%b,"upper":%b,"loss":%b,"baseline_loss":%b,"anomaly":%b,"next":%b}'
)


def _form(names: Sequence[str]) -> bytes:
    """A JSON object of these names, with a place for each value."""
    return b"{" + b",".join(to_json(name).replace(b"%", b"%%") + b":%b" for name in names) + b"}"


def _numbers(values: Float64) -> list[bytes]:
    """Every number as JSON."""
    return to_json(values.ravel().tolist(), inf_nan_mode="null")[1:-1].split(b",") if values.size else []


def _times(seconds: Float64) -> list[bytes]:
    """Times as JSON: ISO 8601 to the microsecond, as exact as they came; null where no time was given.

    Also null outside of the years 1 to 9999, which only logs of older versions hold.
    """
    given = (seconds >= FIRST_SECOND) & (seconds < END_SECOND)
    rounded = np.round(np.where(given, seconds, 0.0) * 1e6).astype("datetime64[us]")
    written = np.datetime_as_string(rounded, timezone="UTC").tolist()
    return [
        b'"%b"' % time.replace(".000000Z", "Z").encode() if there else b"null"
        for time, there in zip(written, given.tolist(), strict=True)
    ]


def steps(config: Config, forecast: Forecast) -> list[dict[str, dict[str, Said]]]:
    """A forecast as schemas.Step objects."""

    def named(row: Float64) -> dict[str, Said]:
        values = [value if math.isfinite(value) else None for value in row.tolist()]
        if config.alphabet is None:
            return dict(zip(config.targets, values, strict=True))
        return {config.targets[0]: None if None in values else dict(zip(config.alphabet, values, strict=True))}

    rows = zip(*forecast, strict=True)
    return [{"mean": named(mean), "lower": named(lower), "upper": named(upper)} for mean, lower, upper in rows]
