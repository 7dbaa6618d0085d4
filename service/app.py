"""The composition root: settings and a store in, an application out."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

import model
from service import api, ws
from service.errors import BadRequest, Internal, MethodNotAllowed, NotFound, ServiceError, TooLarge, Unavailable
from service.metrics import Metrics
from service.middleware import BodyLimit, RequestMetrics
from service.redis_store import RedisStore
from service.settings import Settings
from service.store import Store
from service.streams import Streams

logger = logging.getLogger(__name__)


def create_app(settings: Settings, store: Store | None = None) -> FastAPI:
    """The service over a store, which is closed with it; by default the Redis of `settings`.

    Kernels compile in the background once it has started. Raises ValueError when there is neither.
    """
    if store is None:
        if settings.redis_url is None:
            raise ValueError("the service needs a store: give one, or set REDIS_URL")
        store = RedisStore(settings.redis_url, settings.store_timeout)
    metrics = Metrics(settings.metric_streams)
    streams = Streams(settings, store, metrics)
    compiled = asyncio.Event()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _compile(compiled)
        yield
        await streams.close()
        await store.close()

    app = FastAPI(
        title="NoBackTrack",
        summary="Online learning for time series",
        description="Send events; each is predicted before it is known and learnt from right after.",
        version="1",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.streams = streams
    app.state.store = store
    app.state.compiled = compiled
    app.include_router(api.router)
    app.include_router(ws.router)
    _add_probes(app, store, metrics, compiled)
    _add_errors(app, metrics)
    app.add_middleware(BodyLimit, limit=settings.max_body)
    app.add_middleware(RequestMetrics, metrics=metrics)
    return app


def _compile(compiled: asyncio.Event) -> None:
    """Ready means that no event waits for a compiler. The precision that few use follows.

    In a daemon thread: a compiler cannot be interrupted, and the service must be able to end while it runs.
    """
    loop = asyncio.get_running_loop()

    def work() -> None:
        try:
            model.warm_up(("float32",))
            # The loop is closed when the service ended first.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(compiled.set)
            model.warm_up(("float64",))
        except Exception:
            logger.exception("the kernels cannot be compiled")

    threading.Thread(target=work, daemon=True, name="compiler").start()


def _add_probes(app: FastAPI, store: Store, metrics: Metrics, compiled: asyncio.Event) -> None:
    @app.get("/livez", summary="Is the process alive?", response_class=Response)
    async def livez() -> Response:
        """200 as long as the event loop turns."""
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz", summary="Can it learn?", response_class=Response)
    async def readyz() -> Response:
        """200 when the kernels are compiled and the store answers, else 503."""
        metrics.ready.set(0)
        if not compiled.is_set():
            raise Unavailable("the kernels are being compiled", retry_after=5)
        await store.ping()
        metrics.ready.set(1)
        return Response("ready\n", media_type="text/plain")

    @app.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        """Everything in `service/metrics.py`."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI, metrics: Metrics) -> None:
    """Every error leaves as problem+json, framework's own included."""

    def respond(error: ServiceError) -> JSONResponse:
        metrics.refused.labels(error.slug()).inc()
        headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return JSONResponse(error.problem(), error.status, headers, media_type="application/problem+json")

    @app.exception_handler(ServiceError)
    async def ours(_: Request, error: ServiceError) -> JSONResponse:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        problem = NotFound("a stream's name is 1 to 64 letters, digits, _ or -")
        return respond(problem if field == "stream" else BadRequest(f"{field}: {first['msg'].lower()}", field=field))

    @app.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> JSONResponse:
        known: dict[int, ServiceError] = {
            404: NotFound("see /docs for what there is"),
            405: MethodNotAllowed("see /docs for the methods of this address"),
            413: TooLarge("the body is too large"),
        }
        return respond(known.get(error.status_code, BadRequest("the request cannot be read")))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> JSONResponse:
        return respond(Internal("the request failed; see the service's log"))
