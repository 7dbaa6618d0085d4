"""What /metrics says: the metrics, and what is known only when somebody asks: whether the store answers."""

import asyncio

from prometheus_client import generate_latest

from service.errors import ServiceError
from service.kernels import Kernels
from service.metrics import Metrics
from service.store import Store

STORE_SECONDS = 0.25
"""What the store may take to answer a scrape, which goes on without it: those who look want to see that it is away."""


class Scrape:
    """Answers scrapes. The store is asked one question at a time, however many there are."""

    def __init__(self, metrics: Metrics, store: Store, kernels: Kernels) -> None:
        self._metrics = metrics
        self._store = store
        self._kernels = kernels
        self._asked: asyncio.Task[None] | None = None

    async def page(self) -> bytes:
        """Everything in `service/metrics.py`, as it is now, in Prometheus' text format."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._ask())
        await asyncio.shield(self._asked)  # others wait for it too
        return generate_latest(self._metrics.registry)

    async def _ask(self) -> None:
        up, usage = True, None
        try:
            async with asyncio.timeout(STORE_SECONDS):
                usage = await self._store.usage()
        except (ServiceError, TimeoutError):
            up = False
        self._metrics.answered(up, usage)
        self._metrics.ready.set(up and self._kernels.ready.is_set())
