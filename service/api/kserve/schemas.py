"""Answers of the Open Inference Protocol (KServe V2). Its requests are in `service/api/kserve/tensors.py`."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """The common configuration: no unknown fields, exact types."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, ser_json_inf_nan="null", use_attribute_docstrings=True
    )


class Server(Answer):
    """The server."""

    name: str
    """Name of the server."""
    version: str
    """Version of the interface."""
    extensions: list[str]
    """Extensions of the protocol that the server knows."""


class Live(Answer):
    """Whether the process is alive."""

    live: bool
    """Always true: a process that is not alive does not answer."""


class Ready(Answer):
    """Whether the service can predict and learn."""

    ready: bool
    """Always true: a service that is not ready answers 503."""


class ModelReady(Ready):
    """Whether a stream can predict and learn."""

    name: str
    """Name of the stream."""


class Shape(Answer):
    """Name, type and shape of a tensor."""

    name: str
    """Name of the tensor."""
    datatype: str
    """Type of its elements, in the protocol's words."""
    shape: list[int]
    """Its dimensions; -1 is one that the request decides."""


class ModelMetadata(Answer):
    """A stream's tensors."""

    name: str
    """Name of the stream."""
    versions: list[str]
    """The newest version alone: older ones cannot be asked."""
    platform: str
    """Kind of the model."""
    inputs: list[Shape]
    """Tensors that a forecast takes."""
    outputs: list[Shape]
    """Tensors that a forecast gives."""
    parameters: dict[str, str]
    """Names of the channels, in the order of the columns, and the datatype of `y`."""


class Output(Shape):
    """A tensor with its elements."""

    data: list[int | float | None] | None = None
    """The elements in row-major order, null where one is missing; absent where the elements are binary."""
    parameters: dict[str, int] | None = None
    """For binary elements, `binary_data_size`: how many bytes they have behind the JSON."""


class InferResponse(Answer):
    """A forecast, or the predictions of events before they were learnt."""

    model_name: str
    """Name of the stream."""
    model_version: str
    """Events learnt."""
    parameters: dict[str, Any] | None = None
    """`stale` as in a forecast, `pending` as in an outcome."""
    id: str | None = None
    """The `id` of the request."""
    outputs: list[Output]
    """The tensors that the request asked for."""
