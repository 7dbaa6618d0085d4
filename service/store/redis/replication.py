"""Waiting until replicas have what was written."""

from ...errors import Unavailable
from .client import BoundedClient

WAIT_SHARE = 0.7
"""The share of a command's time that replicas may take, so that their answer still arrives in time."""
CONFIRM_SECONDS = 60
"""How long a value lives that is written only to wait for a replica."""


class Replication:
    """Waits for this many `replicas`, at most a share of `timeout` seconds. With none it returns at once."""

    def __init__(self, client: BoundedClient, replicas: int, timeout: float) -> None:
        self._client = client
        self._replicas = replicas
        self._timeout = timeout

    async def confirm(self, key: str) -> None:
        """See `Store.confirm`. WAIT counts the writes of its own connection, so a write to `key` goes before it."""
        if not self._replicas:
            return
        pipeline = self._client.client_of(key).pipeline(transaction=False)
        pipeline.set(key, b"", ex=CONFIRM_SECONDS)
        pipeline.execute_command("WAIT", self._replicas, int(1000 * self._timeout * WAIT_SHARE))
        try:
            _, have = await self._client.reply(pipeline.execute())
        except Unavailable:
            # In a cluster, a command through the whole client learns where the slot has gone.
            await self._client.reply(self._client.redis.exists(key))
            raise
        if have < self._replicas:
            raise Unavailable(
                f"only {have} of {self._replicas} replicas have the event. Repeat with the same ids.", retry_after=1
            )
