"""The composition root: settings and a store in, an application out."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from ..learners.kernels import Kernels
from ..observability import tracing
from ..observability.metrics import Metrics
from ..security.keyring import Keyring
from ..settings import Settings
from ..store.base import Store
from ..store.factory import connect
from ..streams.service import Streams
from . import error_handlers, openapi
from .dependencies import check_parameters
from .kserve import routes as kserve
from .middleware import authentication
from .middleware.admission import Admission
from .middleware.authentication import Authentication
from .middleware.body_limits import BodyLimit, BodyTime
from .middleware.gzip_body import GzipBody
from .middleware.origin_guard import OriginGuard, cross_origin
from .middleware.rate_limit import Buckets, RateLimit
from .middleware.request_log import RequestLog
from .routes import docs, events, forecasts, lifecycle, live, page, probes, websocket
from .routes import streams as stream_routes


def create_app(settings: Settings, store: Store | None = None) -> FastAPI:
    """The service over a store, by default the Redis of `settings`; the store is closed with the service.

    Kernels compile in the background after the start. Raises ValueError when no store is given or named, CommandError
    for a keys file that cannot be read.
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
        async with contextlib.AsyncExitStack() as stack:
            # In reverse order, each of them even if the application or another one fails.
            stack.push_async_callback(tracing.stop, provider)
            stack.push_async_callback(store.close)
            stack.push_async_callback(streams.close)
            kernels.start()
            streams.start()
            yield

    app = FastAPI(
        title="NoBackTrack",
        summary="Online learning for time series",
        description="Send events; each is predicted before it is known and learnt from right after.",
        version="1",
        docs_url=None,  # FastAPI's page loads scripts from elsewhere: see `service/api/routes/docs.py`
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=lifespan,
        dependencies=[Depends(check_parameters)],
        telemetry=tracing.telemetry(provider),
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.streams = streams
    app.state.store = store
    app.state.kernels = kernels
    app.state.sockets = websocket.OpenSockets(settings.socket_seconds)
    app.include_router(stream_routes.router)
    app.include_router(events.router)
    app.include_router(forecasts.router)
    app.include_router(lifecycle.router)
    app.include_router(live.router)
    app.include_router(websocket.router)
    app.include_router(kserve.router)
    app.include_router(docs.router)
    app.include_router(page.router)
    probes.add(app, store, metrics, kernels)
    error_handlers.add(app, metrics)
    _add_guards(app, settings, metrics, keyring)
    openapi.describe(app)
    return app


def _add_guards(app: FastAPI, settings: Settings, metrics: Metrics, keyring: Keyring | None) -> None:
    """Add the middleware. The one that is added last is the first that a request passes."""
    app.add_middleware(BodyLimit, limit=settings.max_body)
    app.add_middleware(GzipBody, metrics=metrics)
    if settings.rate > 0:
        app.add_middleware(RateLimit, buckets=Buckets(settings.rate, settings.rate_burst), metrics=metrics)
    app.add_middleware(BodyTime, seconds=settings.body_seconds, metrics=metrics)
    app.add_middleware(Admission, max_websockets=settings.max_websockets, metrics=metrics)
    if keyring is not None:
        app.add_middleware(Authentication, keyring=keyring, metrics=metrics, metrics_open=settings.metrics_open)
        authentication.describe(app)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cross_origin(settings.cors_origins))
    app.add_middleware(
        OriginGuard,
        metrics=metrics,
        host=settings.host,
        allowed=settings.allowed_hosts,
        origins=settings.cors_origins,
    )
    app.add_middleware(RequestLog, metrics=metrics, every=settings.access_log)
