"""Checkpoints in Redis: chunks under names of their own, to which the head of a stream points.

    nbt:{S}:ck:<version>:<write>:<chunk>    <write> is random, so that two replicas that write the same version never
                                            touch each other's chunks

They go over connections of their own, so that no commit waits behind a checkpoint.
"""

import secrets
from dataclasses import dataclass

from ...errors import Unavailable
from .client import BoundedClient, key

CHUNK = 256 * 1024
"""The most bytes of a checkpoint in one value. A larger value would stall the server and our event loop."""
UNCLAIMED_SECONDS = 600
"""How long a chunk lives until a head points to it. So the chunks that a crash leaves behind expire."""
LOST = b"lost"
"""The reply of a script that finds a chunk missing before it changes anything."""


def lost() -> Unavailable:
    """The error for a learner whose chunks were gone before the store could keep them."""
    return Unavailable("The store lost a part of the learner before it kept it. Try again.", retry_after=1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint, as the head names it: `<version>:<write>,<chunks>,<bytes>`."""

    name: str
    chunks: int
    size: int

    @property
    def field(self) -> str:
        """Its text in the head."""
        return f"{self.name},{self.chunks},{self.size}"

    @property
    def version(self) -> int:
        """Events learnt."""
        return int(self.name.partition(":")[0])

    def keys(self, stream: str) -> list[str]:
        """The keys of its chunks."""
        return [key(stream, f"ck:{self.name}:{i}") for i in range(self.chunks)]


def parsed(field: bytes) -> list[Checkpoint]:
    """The checkpoints that a head points to, separated by spaces there; the newest first."""
    parts = (entry.split(",") for entry in field.decode().split())
    return [Checkpoint(name, int(chunks), int(size)) for name, chunks, size in parts]


class Chunks:
    """Writes and reads the chunks of checkpoints. Raises as `BoundedClient.reply` does."""

    def __init__(self, client: BoundedClient) -> None:
        self._client = client
        self._redis = client.redis

    async def write(self, stream: str, version: int, blob: bytes) -> Checkpoint:
        """Write the chunks of a checkpoint. They expire unless a script makes them last."""
        count = max(1, -(-len(blob) // CHUNK))
        checkpoint = Checkpoint(f"{version}:{secrets.token_hex(4)}", count, len(blob))
        for i, place in enumerate(checkpoint.keys(stream)):
            chunk = memoryview(blob)[i * CHUNK : (i + 1) * CHUNK]
            await self._client.reply(self._redis.set(place, chunk, ex=UNCLAIMED_SECONDS))
        return checkpoint

    async def read(self, stream: str, version: int) -> bytes | None:
        """The bytes of a checkpoint that the head points to; None where there is none, or a part of it is missing."""
        field = await self._client.reply(self._redis.hget(key(stream, "head"), "checkpoints"))
        for checkpoint in parsed(field or b""):
            if checkpoint.version == version:
                return await self.joined(stream, checkpoint)
        return None

    async def joined(self, stream: str, checkpoint: Checkpoint) -> bytes | None:
        """The bytes of a checkpoint; None where a part of it is missing."""
        parts = [await self._client.reply(self._redis.get(place)) or b"" for place in checkpoint.keys(stream)]
        blob = b"".join(parts)
        return blob if len(blob) == checkpoint.size else None

    async def drop(self, stream: str, checkpoint: Checkpoint) -> None:
        """Remove the chunks of a checkpoint that is not kept."""
        await self._client.reply(self._redis.unlink(*checkpoint.keys(stream)))
