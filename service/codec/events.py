"""Events of the wire, as the numbers that the learner reads."""

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...model import LARGEST, Config
from ..errors import BadEvent
from ..schemas import Event, ForecastRequest, Label

Float64 = npt.NDArray[np.float64]

FINGERPRINT = 16
"""The length of `EncodedEvent.fingerprint`, which precedes the outcome in a record of the store."""


class EncodedEvent(NamedTuple):
    """An event that fits its stream, as numbers."""

    id: str | None
    time: float
    """Seconds since the epoch; NaN = not given."""
    y: tuple[float, ...]
    """One number a target, in the order of the configuration; NaN = missing."""
    x: tuple[float, ...]
    """One number an input."""

    def fingerprint(self) -> bytes:
        """Bytes that tell this event from another with the same id: a hash of time and x, then one of y."""
        return _digest((self.time, *self.x)) + self.label()

    def label(self) -> bytes:
        """The second part of the fingerprint: the hash of y."""
        return _digest(self.y)


def encode_event(config: Config, event: Event | Label) -> EncodedEvent:
    """An event, or the label of an event, as the stream's learner reads it. Raises BadEvent."""
    if isinstance(event, Label):
        return EncodedEvent(event.label, math.nan, targets(config, event.y), ())
    if event.y is None and event.id is None:
        raise BadEvent("y is missing; an event whose label comes later needs an id to be labelled by", field="y")
    return EncodedEvent(
        id=event.id,
        time=math.nan if event.time is None else event.time.timestamp(),
        y=(math.nan,) * len(config.targets) if event.y is None else targets(config, event.y),
        x=channels("x", config.inputs, event.x or {}) if config.inputs or event.x else (),
    )


def targets(config: Config, y: Mapping[str, float | str | None]) -> tuple[float, ...]:
    """One number a target. Raises BadEvent."""
    return channels("y", config.targets, y if config.alphabet is None else indices(config.alphabet, y))


def _digest(numbers: tuple[float, ...]) -> bytes:
    return hashlib.blake2b(struct.pack(f"<{len(numbers)}d", *numbers), digest_size=FINGERPRINT // 2).digest()


def indices(alphabet: Sequence[str], values: Mapping[str, float | str | None]) -> dict[str, float | str | None]:
    """The index of each symbol in the alphabet. Raises BadEvent for a symbol that is not in it."""
    places = {symbol: float(place) for place, symbol in enumerate(alphabet)}
    if any(value is not None and value not in places for value in values.values()):
        raise BadEvent("y must be a symbol of the stream's alphabet, as text; see config.alphabet", field="y")
    return {name: places[value] if isinstance(value, str) else None for name, value in values.items()}


def channels(field: str, names: Sequence[str], values: Mapping[str, float | str | None]) -> tuple[float, ...]:
    """The values in the order of `names`, NaN for null. Raises BadEvent unless the names are exactly these."""
    numbers = []
    for name in names:
        value = values.get(name, name)  # a missing value becomes text, which is refused below
        if isinstance(value, str):
            raise _misfit(field, names, values)
        numbers.append(math.nan if value is None else float(value))
        if value is not None and abs(value) > LARGEST:
            raise BadEvent(f"every number in {field} must lie within ±{LARGEST:g}", field=field)
    if len(values) != len(names):
        raise _misfit(field, names, values)
    return tuple(numbers)


def _misfit(field: str, names: Sequence[str], values: Mapping[str, float | str | None]) -> BadEvent:
    """The error that says what is wrong with the channels of an event."""
    if missing := [name for name in names if name not in values]:
        return BadEvent(f"{field} lacks {', '.join(missing)}; send null for a value that is missing", field=field)
    if len(values) != len(names):
        expected = ", ".join(names) if names else "none"
        return BadEvent(f"{field} has a channel that this stream has not; its channels are: {expected}", field=field)
    return BadEvent(f"every value in {field} must be a number, without quotes", field=field)


def future(config: Config, request: ForecastRequest) -> Float64:
    """The inputs (H, inputs) of a forecast. Raises BadEvent."""
    return np.array([channels("x", config.inputs, step) for step in request.x]).reshape(len(request.x), -1)
