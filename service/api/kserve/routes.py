"""The Open Inference Protocol (KServe V2) over HTTP, for programs that speak it already. A stream is a model.

`infer` predicts and changes nothing: `mean`, `lower` and `upper` of the next steps, from the parameter `horizon` or
from the future inputs `x`. With the parameter `learn` it learns the events whose targets are the input `y`, and answers
with their predictions. A stream of symbols has texts as `y` and a probability for each symbol as `mean`.

Errors are the service's own, with the member `error` that the protocol requires. The version of a model is the number
of events learnt; older versions cannot be asked.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pydantic_core
from fastapi import APIRouter, Depends, Path, Request, Response

from .... import model
from ...codec.events import encode_event
from ...errors import (
    BadEvent,
    BadRequest,
    Forbidden,
    IdReused,
    NotFound,
    ServiceError,
    StoreFull,
    Unavailable,
)
from ...schemas import STREAM_NAME, ForecastRequest, StreamStatus
from ...settings import Settings
from ...streams.service import Streams
from ..dependencies import compiled
from ..examples import TENSORS
from ..openapi_parts import body_of
from ..problems import problems
from ..scope import may
from .events import events, named, row
from .schemas import InferResponse, Live, ModelMetadata, ModelReady, Ready, Server, Shape
from .tensors import (
    HEADER_LENGTH,
    TEXT,
    InferRequest,
    Input,
    Numbers,
    read_request,
    request_schema,
    table,
    write_response,
)

# The name is checked by `_checked`, as the framework would check the parameters of all addresses alike.
Name = Annotated[
    str, Path(description="Name of the stream.", examples=["taxi"], json_schema_extra={"pattern": STREAM_NAME})
]

PLATFORM = "nobacktrack"
BINARY = "application/octet-stream"
ASKED = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]}
"""For the OpenAPI document."""
EXTENSIONS = ["binary_tensor_data", "learn"]


router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
models = APIRouter(prefix="/models/{stream}", dependencies=[Depends(compiled)])


@router.get("/", include_in_schema=False)
@router.get("", summary="The server")
async def server(request: Request) -> Server:
    """Name, version and extensions."""
    return Server(name=PLATFORM, version=request.app.version, extensions=EXTENSIONS)


@router.get("/health/live", summary="Is the process alive?")
async def live() -> Live:
    """200 as long as the event loop turns."""
    return Live(live=True)


@router.get("/health/ready", summary="Can it predict and learn?", responses=problems(Unavailable))
async def ready(request: Request) -> Ready:
    """200 when the kernels are compiled and the store answers, else 503."""
    request.app.state.kernels.check()
    await request.app.state.store.ping()
    return Ready(ready=True)


@models.get("/versions/{version}", include_in_schema=False)
@models.get("", summary="A stream's tensors")
async def metadata(request: Request, stream: Name) -> ModelMetadata:
    """The tensors that `infer` takes and gives; -1 is a dimension that the request decides."""
    status = await _status(request, stream)
    config = model.Config.from_dict(status.config)
    return ModelMetadata(
        name=stream,
        versions=[str(status.version)],
        platform=PLATFORM,
        inputs=[_tensor("x", len(config.inputs))] if config.inputs else [],
        outputs=[_tensor(name, config.outputs) for name in ("mean", "lower", "upper")],
        parameters={
            "targets": ",".join(config.targets),
            "inputs": ",".join(config.inputs),
            "y_datatype": "FP64" if config.alphabet is None else TEXT,
        },
    )


@models.get("/versions/{version}/ready", include_in_schema=False)
@models.get("/ready", summary="Is the stream there?")
async def model_ready(request: Request, stream: Name) -> ModelReady:
    """200 when the stream exists, 404 when it does not."""
    await _status(request, stream)
    return ModelReady(name=stream, ready=True)


@models.post("/versions/{version}/infer", include_in_schema=False)
@models.post(
    "/infer",
    summary="Predict a stream, or learn from events",
    openapi_extra=body_of(request_schema() | {"examples": [ASKED]}),
    response_model=InferResponse,
    responses=problems(IdReused, BadEvent, StoreFull)
    | {200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}, "example": TENSORS}}}},
)
async def infer(request: Request, stream: Name) -> Response:
    """A forecast: inputs `x` [steps, inputs] where the stream has inputs, else the parameter `horizon`.

    It begins after the events that wait for their labels; where there are any, the parameter `pending` counts them.

    With the parameter `learn`: inputs `y` [T, targets], `x` [T, inputs], `time` [T] in seconds since the epoch, `id`
    [T], of which the last two are optional; outputs `prediction`, `lower`, `upper`, `loss`, `version`.
    """
    asked, inputs = read_request(await request.body(), request.headers.get(HEADER_LENGTH))
    learn = asked.parameters.get("learn", False)
    if not isinstance(learn, bool):
        raise BadRequest("the parameter learn must be true or false", field="learn")
    if learn and not may(request.scope, "write"):
        raise Forbidden("the key may look at this stream and not teach it", field="learn")
    streams: Streams = request.app.state.streams
    config = await _config(streams, _checked(stream))
    head: Mapping[str, object]
    outputs: Mapping[str, Numbers]
    if learn:
        if "version" in request.path_params:
            raise BadRequest("the newest version learns; leave the version out of the address")
        head, outputs = await _learn(streams, request.app.state.settings, stream, config, inputs)
    else:
        head, outputs = await _predict(streams, stream, config, asked, inputs)
        _check_version(request, head["model_version"])
    body, json_length = write_response({"model_name": stream, **head}, asked, outputs)
    if json_length is None:
        return Response(body, media_type="application/json")
    return Response(body, media_type=BINARY, headers={HEADER_LENGTH: str(json_length)})


router.include_router(models)


async def _predict(
    streams: Streams, stream: str, config: model.Config, asked: InferRequest, inputs: Mapping[str, Input]
) -> tuple[dict[str, object], dict[str, Numbers]]:
    """A forecast as tensors."""
    if "y" in inputs:
        raise BadEvent("y is for learning: set the parameter learn", field="y")
    _only(inputs, ["x"] if config.inputs else [])
    future = None
    steps = asked.parameters.get("horizon")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise BadRequest("the parameter horizon must be a whole number of at least 1", field="horizon")
    if "x" in inputs:
        rows = inputs["x"].numbers(len(config.inputs))
        if not len(rows) or steps not in (None, len(rows)):
            raise BadEvent("x must have a row for each step", field="x")
        steps = len(rows)
        # The values were checked when they were read; `forecast` checks them against the stream.
        future = ForecastRequest.model_construct(x=[named(config.inputs, values) for values in rows.tolist()])
    forecast = await streams.forecast(stream, steps or 1, future)
    parts = {
        "mean": [row(config, step.mean) for step in forecast.steps],
        "lower": [row(config, step.lower) for step in forecast.steps],
        "upper": [row(config, step.upper) for step in forecast.steps],
    }
    head: dict[str, object] = {"model_version": str(forecast.version)}
    if said := forecast.model_dump(include={"pending", "stale"}, exclude_defaults=True):
        head["parameters"] = said
    return head, {name: table(rows, config.outputs) for name, rows in parts.items()}


async def _learn(
    streams: Streams, settings: Settings, stream: str, config: model.Config, inputs: Mapping[str, Input]
) -> tuple[dict[str, object], dict[str, Numbers]]:
    """Learn events; returns their predictions as tensors. No events give empty tensors.

    Nothing is learnt unless every event fits the stream. If the store goes away meanwhile, the error names the number
    of the first event that was not learnt. Where earlier events wait for their labels, these events wait behind them,
    and the parameter `pending` says so.
    """
    _only(inputs, ["y", *(["x"] if config.inputs else []), "time", "id"])
    rows = events(config, inputs, settings.max_batch)
    for number, event in enumerate(rows, 1):
        try:
            encode_event(config, event)
        except BadEvent as error:
            raise BadEvent(f"event {number}: {error.detail}", field=error.field) from None
    outcomes: list[dict[str, Any]] = []
    for number, answer in enumerate(await streams.observe(stream, rows), 1):
        if isinstance(answer, ServiceError):
            detail = f"event {number} of {len(rows)}: {answer.detail}"
            raise type(answer)(detail, field=answer.field, retry_after=answer.retry_after)
        outcomes.append(pydantic_core.from_json(answer))
    version = outcomes[-1]["version"] if outcomes else await streams.version(stream)
    head: dict[str, object] = {"model_version": str(version)}
    if any(outcome.get("pending") for outcome in outcomes):
        head["parameters"] = {"pending": True}
    return head, {
        **{
            name: table([row(config, outcome[name]) for outcome in outcomes], config.outputs)
            for name in ("prediction", "lower", "upper")
        },
        "loss": np.array([outcome["loss"] for outcome in outcomes], np.float64),
        "version": np.array([outcome["version"] for outcome in outcomes], np.int64),
    }


def _only(inputs: Mapping[str, Input], names: list[str]) -> None:
    if not inputs.keys() <= set(names):
        raise BadEvent(f"the inputs that can be sent here are: {', '.join(names) or 'none'}", field="inputs")


def _tensor(name: str, columns: int) -> Shape:
    return Shape(name=name, datatype="FP64", shape=[-1, columns])


async def _config(streams: Streams, name: str) -> model.Config:
    """The stream's configuration, from memory while the store is away. Raises UnknownStream."""
    try:
        return await streams.config(name)
    except Unavailable:
        return (await streams.open(name)).codec.config


async def _status(request: Request, stream: str) -> StreamStatus:
    streams: Streams = request.app.state.streams
    status = await streams.status(_checked(stream))
    _check_version(request, str(status.version))
    return status


def _check_version(request: Request, newest: object) -> None:
    if request.path_params.get("version", newest) != newest:
        raise NotFound("only the newest version can be asked; leave it out of the address")


def _checked(stream: str) -> str:
    if not re.fullmatch(STREAM_NAME, stream):
        raise NotFound("a stream's name is 1 to 64 letters, digits, _ or -")
    return stream
