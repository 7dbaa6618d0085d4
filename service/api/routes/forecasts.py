"""HTTP: forecasts of a stream. Translates only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from ...errors import BadEvent, TooLarge
from ...schemas import Forecast, ForecastRequest
from ..dependencies import Name, compiled, services
from ..openapi_parts import body_of
from ..parsing import parse
from ..problems import problems

Horizon = Annotated[int, Query(ge=1, description="Steps ahead.", examples=[24])]
router = APIRouter(prefix="/v1/streams", dependencies=[Depends(compiled)], tags=["Streams"])


@router.get("/{stream}/forecast", summary="Forecast", response_model=Forecast, responses=problems(TooLarge, BadEvent))
async def forecast(stream: Name, request: Request, horizon: Horizon = 1) -> Forecast:
    """The next `horizon` steps after all events, those that wait for their labels included; changes nothing."""
    streams, _, _ = services(request)
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
    streams, _, settings = services(request)
    body = await request.body()
    # Each step is an object, and no name has a brace: too many are refused before they are read.
    if body.count(b"{") > settings.max_horizon + 1:
        raise TooLarge(f"at most {settings.max_horizon} steps can be asked for", field="x")
    future = parse(ForecastRequest, body)
    return await streams.forecast(stream, len(future.x), future)
