"""Runs the service in this process until a signal: the store's server, then the application."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal

import uvicorn
import uvloop
from fastapi import FastAPI

from ..api.app import create_app
from ..api.routes.websocket import OpenSockets
from ..errors import CommandError, ServiceError
from ..observability import logs
from ..security import keys
from ..settings import Settings, unknown
from ..settings.describe import shown
from ..store.base import Store
from ..store.embedded import EmbeddedError, EmbeddedServer
from ..streams.feed import Feeds
from . import log_file, progress
from .http_protocol import limited, make_room
from .sockets import is_loopback, url_of
from .websocket_protocol import Frames

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 10
"""How long running requests may take to finish after a signal."""

DRAIN_SECONDS = 2.0
"""How long WebSockets may take to answer the messages that they have read."""

POLL_SECONDS = 0.02

COLLECT_EVERY = 50_000
"""Net new objects before Python's cycle collector looks at the youngest generation."""
SWITCH_SECONDS = 0.0005
"""Python's thread switch interval: how long the event loop may delay a thread that has finished its batch."""


def run(
    settings: Settings,
    listener: socket.socket,
    announce_ready: Callable[[str], None],
    parent: socket.socket | None = None,
    log: Path | None = None,
) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM. Raises CommandError when it cannot start.

    `announce_ready` gets one line of text, with the address. `parent` is one end of a socket pair: the service writes
    its URL to it when it is ready, and stops when the other end is closed, as the kernel does when the parent dies.
    Before the URL come lines that say how far the compilation of the kernels is. `log` is the file that this process
    prints to; it is kept small.
    """
    logs.configure(settings.log_level, settings.log_format)
    _log_settings(settings)
    _log_access(settings, listener)
    if not make_room(settings.max_connections):
        logger.warning("the system allows fewer open files than NBT_MAX_CONNECTIONS takes; see `ulimit -Hn`")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener, announce_ready, parent, log))


def _log_settings(settings: Settings) -> None:
    """Log the settings that differ from their defaults, and variables that look like settings and are none."""
    given = [f"{row.name}={row.value}" for row in shown(settings) if row.source != "default"]
    logger.info("settings other than by default: %s", " ".join(given) or "none")
    for name in unknown():
        logger.warning("%s is no setting of the service; see `nobacktrack settings`", name)


def _log_access(settings: Settings, listener: socket.socket) -> None:
    """Log who may use the service. Raises CommandError when anybody who reaches it may and no setting allows that."""
    if settings.keys_file is not None:
        logger.info("%d keys are accepted, those of %s", len(keys.read(settings.keys_file)), settings.keys_file)
    elif is_loopback(listener):
        logger.info("no keys (NBT_KEYS_FILE): whoever is on this machine may do everything")
    elif settings.allow_anonymous:
        logger.warning("no keys, and not on loopback (NBT_ALLOW_ANONYMOUS): whoever reaches this may do everything")
    else:
        raise CommandError(
            f"without keys everybody who reaches {settings.host} might do everything: make one with `nobacktrack keys "
            "create` and name its file in NBT_KEYS_FILE, or set NBT_ALLOW_ANONYMOUS=true"
        )


async def _serve(
    settings: Settings,
    listener: socket.socket,
    announce_ready: Callable[[str], None],
    parent: socket.socket | None,
    log: Path | None,
) -> None:
    # uvicorn handles signals while it runs and sends them on afterwards; this is for the time before and after.
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    async with contextlib.AsyncExitStack() as stack:
        own: EmbeddedServer | None = None
        if settings.redis_url is None:
            if settings.ack == "replicated":
                raise CommandError("NBT_ACK=replicated needs a store with a replica: name it in REDIS_URL")
            try:
                fsync: Literal["everysec", "always"] = "everysec" if settings.ack == "fast" else "always"
                own = EmbeddedServer(settings.data_dir, settings.redis_server, fsync)
                redis_url = await stack.enter_async_context(own)
            except EmbeddedError as error:
                raise CommandError(str(error)) from error
            app = create_app(settings.model_copy(update={"redis_url": redis_url}))
            data = f"data in {settings.data_dir.resolve()}"
        else:
            try:
                app = create_app(settings)
            except ValueError as error:
                raise CommandError(f"REDIS_URL is not the URL of a Redis: {error}") from error
            data = "data in the Redis of REDIS_URL"
        url = url_of(listener)

        def announce() -> None:
            announce_ready(f"ready at {url} (documentation at {url}/docs, {data})")
            if parent is not None:
                parent.sendall(f"{url}\n".encode())

        server = Server(_uvicorn_config(app, settings), app.state.streams.live, app.state.sockets)
        if parent is not None:
            _stop_with_parent(parent, server)
        stack.callback(asyncio.create_task(_when_ready(app, server, announce)).cancel)
        stack.callback(asyncio.create_task(progress.report(app.state.kernels, parent)).cancel)
        if log is not None:
            stack.callback(asyncio.create_task(log_file.keep_small(log)).cancel)
        if not stop.is_set():
            async with _supervise(own, server):
                await _until_signal(server, listener)


@contextlib.asynccontextmanager
async def _supervise(own: EmbeddedServer | None, server: uvicorn.Server) -> AsyncIterator[None]:
    """Keep the embedded store's server running. When that fails, the service ends and this raises CommandError."""
    if own is None:
        yield
        return

    def lost(keeper: asyncio.Task[None]) -> None:
        server.should_exit = True

    keeper = asyncio.create_task(own.keep())
    keeper.add_done_callback(lost)
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
    if not keeper.cancelled() and (error := keeper.exception()) is not None:
        raise CommandError(str(error)) from error


class Server(uvicorn.Server):
    """uvicorn's server. At shutdown it first ends watched streams, and WebSockets once their messages are answered."""

    def __init__(self, config: uvicorn.Config, live: Feeds, websockets: OpenSockets) -> None:
        super().__init__(config)
        self._live = live
        self._websockets = websockets

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners, end watchers, drain WebSockets, then shut down as uvicorn does."""
        for listener in sockets or []:
            listener.close()
        self._live.close()
        await self._websockets.close(DRAIN_SECONDS)
        await super().shutdown(sockets)


def _uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        root_path=settings.root_path,
        log_config=None,
        # Never its lower levels: they print headers and addresses with their queries.
        log_level="error" if settings.log_level == "error" else "warning",
        http=limited(settings.max_connections, settings.body_seconds),
        timeout_keep_alive=settings.keep_alive_seconds,
        access_log=False,
        ws=Frames,
        ws_max_size=settings.max_body,
        # Numbers in JSON of a few hundred bytes: compressing costs more time than it saves.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


async def _until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit as error:
        # uvicorn exits like this when the application did not start; it has logged the reason.
        raise CommandError("the service could not start; the lines above say why") from error


async def _when_ready(app: FastAPI, server: uvicorn.Server, announce: Callable[[], None]) -> None:
    """Announce that the service takes events, as soon as it does."""
    await app.state.kernels.ready.wait()
    said = False
    while not server.started or (why := await _store_error(app.state.store)) is not None:
        if server.started and not said:
            logger.warning("waiting for the store: %s", why)
            said = True
        await asyncio.sleep(POLL_SECONDS)
    for warning in await app.state.store.warnings():
        logger.warning(warning)
    sys.setswitchinterval(SWITCH_SECONDS)
    announce()
    await app.state.kernels.complete()
    _tune_collector()


def _tune_collector() -> None:
    """Keep the cycle collector away from the objects made at start, once all kernels are compiled.

    A bulk request has thousands of events in flight. With Python's default thresholds the collector walks through them
    and through all libraries again and again: measured, that took as long as all of an event but learning.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 10, 10)


async def _store_error(store: Store) -> str | None:
    """Why the store does not answer, or None when it does."""
    try:
        await store.ping()
    except ServiceError as error:
        return error.detail
    return None


def _stop_with_parent(parent: socket.socket, server: uvicorn.Server) -> None:
    """Stop the service when the other end of `parent` is closed."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(parent)
        server.should_exit = True

    # Nothing is ever written to this end, so readable means closed.
    loop.add_reader(parent, end)
