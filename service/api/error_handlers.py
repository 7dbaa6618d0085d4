"""Turns every error into a problem response, those of the framework included."""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from ..errors import BadRequest, Internal, MethodNotAllowed, NotFound, ServiceError, TooLarge
from ..observability import logs
from ..observability.metrics import Metrics
from .middleware.request_log import HEADER
from .problems import problem_response

METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT")


def add(app: FastAPI, metrics: Metrics) -> None:
    """Add the handlers to the application."""

    def respond(request: Request, error: ServiceError, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return problem_response(error, metrics, request.scope, headers)

    @app.exception_handler(ServiceError)
    async def ours(request: Request, error: ServiceError) -> JSONResponse:
        return respond(request, error)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        problem = NotFound("a stream's name is 1 to 64 letters, digits, _ or -")
        why = first["msg"][:1].lower() + first["msg"][1:]
        return respond(request, problem if field == "stream" else BadRequest(f"{field}: {why}", field=field))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
        known: dict[int, ServiceError] = {
            404: NotFound("see /docs for what there is"),
            405: MethodNotAllowed("see /docs for the methods of this address"),
            413: TooLarge("the body is too large"),
        }
        return respond(request, known.get(error.status_code, BadRequest("the request cannot be read")), headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        """The client has gone. The status is for the metrics alone; proxies use the same number."""
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # This answer passes no middleware that could add the header.
        name = {HEADER: logs.about()[logs.REQUEST_ID]}
        return respond(request, Internal("the request failed; see the service's log"), name)


def _methods(request: Request) -> str:
    """All methods of an address. The router names those of one route alone, and here each method has its own route."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.routes
    return ", ".join(
        method for method, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)
    )
