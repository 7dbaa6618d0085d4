"""HTTP: creating, listing, reading and deleting streams. Translates only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic.json_schema import SkipJsonSchema

from ...errors import BadConfig, ConfigMismatch, StoreFull
from ...schemas import (
    StreamList,
    StreamStatus,
)
from ..dependencies import IfNoneMatch, Name, compiled, services
from ..negotiation import is_known
from ..openapi_parts import CONFIG_SCHEMA, body_of
from ..parsing import parse_object
from ..problems import problems
from ..scope import visible

PageSize = Annotated[int, Query(ge=1, le=10_000, description="Streams of one page.")]
After = Annotated[str | SkipJsonSchema[None], Query(max_length=64, description="Name after which the page begins.")]
Contains = Annotated[
    str | SkipJsonSchema[None], Query(max_length=64, description="Only streams whose name has this in it.")
]
Detail = Annotated[bool, Query(description="Version and targets of each stream as well.")]


router = APIRouter(prefix="/v1/streams", dependencies=[Depends(compiled)], tags=["Streams"])


@router.put(
    "/{stream}",
    summary="Create a stream",
    openapi_extra=body_of(CONFIG_SCHEMA | {"examples": [{"targets": ["load"]}]}),
    response_model=StreamStatus,
    responses=problems(ConfigMismatch, BadConfig, StoreFull) | {201: {"model": StreamStatus}},
)
async def create(stream: Name, request: Request, response: Response) -> StreamStatus:
    """201 for a new stream; 200 where it exists with this configuration, 409 with another. Only `targets` is needed."""
    streams, _, _ = services(request)
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
    streams, _, _ = services(request)
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
    stream: Name, request: Request, response: Response, if_none_match: IfNoneMatch = None
) -> StreamStatus | Response:
    """The stream at its newest version. The `ETag` is the learner's digest."""
    streams, _, _ = services(request)
    found = await streams.status(stream)
    tag = f'"{found.digest}"'
    if is_known(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return found


@router.delete("/{stream}", summary="Delete a stream", status_code=204, response_class=Response)
async def delete(stream: Name, request: Request) -> None:
    """Remove the learner, its log and its outcomes. There is no way back."""
    streams, _, _ = services(request)
    await streams.delete(stream)
