"""HTTP: translates requests into calls of `Streams` and its answers into responses; decides nothing."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import SkipJsonSchema

import model
from service import log_lines
from service.bulk import NDJSON, Conversation, is_bulk, learnt
from service.errors import BadConfig, BadEvent, OtherBody, OtherConfig, ServiceError, StoreFull, TooLarge
from service.examples import BULK
from service.kernels import Kernels
from service.keyring import visible
from service.metrics import Metrics
from service.parsing import parse, parse_message, parse_object
from service.queues import Answer
from service.schemas import (
    Event,
    EventId,
    Forecast,
    ForecastRequest,
    Label,
    Outcome,
    StreamList,
    StreamName,
    StreamStatus,
    Truth,
)
from service.settings import Settings
from service.streams import Streams

PROBLEM = "application/problem+json"

Name = Annotated[StreamName, Path(alias="stream", description="Name of the stream.")]
Horizon = Annotated[int, Query(ge=1, description="Steps ahead.", examples=[24])]
PageSize = Annotated[int, Query(ge=1, le=10_000, description="Streams of one page.")]
After = Annotated[str | SkipJsonSchema[None], Query(max_length=64, description="Name after which the page begins.")]
Known = Annotated[
    str | SkipJsonSchema[None],
    Header(alias="If-None-Match", description="Digest that is known already, in quotes."),
]
Id = Annotated[EventId, Path(description="Id of the event.")]
Contains = Annotated[
    str | SkipJsonSchema[None], Query(max_length=64, description="Only streams whose name has this in it.")
]
Detail = Annotated[bool, Query(description="Version and targets of each stream as well.")]


def body_of(
    schema: type[BaseModel] | dict[str, Any], media: Mapping[str, Any] = {}, *, required: bool = True
) -> dict[str, Any]:
    """The OpenAPI description of a body that is parsed by hand."""
    described = schema if isinstance(schema, dict) else schema.model_json_schema()
    content: dict[str, Any] = {"application/json": {"schema": described}, **media}
    return {"requestBody": {"required": required, "content": content}}


def problems(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Errors of a route for the OpenAPI document, beside those of all routes (`service/openapi.py`), with examples."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        response = responses.setdefault(error.status, {"content": {PROBLEM: {"examples": {}}}})
        shown = {"summary": error.title(), "value": error.example().problem()}
        response["content"][PROBLEM]["examples"][error.slug()] = shown
    return responses


def _services(request: Request) -> tuple[Streams, Metrics, Settings]:
    state = request.app.state
    return state.streams, state.metrics, state.settings


def compiled(request: Request) -> None:
    """Nothing is learnt while the kernels compile: that would stop every other request."""
    kernels: Kernels = request.app.state.kernels
    kernels.check()


router = APIRouter(prefix="/v1/streams", dependencies=[Depends(compiled)], tags=["Streams"])


@router.put(
    "/{stream}",
    summary="Create a stream",
    openapi_extra=body_of(TypeAdapter(model.Config).json_schema() | {"examples": [{"targets": ["load"]}]}),
    response_model=StreamStatus,
    responses=problems(OtherConfig, BadConfig, StoreFull) | {201: {"model": StreamStatus}},
)
async def create(stream: Name, request: Request, response: Response) -> StreamStatus:
    """201 for a new stream; 200 where it exists with this configuration, 409 with another. Only `targets` is needed."""
    streams, _, _ = _services(request)
    status, created = await streams.create(stream, parse_object(await request.body()))
    response.status_code = 201 if created else 200
    return status


@router.get("", summary="List the streams", response_model=StreamList, response_model_exclude_none=True)
async def names(
    request: Request,
    detail: Detail = False,
    limit: PageSize = 1000,
    after: After = None,
    contains: Contains = None,
) -> StreamList:
    """The streams of the store that the key may see, in order of their names, a page at a time.

    With `detail`, their versions and targets too.
    """
    streams, _, _ = _services(request)
    seen = [name for name in await streams.names() if visible(request.scope, name) and (contains or "") in name]
    found = [name for name in seen if after is None or name > after]
    page, more = found[:limit], len(found) > limit
    heads = await streams.heads(page) if detail else None
    return StreamList(streams=page, heads=heads, next=page[-1] if more else None)


@router.get(
    "/{stream}",
    summary="Look at a stream",
    response_model=StreamStatus,
    responses={304: {"description": "The learner is the one of `If-None-Match`."}},
)
async def status(
    stream: Name, request: Request, response: Response, known: Known = None
) -> StreamStatus | Response:
    """The stream at its newest version. The `ETag` is the learner's digest."""
    streams, _, _ = _services(request)
    found = await streams.status(stream)
    tag = f'"{found.digest}"'
    if known is not None and tag in (one.strip() for one in known.split(",")):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return found


@router.delete("/{stream}", summary="Delete a stream", status_code=204, response_class=Response)
async def delete(stream: Name, request: Request) -> None:
    """Remove the learner, its log and its outcomes. There is no way back."""
    streams, _, _ = _services(request)
    await streams.delete(stream)


@router.post(
    "/{stream}/events",
    summary="Learn from events",
    openapi_extra=body_of(Event, {NDJSON: {"schema": {"type": "string", "description": "One event a line."}}}),
    response_model=Outcome,
    responses=problems(OtherBody, BadEvent, StoreFull)
    | {200: {"content": {NDJSON: {"schema": {"type": "string"}, "example": BULK}}}},
)
async def observe(stream: Name, request: Request) -> Response:
    """Predict the event, then learn from it; the answer leaves when the event is durable.

    An event without `y` is predicted at once (`pending`) and learnt when its label comes: see there.

    With `Content-Type: application/x-ndjson`, one event a line: the answer has one outcome, or one problem with its
    `line`, for each, in order. A line that is refused does not stop the rest.
    """
    streams, metrics, settings = _services(request)
    if is_bulk(request.scope):
        await streams.open(stream)
        return Conversation(learnt(request, stream, streams, metrics, settings.max_body), media_type=NDJSON)
    return _single(await streams.observe(stream, [parse_message(await request.body())]))


@router.put(
    "/{stream}/events/{event:path}/label",
    summary="Label an event",
    openapi_extra=body_of(Truth),
    response_model=Outcome,
    responses=problems(OtherBody, BadEvent, StoreFull),
)
async def label(stream: Name, event: Id, request: Request) -> Response:
    """The target of an event that was sent without one; 0 and negative numbers are labels like any other.

    The answer is the outcome, once the event is learnt; or its prediction with `pending`, while an earlier event still
    waits for its own label. The same label again is answered the same, another one is refused.
    """
    streams, _, _ = _services(request)
    truth = parse(Truth, await request.body())
    return _single(await streams.observe(stream, [Label(label=event, y=truth.y)]))


def _single(answers: list[Answer]) -> Response:
    [answer] = answers
    if isinstance(answer, ServiceError):
        raise answer
    return Response(answer, media_type="application/json")


@router.get(
    "/{stream}/forecast", summary="Forecast", response_model=Forecast, responses=problems(TooLarge, BadEvent)
)
async def forecast(stream: Name, request: Request, horizon: Horizon = 1) -> Forecast:
    """The next `horizon` steps after all events, those that wait for their labels included; changes nothing."""
    streams, _, _ = _services(request)
    return await streams.forecast(stream, horizon)


@router.post(
    "/{stream}/forecast",
    summary="Forecast with inputs",
    openapi_extra=body_of(ForecastRequest),
    response_model=Forecast,
    responses=problems(BadEvent),
)
async def forecast_with_inputs(stream: Name, request: Request) -> Forecast:
    """One step for each object of `x`, the inputs that will be after all events; see `GET`. Changes nothing."""
    streams, _, settings = _services(request)
    body = await request.body()
    # Each step is an object, and no name has a brace: too many are refused before they are read.
    if body.count(b"{") > settings.max_horizon + 1:
        raise TooLarge(f"at most {settings.max_horizon} steps can be asked for", field="x")
    future = parse(ForecastRequest, body)
    return await streams.forecast(stream, len(future.x), future)


def problem_response(error: ServiceError, metrics: Metrics, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as a response of its own."""
    metrics.refused.labels(error.slug()).inc()
    log_lines.add(problem=error.slug())
    retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse(error.problem(), error.status, {**(headers or {}), **retry}, media_type=PROBLEM)
