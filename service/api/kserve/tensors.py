"""Tensors of the Open Inference Protocol (KServe V2): from a request to arrays, from arrays to a response.

A tensor's elements are in the JSON, flat or nested in row-major order, or (the extension `binary_tensor_data`) behind
it, one tensor after the other, little-endian. NaN is a missing value; JSON has null for it.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pydantic_core
from pydantic import BaseModel, ConfigDict, Field

from ...errors import BadEvent, BadRequest
from ..parsing import parse

Float64 = npt.NDArray[np.float64]
Numbers: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.int64]

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The HTTP header with the number of bytes that are JSON; without it, all are."""
BOOL = "BOOL"
DTYPES = {
    "FP64": "<f8", "FP32": "<f4", "FP16": "<f2",
    "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "<i1",
    "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "<u1", BOOL: "?",
}  # fmt: skip
"""Types of numbers, and how each lies in binary data."""
TEXT = "BYTES"
MAX_DIMENSIONS = 4


class Part(BaseModel):
    """A part of a request. Unknown fields are ignored: a newer protocol may add some."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, use_attribute_docstrings=True)


class Tensor(Part):
    """An input."""

    name: str
    """`x`; to learn, also `y`, `time` and `id`."""
    shape: list[int] = Field(max_length=MAX_DIMENSIONS)
    """Its dimensions, rows first."""
    datatype: str
    """Type of its elements: one of numbers, BOOL, or BYTES for texts."""
    data: list[Any] | None = None
    """The elements, flat or nested in row-major order; absent where they are binary."""
    parameters: dict[str, Any] = {}
    """For binary elements, `binary_data_size`: how many bytes they have behind the JSON."""


class Wanted(Part):
    """An output that the request asks for."""

    name: str
    """Name of the output."""
    parameters: dict[str, Any] = {}
    """`binary_data`: whether its elements come as bytes behind the JSON."""


class InferRequest(Part):
    """The body of an inference request."""

    id: str | None = None
    """Repeated in the answer."""
    parameters: dict[str, Any] = {}
    """`horizon`: steps to forecast; `learn`: whether to learn; `binary_data_output`: whether outputs come as bytes."""
    inputs: list[Tensor] = Field(default=[], max_length=16)
    """Tensors whose rows are steps or events."""
    outputs: list[Wanted] | None = Field(default=None, max_length=16)
    """Outputs to answer with; none, or an empty list, is all of them."""


def request_schema() -> dict[str, Any]:
    """The JSON schema of a request, in one piece: in an OpenAPI document, references to definitions lead nowhere."""
    schema = InferRequest.model_json_schema()
    parts = schema.pop("$defs")

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(one) for one in node]
        if isinstance(node, dict):
            return (
                whole(parts[node["$ref"].rpartition("/")[2]])
                if "$ref" in node
                else {name: whole(one) for name, one in node.items()}
            )
        return node

    described: dict[str, Any] = whole(schema)
    return described


@dataclass(frozen=True, slots=True)
class Input:
    """An input with its bytes, where it has any."""

    tensor: Tensor
    raw: bytes | None

    def numbers(self, columns: int | None) -> Float64:
        """The elements as (rows, columns), or (rows,) where `columns` is None; NaN where one is missing.

        A single column may be sent without its dimension. Raises BadEvent.
        """
        kind = DTYPES.get(self.tensor.datatype)
        if kind is None:
            raise self._bad(f"must have one of the datatypes {', '.join(DTYPES)}")
        if self.raw is None:
            values = np.array([self._number(one) for one in self._elements()], np.float64)
        else:
            if len(self.raw) % np.dtype(kind).itemsize:
                raise self._bad("has binary data of another length than its shape")
            values = np.frombuffer(self.raw, kind).astype(np.float64)
        if np.isinf(values).any():
            raise self._bad("must have finite numbers, or null where one is missing")
        return values.reshape(self._shape(len(values), columns))

    def texts(self, columns: int | None) -> list[str | None]:
        """The elements, of the datatype BYTES, in a row; `columns` as above. Raises BadEvent."""
        if self.tensor.datatype != TEXT:
            raise self._bad(f"must have the datatype {TEXT}")
        values = list(self._elements() if self.raw is None else self._unpacked(self.raw))
        if not all(one is None or isinstance(one, str) for one in values):
            raise self._bad("must have texts")
        self._shape(len(values), columns)
        return values

    def _shape(self, count: int, columns: int | None) -> tuple[int, ...]:
        """The shape that the elements have here; it must be the one that was sent."""
        shape = tuple(self.tensor.shape)
        if columns == 1 and len(shape) == 1:
            shape = (*shape, 1)
        wanted = "[T]" if columns is None else f"[T, {columns}]"
        if len(shape) != (1 if columns is None else 2) or (columns is not None and shape[1] != columns):
            raise self._bad(f"must have the shape {wanted}")
        if min(shape) < 0 or math.prod(shape) != count:
            raise self._bad("has another number of elements than its shape")
        return shape

    def _elements(self) -> Iterator[Any]:
        return self._flat(self.tensor.data or [], MAX_DIMENSIONS)

    def _flat(self, values: list[Any], depth: int) -> Iterator[Any]:
        if depth == 0:
            raise self._bad("is nested too deep")
        for value in values:
            if isinstance(value, list):
                yield from self._flat(value, depth - 1)
            else:
                yield value

    def _number(self, value: object) -> float:
        if value is None:
            return math.nan
        if isinstance(value, bool) != (self.tensor.datatype == BOOL) or not isinstance(value, int | float):
            kind = "truth values" if self.tensor.datatype == BOOL else "numbers"
            raise self._bad(f"must have {kind}, or null where one is missing")
        try:
            return float(value)
        except OverflowError:
            return math.inf

    def _unpacked(self, raw: bytes) -> Iterator[str]:
        """Each text has its length in front, four bytes."""
        at = 0
        while at < len(raw):
            try:
                [length] = struct.unpack_from("<I", raw, at)
                text = raw[at + 4 : at + 4 + length]
                if len(text) < length:
                    raise self._bad("has binary data that is cut off")
                yield text.decode()
            except (struct.error, UnicodeDecodeError):
                raise self._bad("has binary data that is no text") from None
            at += 4 + length

    def _bad(self, why: str) -> BadEvent:
        # The name is one that we know: the others are refused before their data is looked at.
        return BadEvent(f"the input {self.tensor.name} {why}", field=self.tensor.name)


def read_request(body: bytes, json_length: str | None) -> tuple[InferRequest, dict[str, Input]]:
    """A request and its inputs by name; `json_length` is the header HEADER_LENGTH. Raises BadRequest, BadEvent."""
    if json_length is None:
        size = len(body)
    elif json_length.isdecimal() and len(json_length) < 19 and int(json_length) <= len(body):
        size = int(json_length)
    else:
        raise BadRequest(f"{HEADER_LENGTH} must be the number of bytes that are JSON")
    request = parse(InferRequest, body[:size])
    inputs: dict[str, Input] = {}
    for tensor in request.inputs:
        raw = None
        if "binary_data_size" in tensor.parameters:
            length = tensor.parameters["binary_data_size"]
            if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= len(body) - size:
                raise BadRequest("the binary data is cut off")
            raw, size = body[size : size + length], size + length
        elif tensor.data is None:
            raise BadEvent("an input has neither data nor binary data", field="inputs")
        if tensor.name in inputs:
            raise BadEvent("an input is there twice", field="inputs")
        inputs[tensor.name] = Input(tensor, raw)
    if size != len(body):
        raise BadRequest("there is more binary data than the inputs have")
    return request, inputs


def write_response(
    head: Mapping[str, object], request: InferRequest, outputs: Mapping[str, Numbers]
) -> tuple[bytes, int | None]:
    """The body of a response, and how many of its bytes are JSON where not all are.

    It has the outputs that the request names; all of them where it names none, or has an empty list. Each is in the
    form that is asked for. Raises BadEvent for an unknown output.
    """
    wanted = request.outputs or [Wanted(name=name) for name in outputs]
    if any(one.name not in outputs for one in wanted):
        raise BadEvent(f"the outputs are {', '.join(outputs)}", field="outputs")
    binary_all = request.parameters.get("binary_data_output") is True
    tensors: list[dict[str, object]] = []
    blobs: list[bytes] = []
    for one in wanted:
        array = outputs[one.name]
        tensor: dict[str, object] = {
            "name": one.name,
            "datatype": "INT64" if array.dtype == np.int64 else "FP64",
            "shape": list(array.shape),
        }
        if one.parameters.get("binary_data", binary_all) is True:
            blobs.append(array.astype(array.dtype.newbyteorder("<")).tobytes())
            tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            tensor["data"] = array.ravel().tolist()
        tensors.append(tensor)
    echoed = {} if request.id is None else {"id": request.id}
    text = pydantic_core.to_json({**head, **echoed, "outputs": tensors}, inf_nan_mode="null")
    return b"".join([text, *blobs]), len(text) if blobs else None


def table(rows: Sequence[Sequence[float | None]], columns: int) -> Float64:
    """Numbers (rows, columns), NaN for None."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), columns)
