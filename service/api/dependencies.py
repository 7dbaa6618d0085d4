"""What routes get from FastAPI: the parameters of addresses and headers, and the services of the application."""

from typing import Annotated

from fastapi import Header, Path, Request
from pydantic.json_schema import SkipJsonSchema

from ..learners.kernels import Kernels
from ..observability.metrics import Metrics
from ..schemas import EventId, StreamName
from ..settings import Settings
from ..streams.service import Streams

Name = Annotated[StreamName, Path(alias="stream", description="Name of the stream.")]
Known = Annotated[
    str | SkipJsonSchema[None],
    Header(alias="If-None-Match", description="Digest that is known already, in quotes."),
]
Id = Annotated[EventId, Path(description="Id of the event.")]


def services(request: Request) -> tuple[Streams, Metrics, Settings]:
    state = request.app.state
    return state.streams, state.metrics, state.settings


async def compiled(request: Request) -> None:
    """Refuse while the kernels compile. A coroutine: a plain function would cost a thread for each request.

    Nothing is learnt while the kernels compile: that would stop every other request."""
    kernels: Kernels = request.app.state.kernels
    kernels.check()
