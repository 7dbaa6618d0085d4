"""Answers of the Open Inference Protocol (KServe V2). Its requests are in `service/api/kserve/tensors.py`."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """What all of them have in common: nothing that is not named, and no type but the one that is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, ser_json_inf_nan="null")


class Server(Answer):
    """What answers here."""

    name: str
    version: str
    extensions: list[str]


class Live(Answer):
    """That there is an answer at all."""

    live: bool


class Ready(Answer):
    """Whether streams can be asked."""

    ready: bool


class ModelReady(Ready):
    """Whether a stream can be asked."""

    name: str


class Shape(Answer):
    """A tensor that is taken or given; -1 is a dimension that the request decides."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Answer):
    """A stream's tensors."""

    name: str
    versions: list[str]
    """The newest alone."""
    platform: str
    inputs: list[Shape]
    outputs: list[Shape]
    parameters: dict[str, str]
    """Names of the channels, in the order of the columns, and the datatype of `y`."""


class Output(Shape):
    """A tensor with its elements in row-major order, null where one is missing."""

    data: list[int | float | None] | None = None
    """Not there where the elements are binary;"""
    parameters: dict[str, int] | None = None
    """then there is `binary_data_size`, their number of bytes behind the JSON."""


class InferResponse(Answer):
    """A forecast, or what was predicted of events before they were learnt."""

    model_name: str
    model_version: str
    """Events learnt."""
    parameters: dict[str, Any] | None = None
    """`stale` as in a forecast, `pending` as in an outcome."""
    id: str | None = None
    """As in the request."""
    outputs: list[Output]
