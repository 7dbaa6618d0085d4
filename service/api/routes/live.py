"""Server-sent events: the outcomes of a stream as they happen. Translates only."""

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from pydantic.json_schema import SkipJsonSchema
from starlette.types import Receive, Scope, Send

from ...errors import BadRequest, Internal
from ...observability.metrics import Metrics
from ...streams.catch_up import Shown
from ..dependencies import Name, compiled, services
from ..examples import WATCHED
from ..ndjson import encode

logger = logging.getLogger(__name__)

IDLE_SECONDS = 15.0
"""A comment is sent after so long without an outcome, so that no proxy takes the connection for dead."""

LastEventId = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="Last-Event-ID",
        description="Version after which to go on.",
        examples=["17"],
        json_schema_extra={"pattern": "^[0-9]{1,18}$"},
    ),
]
DESCRIBED = {
    "schema": {"type": "string"},
    # OpenAPI 3.2 describes one event of many like this; readers of 3.1 pass over it.
    "itemSchema": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9]+$"},
            "event": {"enum": ["gap", "message", "problem"]},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "required": ["data"],
        "additionalProperties": False,
    },
    "example": WATCHED,
}
"""The stream of events, for the OpenAPI document."""

router = APIRouter(prefix="/v1/streams", dependencies=[Depends(compiled)], tags=["Streams"])


class EventStream(StreamingResponse):
    """A response without an end, which stops when the client goes."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the client goes."""
        with contextlib.suppress(OSError):
            await super().__call__(scope, receive, send)


@router.get(
    "/{stream}/live",
    summary="Watch a stream",
    response_class=EventStream,
    responses={
        200: {
            "content": {"text/event-stream": DESCRIBED},
            "description": "One outcome an event.",
        },
    },
)
async def live(stream: Name, request: Request, last_event_id: LastEventId = None) -> EventStream:
    """Outcomes as they happen: `id` is the version, `data` the outcome as JSON, with the event's own `time` and `y`.

    A watcher that comes back with `Last-Event-ID` is shown what it missed, from the log. Where the log does not reach
    back so far, an event `gap` has the version after which outcomes go on. An event `problem` is the last one: watching
    failed, and `data` is the problem.

    The log keeps no ids. In an outcome that is read back from the log the `id` is null: one that a watcher missed, or
    that another replica learnt.
    """
    after = None
    if last_event_id is not None:
        if not (last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) < 19):
            raise BadRequest("Last-Event-ID must be a version, a whole number", field="Last-Event-ID")
        after = int(last_event_id)
    streams, metrics, _ = services(request)
    shown = await streams.live.watch(stream, after, IDLE_SECONDS)
    return EventStream(_written(shown, metrics), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _written(shown: AsyncIterator[Shown | None], metrics: Metrics) -> AsyncIterator[bytes]:
    """Server-sent events. The answer has begun, so an unexpected error becomes the last event."""
    yield b": watching\n\n"
    try:
        async for one in shown:
            if one is None:
                yield b": idle\n\n"
            elif one.outcome is None:
                yield b'event: gap\nid: %d\ndata: {"version": %d}\n\n' % (one.version, one.version)
            else:
                yield b"id: %d\ndata: %b\n\n" % (one.version, one.outcome)
    except Exception:
        logger.exception("a watcher is let go after an unexpected error")
        problem = encode(Internal("watching failed; see the service's log"), metrics)
        yield b"event: problem\ndata: %b\n\n" % problem
