"""Bytes to wire types. What cannot be read becomes an error that says where and why, and never repeats the bytes."""

from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from service.errors import BadEvent, BadRequest
from service.schemas import Event, Label, Question

M = TypeVar("M", bound=BaseModel)

MANY = 16
"""A body with more errors than this is not of this shape at all; building each of them would cost more than reading."""


BARE: Any = {"include_url": False, "include_context": False, "include_input": False}
"""What pydantic may say of an error: nothing that was sent."""


def parse_message(body: bytes) -> Event | Label:
    """An event, or the label of one where the object has a `label`. Raises as `parse` does."""
    return _either(body, {"label": Label})


def parse_question(body: bytes) -> Event | Label | Question:
    """The same, or a question where the object has an `ask`."""
    return _either(body, {"label": Label, "ask": Question})


def _either(body: bytes, others: Mapping[str, type[M]]) -> Event | M:
    """An event; or, where an object has a field that an event has not, what that field makes of it."""
    try:
        return Event.model_validate_json(body)
    except ValidationError as error:
        unknown = {one["loc"][0] for one in error.errors(**BARE) if one["type"] == "extra_forbidden"}
        for field, schema in others.items():
            if field in unknown:
                return parse(schema, body)
        raise _translated(Event, error) from None


def parse(schema: type[M], body: bytes) -> M:
    """One JSON object. Raises BadRequest for what is not JSON, BadEvent for what is not of this shape."""
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise _translated(schema, error) from None


def _translated(schema: type[BaseModel], error: ValidationError) -> BadRequest:
    if error.error_count() > MANY:
        known = ", ".join(schema.model_fields)
        return BadEvent(f"the object has many fields that are not known; the fields are {known}")
    first = error.errors(**BARE)[0]
    if first["type"] == "json_invalid":
        return BadRequest("the body is not valid JSON in UTF-8 with finite numbers")
    # Only names that are ours are repeated: a path may hold keys that were sent.
    field = first["loc"][0] if first["loc"] and first["loc"][0] in schema.model_fields else None
    why = first["msg"][:1].lower() + first["msg"][1:]
    if field is None:
        return BadEvent(why)
    return BadEvent(f"{field}: {why}", field=str(field))


def parse_object(body: bytes) -> dict[str, object]:
    """One JSON object of any shape. Raises BadRequest."""
    try:
        values = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError:
        raise BadRequest("the body is not valid JSON in UTF-8 with finite numbers") from None
    if not isinstance(values, dict):
        raise BadRequest("the body must be a JSON object")
    return values
