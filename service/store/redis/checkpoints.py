"""Checkpoints in Redis: chunks under a name of their own, to which the head of a stream points.

    nbt:{S}:ck:<version>:<write>:<chunk>    <write> is random, so that two replicas that write the same version never
                                            touch each other's chunks

They go over a lane of their own: no commit waits behind one.
"""

import secrets
from dataclasses import dataclass

from .client import BoundedClient, key

CHUNK = 256 * 1024
"""Bytes of a checkpoint in one value; a larger one would stall the server and our event loop."""
UNCLAIMED_SECONDS = 600
"""Life of a chunk to which no head points yet: what a crash leaves behind goes by itself."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """In the head: `<version>:<write>,<chunks>,<bytes>`, separated by a space."""

    name: str
    chunks: int
    size: int

    @property
    def field(self) -> str:
        """As the head has it."""
        return f"{self.name},{self.chunks},{self.size}"

    @property
    def version(self) -> int:
        """Events learnt."""
        return int(self.name.partition(":")[0])

    def keys(self, stream: str) -> list[str]:
        """Where its chunks are."""
        return [key(stream, f"ck:{self.name}:{i}") for i in range(self.chunks)]


def parsed(field: bytes) -> list[Checkpoint]:
    """The checkpoints that a head points to, newest first."""
    parts = (entry.split(",") for entry in field.decode().split())
    return [Checkpoint(name, int(chunks), int(size)) for name, chunks, size in parts]


class Chunks:
    """Writes and reads the chunks of checkpoints. Raises as `BoundedClient.reply` does."""

    def __init__(self, client: BoundedClient) -> None:
        self._client = client
        self._redis = client.redis

    async def write(self, stream: str, version: int, blob: bytes) -> Checkpoint:
        """The chunks of a checkpoint to which no head points yet: they expire, until one does."""
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
        """Remove the chunks of a checkpoint that nobody wants."""
        await self._client.reply(self._redis.unlink(*checkpoint.keys(stream)))
