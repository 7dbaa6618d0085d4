"""Between what is on the wire and what the learner reads: events to numbers, outcomes to JSON."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model import LARGEST, Config, Forecast, Outcomes
from service.errors import BadEvent
from service.schemas import Event, ForecastRequest, Label, Said

Float64 = npt.NDArray[np.float64]

FINGERPRINT = 16
"""Bytes of `Arrival.fingerprint`, which precede the outcome in a record of the store."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that fits its stream, as numbers."""

    id: str | None
    time: float
    """Seconds since the epoch; NaN = not given."""
    y: tuple[float, ...]
    """One number a target, in the order of the configuration; NaN = missing."""
    x: tuple[float, ...]
    """One number an input."""

    def fingerprint(self) -> bytes:
        """Bytes that tell this event from another with the same id: first those of what it came with, then of y."""
        return _print((self.time, *self.x)) + self.label()

    def label(self) -> bytes:
        """The part that is about y."""
        return _print(self.y)


def arrival(config: Config, event: Event | Label) -> Arrival:
    """The event as the stream's learner reads it, or what a label says of one. Raises BadEvent."""
    if isinstance(event, Label):
        return Arrival(event.label, math.nan, targets(config, event.y), ())
    if event.y is None and event.id is None:
        raise BadEvent("y is missing; an event whose label comes later needs an id to be labelled by", field="y")
    return Arrival(
        id=event.id,
        time=math.nan if event.time is None else event.time.timestamp(),
        y=(math.nan,) * len(config.targets) if event.y is None else targets(config, event.y),
        x=channels("x", config.inputs, event.x or {}),
    )


def targets(config: Config, y: Mapping[str, float | str | None]) -> tuple[float, ...]:
    """One number a target. Raises BadEvent."""
    return channels("y", config.targets, y if config.alphabet is None else indices(config.alphabet, y))


def _print(numbers: tuple[float, ...]) -> bytes:
    return hashlib.blake2b(np.array(numbers).tobytes(), digest_size=FINGERPRINT // 2).digest()


def indices(alphabet: Sequence[str], values: Mapping[str, float | str | None]) -> dict[str, float | str | None]:
    """The place of each symbol in the alphabet. Raises BadEvent for one that is not in it."""
    places = {symbol: float(place) for place, symbol in enumerate(alphabet)}
    if any(value is not None and value not in places for value in values.values()):
        raise BadEvent("y must be a symbol of the stream's alphabet, as text; see config.alphabet", field="y")
    return {name: places[value] if isinstance(value, str) else None for name, value in values.items()}


def channels(field: str, names: Sequence[str], values: Mapping[str, float | str | None]) -> tuple[float, ...]:
    """The values in the order of `names`, NaN for null. Raises BadEvent unless the names are exactly these."""
    if values.keys() != set(names):
        expected = ", ".join(names) if names else "none"
        if missing := [name for name in names if name not in values]:
            raise BadEvent(f"{field} lacks {', '.join(missing)}; send null for a value that is missing", field=field)
        raise BadEvent(f"{field} has a channel that this stream has not; its channels are: {expected}", field=field)
    if any(isinstance(value, str) for value in values.values()):
        raise BadEvent(f"every value in {field} must be a number, without quotes", field=field)
    numbers = tuple(math.nan if (value := values[name]) is None else float(value) for name in names)
    if any(abs(number) > LARGEST for number in numbers):
        raise BadEvent(f"every number in {field} must lie within ±{LARGEST:g}", field=field)
    return numbers


def future(config: Config, request: ForecastRequest) -> Float64:
    """The inputs (H, inputs) of a forecast. Raises BadEvent."""
    return np.array([channels("x", config.inputs, step) for step in request.x]).reshape(len(request.x), -1)


class OutcomeWriter:
    """Writes outcomes of one configuration as JSON (schemas.Outcome), a few microseconds each."""

    def __init__(self, config: Config) -> None:
        self._keys = [json.dumps(name) + ":" for name in config.targets]
        self._symbols = [json.dumps(symbol) + ":" for symbol in config.alphabet or ()]
        self._with_next = not config.inputs

    def write(self, ids: Sequence[str | None], outcomes: Outcomes) -> list[bytes]:
        """One JSON object an event."""
        fields = (*outcomes[:7], outcomes.next)
        rows = zip(ids, *(field.tolist() for field in fields), strict=True)
        return [self._one(*row).encode() for row in rows]

    def _one(
        self, event_id: str | None, version: int, prediction: list[float], lower: list[float], upper: list[float],
        loss: float, baseline: float, anomaly: float, following: list[float],
    ) -> str:  # fmt: skip
        return (
            f'{{"id":{"null" if event_id is None else json.dumps(event_id)},"version":{version},'
            f'"prediction":{self._named(prediction)},"lower":{self._named(lower)},"upper":{self._named(upper)},'
            f'"loss":{_number(loss)},"baseline_loss":{_number(baseline)},"anomaly":{_number(anomaly)},'
            f'"next":{self._named(following) if self._with_next else "null"}}}'
        )

    def _named(self, values: list[float]) -> str:
        if self._symbols:
            return "{" + self._keys[0] + (_object(self._symbols, values) if math.isfinite(values[0]) else "null") + "}"
        return _object(self._keys, values)


def _object(keys: list[str], values: list[float]) -> str:
    return "{" + ",".join(key + _number(value) for key, value in zip(keys, values, strict=True)) + "}"


def _number(value: float) -> str:
    """JSON has neither NaN nor infinity."""
    return repr(value) if math.isfinite(value) else "null"


def steps(config: Config, forecast: Forecast) -> list[dict[str, dict[str, Said]]]:
    """A forecast as schemas.Step objects."""

    def named(row: Float64) -> dict[str, Said]:
        values = [value if math.isfinite(value) else None for value in row.tolist()]
        if config.alphabet is None:
            return dict(zip(config.targets, values, strict=True))
        return {config.targets[0]: None if None in values else dict(zip(config.alphabet, values, strict=True))}

    rows = zip(*forecast, strict=True)
    return [{"mean": named(mean), "lower": named(lower), "upper": named(upper)} for mean, lower, upper in rows]
