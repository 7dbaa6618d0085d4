"""Bytes to wire types. Invalid bytes become an error that says where and why, and never repeats them.

An object that has a name twice is refused: parsers of JSON differ in which value they take. Pydantic takes the last one
silently. So the colons behind names are counted in the bytes, which takes a few tenths of a microsecond: there may be
no more of them than names were read.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from ..errors import BadEvent, BadRequest
from ..schemas import Event, Label, Question

M = TypeVar("M", bound=BaseModel)

MANY = 16
"""Most errors of a body that are described; building more of them would cost more than parsing."""
BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8, which some editors put first. RFC 8259 lets a reader pass over it."""
SPACE = b" \t\r\n"
"""White space between the parts of JSON."""
BARE: Any = {"include_url": False, "include_context": False, "include_input": False}
"""Options of pydantic's errors that leave out everything that was sent."""


def parse_message(body: bytes) -> Event | Label:
    """An event, or the label of one where the object has a `label`. Raises as `parse` does."""
    return _either(body, {"label": Label})


def parse_question(body: bytes) -> Event | Label | Question:
    """An event or a label, or a question where the object has an `ask`. Raises as `parse` does."""
    return _either(body, {"label": Label, "ask": Question})


def _either(body: bytes, others: Mapping[str, type[M]]) -> Event | M:
    """An event; or, where the object has a field of `others` that an event lacks, an object of that schema."""
    body = body.removeprefix(BOM)
    try:
        event = Event.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(**BARE) if error.error_count() <= MANY else []
        unknown = {one["loc"][0] for one in found if one["type"] == "extra_forbidden"}
        for field, schema in others.items():
            if field in unknown:
                return parse(schema, body)
        raise _translated(Event, error) from None
    # The count of `_names`, written out: this runs for each line of a bulk request.
    if _colons(body) != len(event.__pydantic_fields_set__) + len(event.y or ()) + len(event.x or ()):
        _check_once(body, Event.model_fields)
    return event


def parse(schema: type[M], body: bytes) -> M:
    """One JSON object. Raises BadRequest for what is not JSON, BadEvent for what is not of this shape."""
    body = body.removeprefix(BOM)
    try:
        read = schema.model_validate_json(body)
    except ValidationError as error:
        raise _translated(schema, error) from None
    if _colons(body) != _names(read):
        _check_once(body, schema.model_fields)
    return read


def _names(read: BaseModel) -> int:
    """A lower bound on the number of different names that were read: names in lists or ignored fields do not count."""
    return len(read.model_fields_set) + sum(len(value) for _, value in read if isinstance(value, dict))


def _colons(body: bytes) -> int:
    """An upper bound on the number of colons behind names in valid JSON: texts may hold the same bytes.

    If it equals the number of different names, none is there twice. If it is larger, the body has to be read again.
    """
    return body.translate(None, SPACE).count(b'":')


def _check_once(body: bytes, fields: Collection[str]) -> None:
    """Raise BadRequest if an object in valid JSON has a name twice. The error may repeat names of `fields` only."""
    closed: list[list[str]] = []

    def close(pairs: list[tuple[str, object]]) -> None:
        twice: list[str] = []
        if len(dict(pairs)) < len(pairs):
            twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        closed.append(twice)

    # Numbers do not matter here, and some are too long for this parser.
    json.loads(body, object_pairs_hook=close, parse_int=len, parse_float=len, strict=False)
    if not any(closed):
        return
    # The outermost object is closed last.
    field = next((name for name in closed[-1] if name in fields), None)
    if field is not None:
        raise BadRequest(f"{field} is there twice", field=field)
    raise BadRequest("the object has a name twice" if closed[-1] else "an object in the body has a name twice")


def _translated(schema: type[BaseModel], error: ValidationError) -> BadRequest:
    if error.error_count() > MANY:
        known = ", ".join(schema.model_fields)
        return BadEvent(f"the object has many unknown fields; the fields are {known}")
    first = error.errors(**BARE)[0]
    if first["type"] == "json_invalid":
        return BadRequest("the body is not valid JSON in UTF-8 with finite numbers")
    # Only our own names are repeated: a path may hold keys that were sent.
    field = first["loc"][0] if first["loc"] and first["loc"][0] in schema.model_fields else None
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        # The name that was sent is not repeated.
        return BadEvent(f"the object has a field that is not known; the fields are {', '.join(schema.model_fields)}")
    why = first["msg"][:1].lower() + first["msg"][1:]
    if field is None:
        return BadEvent(why)
    return BadEvent(f"{field}: {why}", field=str(field))


def parse_object(body: bytes) -> dict[str, object]:
    """One JSON object of any shape. Raises BadRequest."""
    body = body.removeprefix(BOM)
    try:
        values = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError:
        raise BadRequest("the body is not valid JSON in UTF-8 with finite numbers") from None
    if not isinstance(values, dict):
        raise BadRequest("the body must be a JSON object")
    _check_once(body, ())
    return values
