"""A client that is hostile: bytes as they should not be, and the statuses of what is answered.

An `Attack` is a coroutine that does one thing to a service and says what it was answered. `table` has many.
"""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

BODY_SECONDS = 1
"""NBT_BODY_SECONDS of the service: how long heads and bodies may take."""
CLOSED = 0
"""In the place of a status: the connection was closed without an answer."""

STREAM = "/v1/streams/s"
EVENTS = f"{STREAM}/events"
INFER = "/v2/models/s/infer"
NDJSON = "Content-Type: application/x-ndjson"
GZIP = "Content-Encoding: gzip"
CHUNKED = "Transfer-Encoding: chunked"
DIGITS = b"1" * 5000
EVENT = b'{"y":{"y":1}}'


@dataclass(frozen=True)
class Target:
    """Where the service is."""

    port: int

    async def open(self) -> "Wire":
        """A connection."""
        wire = Wire(socket.socket())
        wire.socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire.socket, ("127.0.0.1", self.port))
        return wire


@dataclass(frozen=True)
class Wire:
    """A connection, byte by byte. What was answered can be read after the service has closed, too."""

    socket: socket.socket

    async def send(self, data: bytes) -> bool:
        """False when it is not taken any more, or something was answered."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except ConnectionError:
            return False
        try:
            self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        return False

    async def read(self) -> bytes:
        """All that is answered until the service closes; fails when it does not."""
        found, loop = b"", asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while part := await asyncio.wait_for(loop.sock_recv(self.socket, 65536), 10):
                found += part
        return found

    async def rest(self) -> bytes:
        """The same, and the end."""
        with self.socket:
            return await self.read()


Attack = Callable[[Target], Coroutine[Any, Any, list[int]]]
"""What is done to the service; the statuses of its answers, those of lines and messages among them."""


def statuses(answer: bytes) -> list[int]:
    """Of each response, or of the lines of a bulk answer."""
    found = [int(code) for code in re.findall(rb"(?:^|\n)HTTP/1\.1 (\d+)", answer)]
    if found == [200] and b"application/x-ndjson" in answer:
        found += [int(code) for code in re.findall(rb'"status":(\d+)', answer)]
    return found or [CLOSED]


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode("latin-1")


def raw(*pieces: bytes, pause: float = 0.0) -> Attack:
    """Bytes as they are, one piece after the other."""

    async def attack(target: Target) -> list[int]:
        wire = await target.open()
        for piece in pieces:
            await wire.send(piece)
            await asyncio.sleep(pause)
        return statuses(await wire.rest())

    return attack


def ask(method: str, path: str, body: bytes = b"", *headers: str) -> Attack:
    """A request as it should be, but for what is in it."""
    return raw(head(method, path, "Connection: close", f"Content-Length: {len(body)}", *headers) + body)


def endless(first: bytes, piece: bytes, megabytes: int) -> Attack:
    """What goes on until the service has had enough, or that much was taken."""

    async def attack(target: Target) -> list[int]:
        wire = await target.open()
        await wire.send(first)
        for _ in range(megabytes * 1_000_000 // len(piece)):
            if not await wire.send(piece):
                return statuses(await wire.rest())
        raise AssertionError(f"{megabytes} MB were taken")

    return attack


def slow(first: bytes, piece: bytes, pause: float) -> Attack:
    """A little at a time, without an end."""

    async def attack(target: Target) -> list[int]:
        wire = await target.open()
        alive = await wire.send(first)
        for _ in range(int(5 * BODY_SECONDS / pause)):
            if not alive:
                return statuses(await wire.rest())
            await asyncio.sleep(pause)
            alive = await wire.send(piece)
        raise AssertionError("it never had enough")

    return attack


def idle(count: int) -> Attack:
    """Connections that say nothing."""

    async def attack(target: Target) -> list[int]:
        wires = [await target.open() for _ in range(count)]
        ends = await asyncio.gather(*(wire.rest() for wire in wires))
        return sorted({code for answer in ends for code in statuses(answer)})

    return attack


UPGRADE = head(
    "GET", f"{STREAM}/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip


def frame(payload: bytes, kind: int = 1, *, final: bool = True) -> bytes:
    """A frame of less than 126 bytes, masked with zeros."""
    return bytes([kind | 0x80 * final, 0x80 | len(payload)]) + bytes(4) + payload


def frames(*pieces: bytes, pause: float = 0.0) -> Attack:
    """Frames of a WebSocket, and then its end; its answers' statuses and the code with which it was closed."""

    async def attack(target: Target) -> list[int]:
        wire = await target.open()
        await wire.send(UPGRADE)
        reading = asyncio.create_task(wire.read())
        await asyncio.sleep(0.1)
        for piece in pieces:
            await wire.send(piece)
            if reading.done():
                break
            await asyncio.sleep(pause)
        else:
            await asyncio.sleep(0.1)
            await wire.send(frame(b"", 8))
        with wire.socket:
            answer = await reading
        codes = {int(code) for code in re.findall(rb'"status":(\d+)', answer)}
        # The last frame is the end: of no code where it only answers ours.
        ended = re.search(rb"\x88.(..)", answer[-125:], re.DOTALL)
        return sorted(codes | ({int.from_bytes(ended[1])} if ended else set()))

    return attack


async def deaf(target: Target) -> list[int]:
    """Pings of whose answers none is read."""
    wire = await target.open()
    await wire.send(UPGRADE)
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            await asyncio.get_running_loop().sock_sendall(wire.socket, frame(bytes(125), 9) * 1000)
    wire.socket.close()
    return []


async def nothing_to_say(target: Target) -> list[int]:
    """10^4 messages in a row, none of which says anything: the statuses of the answers to all."""
    found = []
    async with connect(f"ws://127.0.0.1:{target.port}{STREAM}/ws", proxy=None) as socket:

        async def talk() -> None:
            for _ in range(10_000):
                await socket.send("1")

        talking = asyncio.create_task(talk())
        try:
            found = [json.loads(await socket.recv())["status"] for _ in range(10_000)]
        except ConnectionClosed:
            found = []
        await talking
    assert len(found) == 10_000
    return sorted(set(found))
