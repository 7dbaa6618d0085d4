"""What /metrics says: the metrics, and what is known only when somebody asks: whether the store answers."""

import asyncio

from prometheus_client import generate_latest

from service.errors import ServiceError
from service.kernels import Kernels
from service.metrics import Metrics
from service.store import Store

STORE_SECONDS = 0.25
"""What the store may take to answer a scrape, which goes on without it: those who look want to see that it is away."""


async def scrape(metrics: Metrics, store: Store, kernels: Kernels) -> bytes:
    """Everything in `service/metrics.py`, as it is now, in Prometheus' text format."""
    up, usage = True, None
    try:
        async with asyncio.timeout(STORE_SECONDS):
            usage = await store.usage()
    except (ServiceError, TimeoutError):
        up = False
    metrics.answered(up, usage)
    metrics.ready.set(up and kernels.ready.is_set())
    return generate_latest(metrics.registry)
