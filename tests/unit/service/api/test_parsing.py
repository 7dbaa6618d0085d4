"""What is read twice in different ways is not read at all: names that an object has twice."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nobacktrack.service.api.kserve.tensors import InferRequest
from nobacktrack.service.api.parsing import parse, parse_message, parse_object, parse_question
from nobacktrack.service.errors import BadRequest
from nobacktrack.service.schemas import CloneRequest, Event, ForecastRequest, Label, Truth

INNER = "an object in the body has a name twice"
TENSOR = {"name": "x", "shape": [1], "datatype": "FP64", "data": [[1]], "parameters": {"name": {"name": 1}}}

TWICE: list[tuple[Any, str, str, str | None]] = [
    # what reads it, what is read, what is said, the field
    (parse_message, '{"y":{"a":1},"y":{"a":2}}', "y is there twice", "y"),
    (parse_message, '{"y":{"a":1},"y":{"a":1}}', "y is there twice", "y"),
    (parse_message, '{"y":{"a":1,"a":2}}', INNER, None),
    (parse_message, '{"y":{"a":1},"x":{"b":1,"c":2,"b":3}}', INNER, None),
    (parse_message, '{"id":"1","y":{"a":1},"id":"1"}', "id is there twice", "id"),
    # With what is counted hidden by spaces, escapes, and texts that look like names.
    (parse_message, '{"y":{"a":1,"a" :2}}', INNER, None),
    (parse_message, '{"y":{"a":1},"y"\t\n:{"a":2}}', "y is there twice", "y"),
    (parse_message, '{"y":{"a":1,"\\u0061":2}}', INNER, None),
    (parse_message, '{"y":{"a":1},"id":":\\":","\\u0079"\r:{"a":2}}', "y is there twice", "y"),
    (parse_message, '{"y":{"\\":":1,"\\":" :2}}', INNER, None),
    (parse_message, '{"label":"1","y":{"a":1},"label":"2"}', "label is there twice", "label"),
    (parse_message, '{"label":"1","y":{"a":1,"a":1}}', INNER, None),
    (parse_question, '{"ask":"version","ask":"version"}', "ask is there twice", "ask"),
    (parse_object, '{"units":8,"units":9}', "the object has a name twice", None),
    (parse_object, '{"a":{"units":8,"units":9}}', INNER, None),
    (lambda body: parse(Truth, body), '{"y":{"a":1},"y":{"a":1}}', "y is there twice", "y"),
    (lambda body: parse(ForecastRequest, body), '{"x":[{"a":1},{"a":1,"a":2}]}', INNER, None),
    (lambda body: parse(CloneRequest, body), '{"name":"t","config":{"a":[{"b":1,"b":2}]}}', INNER, None),
    (lambda body: parse(InferRequest, body), '{"new":{"a":1,"a":2}}', INNER, None),
    (lambda body: parse(InferRequest, body), '{"new":1,"inputs":[],"new":2}', "the object has a name twice", None),
]  # fmt: skip


@pytest.mark.parametrize(("read", "text", "detail", "field"), TWICE)
def test_a_name_that_is_there_twice_is_refused(read: Any, text: str, detail: str, field: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        read(text.encode())
    assert type(refused.value) is BadRequest
    assert (refused.value.detail, refused.value.field) == (detail, field)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parse_message, '{"id":":","y":{"a":1}}'),
        (parse_message, '{"id":"\\":","y":{"a":1,":":2,"\\":":3}}'),
        (parse_message, '{"id":"\\" :", "time" : "2026-01-01T00:00:00+01:00", "y" :{ "a": 1 } }'),
        (parse_message, '{"label":"12:00","y":{"y":1}}'),
        (parse_question, '{ "ask" : "version" }'),
        (parse_object, '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}'),
        (parse_object, '{"units":' + "9" * 4200 + "}"),
        (lambda body: parse(ForecastRequest, body), '{"x":[{"a":1},{"a":1}]}'),
        (lambda body: parse(InferRequest, body), json.dumps({"inputs": [TENSOR, TENSOR], "more": {"inputs": 1}})),
    ],
)
def test_what_only_looks_like_it_is_not(read: Any, text: str) -> None:
    read(text.encode())


NAMES = st.sampled_from(["a", "b", ":", '":', '" :', "é"])
VALUES = st.sampled_from(["1", "null", "-2.5e3"])
SPACE = st.sampled_from(["", "", "", " ", "\t\n"])


@st.composite
def objects(draw: st.DrawFn) -> str:
    """A mapping as JSON text, perhaps with a name twice, written in many ways."""
    names = draw(st.lists(NAMES, max_size=4))
    written = [json.dumps(name, ensure_ascii=draw(st.booleans())) for name in names]
    return "{" + ",".join(f"{name}{draw(SPACE)}:{draw(SPACE)}{draw(VALUES)}" for name in written) + "}"


@st.composite
def messages(draw: st.DrawFn) -> str:
    """An event or a label as JSON text, perhaps with a field twice."""
    text = st.sampled_from(["1", ":", '":', '" :', '","y":']).map(json.dumps)
    fields = {"y": objects(), "x": objects(), "id": text, "time": st.just('"2026-01-01T00:00:00Z"'), "label": text}
    named = draw(st.lists(st.sampled_from(list(fields)), max_size=5))
    return "{" + ",".join(f'"{name}"{draw(SPACE)}:{draw(SPACE)}{draw(fields[name])}' for name in named) + "}"


def has_twice(text: str) -> bool:
    """As the standard library sees it."""
    found = False

    def close(pairs: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) < len(pairs)

    json.loads(text, object_pairs_hook=close)
    return found


@given(messages())
def test_exactly_those_are_refused(text: str) -> None:
    """Nothing is read that has a name twice, and nothing else is refused for that."""
    refusal = ""
    try:
        read = parse_question(text.encode())
    except BadRequest as error:
        refusal = error.detail
    else:
        assert isinstance(read, Event | Label)
    if "twice" in refusal or not refusal:
        assert has_twice(text) == bool(refusal)
