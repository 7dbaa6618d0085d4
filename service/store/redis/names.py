"""The names of the streams: a set of its own, on a shard of its own.

A name enters the set before its head is made and leaves after its head is gone. So a crash in between leaves a name
without a head, which is no stream; such names leave the set when the limit of streams is reached.
"""

import time

from .client import BoundedClient, Script, key

NAMES = "nbt:streams"
PAGE = 1000
"""The number of names in one pipeline."""
CLEAN_SECONDS = 10.0
"""The shortest time between two searches for names without a head: each of them reads every name."""


class Names:
    """The set of names in Redis. Raises as `BoundedClient.reply` does."""

    def __init__(self, client: BoundedClient) -> None:
        self._client = client
        self._redis = client.redis
        self._enrol = Script.load("enrol")
        self._cleaned = -CLEAN_SECONDS

    async def enrol(self, stream: str, limit: int) -> bool:
        """Put a name into the set; False when the set has `limit` other names, each with a head."""
        if await self._client.run(self._enrol, [NAMES], stream, limit):
            return True
        if time.monotonic() - self._cleaned < CLEAN_SECONDS:
            return False
        self._cleaned = time.monotonic()
        _, lost = await self._all()
        await self.remove(*lost)
        return bool(lost) and bool(await self._client.run(self._enrol, [NAMES], stream, limit))

    async def keep(self, stream: str) -> None:
        """Put the name of a stream that exists into the set, whatever the limit."""
        await self._client.reply(self._redis.sadd(NAMES, stream))

    async def remove(self, *streams: str) -> None:
        """Take names out of the set, except those that have a head afterwards: they were created again meanwhile."""
        for start in range(0, len(streams), PAGE):
            page = streams[start : start + PAGE]
            await self._client.reply(self._redis.srem(NAMES, *page))
            if again := [name for name, exists in zip(page, await self._exist(page), strict=True) if exists]:
                await self._client.reply(self._redis.sadd(NAMES, *again))

    async def streams(self) -> list[str]:
        """The names that have a head, sorted."""
        return (await self._all())[0]

    async def _all(self) -> tuple[list[str], list[str]]:
        """The names with a head and those without, sorted."""
        names = sorted(name.decode() for name in await self._client.reply(self._redis.smembers(NAMES)))
        found: tuple[list[str], list[str]] = ([], [])
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            for name, exists in zip(page, await self._exist(page), strict=True):
                found[not exists].append(name)
        return found

    async def _exist(self, names: list[str] | tuple[str, ...]) -> list[int]:
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.exists(key(name, "head"))
        exist: list[int] = await self._client.reply(pipeline.execute())
        return exist
