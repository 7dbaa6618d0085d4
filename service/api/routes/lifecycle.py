"""HTTP: snapshots, copies and diagnoses of streams. Translates only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from ...errors import BadConfig, BadEvent, ConcurrentChange, Forbidden, StoreFull, Taken
from ...schemas import (
    CloneRequest,
    Diagnostics,
    SnapshotList,
    SnapshotRequest,
    SnapshotStatus,
    StreamName,
    StreamStatus,
)
from ...streams.lifecycle import Lifecycle
from ...streams.service import Streams
from ..dependencies import Name, compiled
from ..openapi_parts import body_of
from ..parsing import parse
from ..problems import problems
from ..scope import visible

SnapshotName = Annotated[StreamName, Path(alias="snapshot", description="Name of the snapshot.")]
Samples = Annotated[int, Query(ge=2, le=400, description="Draws of the signs.")]

router = APIRouter(prefix="/v1/streams/{stream}", dependencies=[Depends(compiled)], tags=["Streams"])


def _lifecycle(request: Request) -> Lifecycle:
    streams: Streams = request.app.state.streams
    return streams.lifecycle


@router.post(
    "/snapshots",
    summary="Take a snapshot",
    status_code=201,
    response_model=SnapshotStatus,
    openapi_extra=body_of(SnapshotRequest, required=False),
    responses=problems(Taken, ConcurrentChange, BadEvent, StoreFull),
)
async def take(stream: Name, request: Request) -> SnapshotStatus:
    """Keep the learner as it is now, under a name; it stays until it or the stream is deleted."""
    body = await request.body()
    return await _lifecycle(request).snapshot(stream, parse(SnapshotRequest, body or b"{}").name)


@router.get("/snapshots", summary="List the snapshots", response_model=SnapshotList)
async def snapshots(stream: Name, request: Request) -> SnapshotList:
    """The oldest first."""
    return SnapshotList(snapshots=await _lifecycle(request).snapshots(stream))


@router.delete("/snapshots/{snapshot}", summary="Delete a snapshot", status_code=204, response_class=Response)
async def drop(stream: Name, snapshot: SnapshotName, request: Request) -> None:
    """The stream itself is not touched."""
    await _lifecycle(request).drop(stream, snapshot)


@router.post(
    "/snapshots/{snapshot}/restore",
    summary="Go back to a snapshot",
    response_model=StreamStatus,
    responses=problems(ConcurrentChange, StoreFull),
)
async def restore(stream: Name, snapshot: SnapshotName, request: Request) -> StreamStatus:
    """Let the stream go on from a snapshot: what came after it is forgotten, the ids of those events too."""
    await _lifecycle(request).restore(stream, snapshot)
    streams: Streams = request.app.state.streams
    return await streams.status(stream)


@router.post(
    "/clone",
    summary="Copy a stream",
    status_code=201,
    response_model=StreamStatus,
    openapi_extra=body_of(CloneRequest),
    responses=problems(Taken, ConcurrentChange, BadEvent, BadConfig, StoreFull),
)
async def clone(stream: Name, request: Request) -> StreamStatus:
    """A stream that knows what this one does, under another name and perhaps with other settings.

    Settings that leave the learner's arrays as they are (`learning_rate`, `forgetting`, …) keep all that it has learnt;
    with others a new learner reads the events that the log still has.
    """
    asked = parse(CloneRequest, await request.body())
    if not visible(request.scope, asked.name):
        raise Forbidden("the key may not make a stream of that name", field="name")
    await _lifecycle(request).clone(stream, asked)
    streams: Streams = request.app.state.streams
    return await streams.status(asked.name)


@router.get("/diagnostics", summary="Judge the gradient", response_model=Diagnostics)
async def diagnostics(stream: Name, request: Request, samples: Samples = 50) -> Diagnostics:
    """How good the learner's gradient is on its newest events, beside exact RTRL: on clones, changes nothing."""
    return await _lifecycle(request).diagnose(stream, samples)
