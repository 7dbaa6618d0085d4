"""HTTP: events of a stream, and their labels. Translates only."""

from fastapi import APIRouter, Depends, Request, Response

from ...errors import BadEvent, IdReused, ServiceError, StoreFull
from ...schemas import Event, Label, Outcome, Truth
from ...streams.queue import Answer
from ..dependencies import Id, Name, compiled, services
from ..examples import BULK
from ..ndjson import DuplexResponse, learnt
from ..openapi_parts import body_of
from ..parsing import parse, parse_message
from ..problems import problems
from ..scope import NDJSON, is_bulk

router = APIRouter(prefix="/v1/streams", dependencies=[Depends(compiled)], tags=["Streams"])


@router.post(
    "/{stream}/events",
    summary="Learn from events",
    openapi_extra=body_of(Event, {NDJSON: {"schema": {"type": "string", "description": "One event a line."}}}),
    response_model=Outcome,
    responses=problems(IdReused, BadEvent, StoreFull)
    | {200: {"content": {NDJSON: {"schema": {"type": "string"}, "example": BULK}}}},
)
async def observe(stream: Name, request: Request) -> Response:
    """Predict the event, then learn from it; the answer leaves when the event is durable.

    An event without `y` is predicted at once (`pending`) and learnt when its label comes: see there.

    With `Content-Type: application/x-ndjson`, one event a line: the answer has one outcome, or one problem with its
    `line`, for each, in order. A line that is refused does not stop the rest.
    """
    streams, metrics, settings = services(request)
    if is_bulk(request.scope):
        await streams.open(stream)
        return DuplexResponse(learnt(request, stream, streams, metrics, settings.max_body), media_type=NDJSON)
    return _response(await streams.observe(stream, [parse_message(await request.body())]))


@router.put(
    "/{stream}/events/{event:text}/label",
    summary="Label an event",
    openapi_extra=body_of(Truth),
    response_model=Outcome,
    responses=problems(IdReused, BadEvent, StoreFull),
)
async def label(stream: Name, event: Id, request: Request) -> Response:
    """The target of an event that was sent without one; 0 and negative numbers are labels like any other.

    The answer is the outcome, once the event is learnt; or its prediction with `pending`, while an earlier event still
    waits for its own label. The same label again is answered the same, another one is refused.
    """
    streams, _, _ = services(request)
    truth = parse(Truth, await request.body())
    return _response(await streams.observe(stream, [Label(label=event, y=truth.y)]))


def _response(answers: list[Answer]) -> Response:
    [answer] = answers
    if isinstance(answer, ServiceError):
        raise answer
    return Response(answer, media_type="application/json")
