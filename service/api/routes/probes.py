"""The probes: whether the process is alive, whether it can learn, and its metrics."""

import asyncio
import math
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ...errors import ServiceError, Unavailable
from ...learners.kernels import Kernels
from ...observability.metrics import Metrics
from ...store.base import Store
from .. import examples
from ..problems import problems

STORE_SECONDS = 0.25
"""How long a scrape waits for the store. It then goes on without the store, and says that the store is away."""


class Scrape:
    """Answers scrapes. However many there are, one question at a time goes to the store."""

    def __init__(self, metrics: Metrics, store: Store, kernels: Kernels) -> None:
        self._metrics = metrics
        self._store = store
        self._kernels = kernels
        self._asked: asyncio.Task[None] | None = None

    async def page(self) -> bytes:
        """All metrics of `service/observability/metrics.py`, in the text format of Prometheus."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._ask())
        await asyncio.shield(self._asked)  # other scrapes wait for the same answer
        return generate_latest(self._metrics.registry)

    async def _ask(self) -> None:
        up, usage = True, None
        try:
            async with asyncio.timeout(STORE_SECONDS):
                usage = await self._store.usage()
        except (ServiceError, TimeoutError):
            up = False
        used, limit = (math.nan, math.nan) if usage is None else (usage.used, usage.limit)
        self._metrics.answered(up, used, limit)
        self._metrics.ready.set(up and self._kernels.ready.is_set())


def add(app: FastAPI, store: Store, metrics: Metrics, kernels: Kernels) -> None:
    """Add `/livez`, `/readyz` and `/metrics` to the application."""

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
        responses=_text("ready\n") | problems(Unavailable),
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
        """Everything in `service/observability/metrics.py`; also when the store does not answer."""
        return Response(await scrape.page(), media_type=CONTENT_TYPE_LATEST)


def _text(example: str) -> dict[int | str, dict[str, Any]]:
    """An answer in plain text, for the OpenAPI document."""
    return {200: {"content": {"text/plain": {"example": example}}}}
