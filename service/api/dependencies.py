"""Dependencies of the routes: parameters of addresses and headers, and the application's services."""

from typing import Annotated

from fastapi import Header, Path, Request
from fastapi.routing import APIRoute
from pydantic.json_schema import SkipJsonSchema
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import HTTPConnection

from ..errors import BadRequest
from ..learners.kernels import Kernels
from ..observability.metrics import Metrics
from ..schemas import EventId, StreamName
from ..settings import Settings
from ..streams.service import Streams

Name = Annotated[StreamName, Path(alias="stream", description="Name of the stream.")]
IfNoneMatch = Annotated[
    str | SkipJsonSchema[None],
    Header(alias="If-None-Match", description="Digests that are known already, each in quotes; `*` is any."),
]
Id = Annotated[EventId, Path(description="Id of the event.")]


class AnyText(Convertor[str]):
    """A part of an address that may be any text, slashes and line feeds included: the id of an event.

    Starlette's own convertor `path` ends at a line feed.
    """

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """The text as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The text as it is."""
        return value


register_url_convertor("text", AnyText())


def services(request: Request) -> tuple[Streams, Metrics, Settings]:
    state = request.app.state
    return state.streams, state.metrics, state.settings


async def check_parameters(connection: HTTPConnection) -> None:
    """Refuse query parameters that the address does not have, or that are there twice. Raises BadRequest.

    A WebSocket is refused in its own form, by its route.
    """
    if not connection.scope["query_string"] or connection.scope["type"] == "websocket":
        return
    route = connection.scope.get("route")
    known = [field.alias for field in route.dependant.query_params] if isinstance(route, APIRoute) else []
    names = [name for name, _ in connection.query_params.multi_items()]
    if not set(names) <= set(known):
        raise BadRequest(f"the query parameters of this address are: {', '.join(known) or 'none'}")
    if len(set(names)) < len(names):
        raise BadRequest(f"a query parameter is there twice; those of this address are: {', '.join(known)}")


async def compiled(request: Request) -> None:
    """Refuse while the kernels compile: a request that compiled them itself would stop every other request.

    This is a coroutine because FastAPI runs a plain function in a thread, for each request.
    """
    kernels: Kernels = request.app.state.kernels
    kernels.check()
