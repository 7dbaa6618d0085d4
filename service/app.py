"""The composition root: settings and a store in, an application out."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from service import api, api_lifecycle, auth, docs, examples, kserve, log_lines, openapi, page, sse, tracing, ws
from service.admission import Admission
from service.auth import Auth
from service.body_time import BodyTime
from service.browsers import OwnPages, cross_origin
from service.buckets import Buckets
from service.errors import BadRequest, Internal, MethodNotAllowed, NotFound, ServiceError, TooLarge, Unavailable
from service.gunzip import Gunzip
from service.kernels import Kernels
from service.keyring import Keyring
from service.metrics import Metrics
from service.middleware import BodyLimit, RequestMetrics
from service.rates import Rates
from service.request_log import HEADER, RequestLog
from service.scrape import Scrape
from service.settings import Settings
from service.store import Store
from service.stores import connect
from service.streams import Streams

METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT")


def create_app(settings: Settings, store: Store | None = None) -> FastAPI:
    """The service over a store, which is closed with it; by default the Redis of `settings`.

    Kernels compile in the background once it has started. Raises ValueError when there is neither, Failure for a keys
    file that cannot be read.
    """
    if store is None:
        if settings.redis_url is None:
            raise ValueError("the service needs a store: give one, or set REDIS_URL")
        store = connect(settings, settings.redis_url, settings.store_timeout)
    keyring = None if settings.keys_file is None else Keyring(settings.keys_file)
    metrics = Metrics(settings.metric_streams)
    kernels = Kernels()
    streams = Streams(settings, store, metrics, kernels)
    provider = tracing.start(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        kernels.start()
        yield
        await streams.close()
        await store.close()
        await tracing.stop(provider)

    app = FastAPI(
        title="NoBackTrack",
        summary="Online learning for time series",
        description="Send events; each is predicted before it is known and learnt from right after.",
        version="1",
        docs_url=None,  # theirs load scripts from elsewhere: see `service/docs.py`
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=lifespan,
        telemetry=tracing.telemetry(provider),
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.streams = streams
    app.state.store = store
    app.state.kernels = kernels
    app.state.conversations = ws.Conversations(settings.socket_seconds)
    app.include_router(api.router)
    app.include_router(api_lifecycle.router)
    app.include_router(sse.router)
    app.include_router(ws.router)
    app.include_router(kserve.router)
    app.include_router(docs.router)
    app.include_router(page.router)
    _add_probes(app, store, metrics, kernels)
    _add_errors(app, metrics)
    _add_guards(app, settings, metrics, keyring)
    openapi.describe(app)
    return app


def _add_guards(app: FastAPI, settings: Settings, metrics: Metrics, keyring: Keyring | None) -> None:
    """What a request passes before it is looked at; the one added last is the first."""
    app.add_middleware(BodyLimit, limit=settings.max_body)
    app.add_middleware(Gunzip, metrics=metrics)
    if settings.rate > 0:
        app.add_middleware(Rates, buckets=Buckets(settings.rate, settings.rate_burst), metrics=metrics)
    app.add_middleware(BodyTime, seconds=settings.body_seconds, metrics=metrics)
    app.add_middleware(Admission, max_websockets=settings.max_websockets, metrics=metrics)
    if keyring is not None:
        app.add_middleware(Auth, keyring=keyring, metrics=metrics, metrics_open=settings.metrics_open)
        auth.describe(app)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cross_origin(settings.cors_origins))
    app.add_middleware(
        OwnPages,
        metrics=metrics,
        host=settings.host,
        allowed=settings.allowed_hosts,
        origins=settings.cors_origins,
    )
    app.add_middleware(RequestMetrics, metrics=metrics)
    app.add_middleware(RequestLog, every=settings.access_log)


def _add_probes(app: FastAPI, store: Store, metrics: Metrics, kernels: Kernels) -> None:
    @app.head("/livez", include_in_schema=False)
    @app.get(
        "/livez",
        tags=["Probes"],
        summary="Is the process alive?",
        response_class=PlainTextResponse,
        responses=_text("ok\n"),
    )
    async def livez() -> Response:
        """200 as long as the event loop turns."""
        return Response("ok\n", media_type="text/plain")

    @app.head("/readyz", include_in_schema=False)
    @app.get(
        "/readyz",
        tags=["Probes"],
        summary="Can it learn?",
        response_class=PlainTextResponse,
        responses=_text("ready\n") | api.problems(Unavailable),
    )
    async def readyz() -> Response:
        """200 when the kernels are compiled and the store answers, else 503."""
        kernels.check()
        await store.ping()
        return Response("ready\n", media_type="text/plain")

    scrape = Scrape(metrics, store, kernels)

    @app.get(
        "/metrics",
        tags=["Probes"],
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
        responses=_text(examples.METRICS),
    )
    async def prometheus() -> Response:
        """Everything in `service/metrics.py`; also when the store does not answer."""
        return Response(await scrape.page(), media_type=CONTENT_TYPE_LATEST)


def _text(example: str) -> dict[int | str, dict[str, Any]]:
    """An answer in plain text, for the OpenAPI document."""
    return {200: {"content": {"text/plain": {"example": example}}}}


def _add_errors(app: FastAPI, metrics: Metrics) -> None:
    """Every error leaves as problem+json, framework's own included."""

    def respond(error: ServiceError, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return api.problem_response(error, metrics, headers)

    @app.exception_handler(ServiceError)
    async def ours(_: Request, error: ServiceError) -> JSONResponse:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        problem = NotFound("a stream's name is 1 to 64 letters, digits, _ or -")
        why = first["msg"][:1].lower() + first["msg"][1:]
        return respond(problem if field == "stream" else BadRequest(f"{field}: {why}", field=field))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
        known: dict[int, ServiceError] = {
            404: NotFound("see /docs for what there is"),
            405: MethodNotAllowed("see /docs for the methods of this address"),
            413: TooLarge("the body is too large"),
        }
        return respond(known.get(error.status_code, BadRequest("the request cannot be read")), headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        """Nobody reads this; the number is for the metrics alone, and the one that proxies use."""
        return Response(status_code=499)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> JSONResponse:
        # This is answered outside of everything that could add the header.
        name = {HEADER: log_lines.about()[log_lines.REQUEST_ID]}
        return respond(Internal("the request failed; see the service's log"), name)


def _methods(request: Request) -> str:
    """All methods of an address. The router names those of one route only, and here each has one."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.routes
    return ", ".join(
        method for method, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)
    )
