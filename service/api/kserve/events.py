"""Converts tensors, whose rows are events or steps, to events, and outcomes and forecasts to rows."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pydantic_core
from pydantic import ValidationError

from ....model import Config
from ...errors import BadEvent, TooLarge
from ...schemas import Event, Said
from ..parsing import parse
from .tensors import Input


def events(config: Config, inputs: Mapping[str, Input], most: int) -> list[Event]:
    """The rows of the inputs as events. Raises BadEvent, TooLarge."""
    if "y" not in inputs:
        raise BadEvent("to learn, send the targets as the input y", field="y")
    if config.alphabet is None:
        targets: list[list[Any]] = inputs["y"].numbers(len(config.targets)).tolist()
    else:
        targets = [[symbol] for symbol in inputs["y"].texts(1)]
    count = len(targets)
    if count > most:
        raise TooLarge(f"at most {most} events can be learnt at once", field="y")
    known = _column(inputs, "x", count, lambda x: x.numbers(len(config.inputs)).tolist())
    times = _column(inputs, "time", count, lambda time: time.numbers(None).tolist())
    ids = _column(inputs, "id", count, lambda name: name.texts(None))
    return [
        _event(
            y=named(config.targets, y),
            x=None if x is None else named(config.inputs, x),
            time=None if time is None or math.isnan(time) else _moment(time),
            id=event_id,
        )
        for y, x, time, event_id in zip(targets, known, times, ids, strict=True)
    ]


def _column(inputs: Mapping[str, Input], name: str, count: int, read: Callable[[Input], list[Any]]) -> list[Any]:
    if name not in inputs:
        return [None] * count
    values = read(inputs[name])
    if len(values) != count:
        raise BadEvent(f"the input {name} must have as many rows as y", field=name)
    return values


def _event(**fields: object) -> Event:
    try:
        return Event.model_validate(fields)
    except ValidationError:
        # Numbers and times are valid by now: an id or a symbol is empty or too long.
        return parse(Event, pydantic_core.to_json(fields))


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadEvent("the input time must have seconds since the epoch, as UTC has them", field="time") from None


def named(names: tuple[str, ...], row: list[Any]) -> dict[str, Any]:
    """Values by channel, None for NaN."""
    return {name: None if value != value else value for name, value in zip(names, row, strict=True)}


def row(config: Config, said: Mapping[str, Said]) -> list[float | None]:
    """The predictions of the targets in the order of the configuration; for symbols, a number each."""
    values = [said.get(target) for target in config.targets]
    if config.alphabet is None:
        return [None if isinstance(value, dict) else value for value in values]
    [chances] = values
    return [chances.get(symbol) if isinstance(chances, dict) else None for symbol in config.alphabet]
