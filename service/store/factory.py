"""The store that the settings name: for the service, and for commands that work on a store without one."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import quote

from ..errors import CommandError, ServiceError
from ..settings import Settings
from .base import Retention, Store
from .embedded import EmbeddedError, EmbeddedServer, answers
from .redis.store import RedisStore

PATIENCE_SECONDS = 30.0
"""How long one command of the store may take in a command, in seconds. Nobody else waits for it."""


def connect(settings: Settings, url: str, timeout: float) -> Store:
    """The store at `url`, to be used as the settings say. Raises ValueError for a URL that is none of a Redis."""
    retention = Retention(settings.outcomes_kept, settings.outcomes_seconds, whole_log=settings.history == "full")
    return RedisStore(
        url, timeout, retention, replicas=1 if settings.ack == "replicated" else 0, durable=settings.ack != "fast"
    )


@contextlib.asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The store of `settings`: the one of REDIS_URL, or the one of the data directory.

    While a service has the data directory open, its server is used; else a server is started for as long as this lasts.
    Raises CommandError when there is no such store, or when it fails.
    """
    async with contextlib.AsyncExitStack() as stack:
        url, socket = settings.redis_url, settings.data_dir.absolute() / "redis.sock"
        if url is None and await answers(socket):
            url = f"unix://{quote(str(socket))}"
        elif url is None:
            if not settings.data_dir.is_dir():
                raise CommandError(f"{settings.data_dir} does not exist; name the store with --data-dir or REDIS_URL")
            try:
                url = await stack.enter_async_context(EmbeddedServer(settings.data_dir, settings.redis_server))
            except EmbeddedError as error:
                raise CommandError(str(error)) from error
        try:
            store = connect(settings, url, PATIENCE_SECONDS)
        except ValueError as error:
            raise CommandError(f"REDIS_URL is not the URL of a Redis: {error}") from error
        stack.push_async_callback(store.close)
        try:
            yield store
        except ServiceError as error:
            raise CommandError(error.detail) from error
