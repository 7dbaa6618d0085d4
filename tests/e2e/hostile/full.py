"""Attacks at full size. Each goes on until it has done all it can, and counts what it did and what it was answered."""

import asyncio
import contextlib
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.e2e.hostile.table import ATTACKS
from tests.e2e.hostile.wire import (
    CHUNKED,
    EVENTS,
    NDJSON,
    UPGRADE,
    Attack,
    Target,
    Wire,
    ask,
    deaf,
    frame,
    head,
    idle,
    statuses,
)  # fmt: skip

MILLION = 1_000_000
AT_ONCE = 1000
"""Frames or lines of one write."""

LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class Done:
    """What an attack has done so far."""

    count: int
    answers: Counter[int]

    def add(self, codes: list[int], count: int = 1) -> None:
        """So much more was done, and answered like this."""
        self.count += count
        self.answers.update(codes)


Full = Callable[[Target, Done], Awaitable[None]]


def one_by_one(*attacks: Attack) -> Full:
    """One after the other, a connection each."""

    async def run(target: Target, done: Done) -> None:
        for attack in attacks:
            done.add(await attack(target))

    return run


def named(*words: str) -> Full:
    """Those of the table whose names have one of these words."""
    return one_by_one(*(attack for name, (attack, _) in ATTACKS.items() if any(word in name for word in words)))


async def _heard(wire: Wire, done: Done, pattern: bytes) -> None:
    """Read until the end, and count the statuses, without keeping what was read."""
    loop, rest = asyncio.get_running_loop(), b""
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        while part := await loop.sock_recv(wire.socket, 1 << 18):
            whole, newline, rest = (rest + part).rpartition(b"}")
            done.answers.update(int(code) for code in re.findall(pattern, whole + newline))


def poured(first: bytes, piece: bytes, times: int, count: int, *, last: bytes = b"", read: bool = True) -> Full:
    """One connection, into which a piece is written over and over, each `count` frames or lines, while it is read."""

    async def run(target: Target, done: Done) -> None:
        wire, loop = await target.open(), asyncio.get_running_loop()
        hearing = asyncio.create_task(_heard(wire, done, rb'"status":(\d+)')) if read else None
        try:
            await loop.sock_sendall(wire.socket, first)
            await asyncio.sleep(0.05)
            with contextlib.suppress(ConnectionError):
                for _ in range(times):
                    await loop.sock_sendall(wire.socket, piece)
                    done.count += count
                await loop.sock_sendall(wire.socket, last)
                if hearing is not None:
                    await hearing
        finally:
            if hearing is not None:
                hearing.cancel()
            wire.socket.close()

    return run


def frames_poured(one: bytes, *, read: bool = True) -> Full:
    """A million frames, on ten connections one after the other: who answers no pings has forty seconds for each."""
    tenth = poured(UPGRADE, one * AT_ONCE, MILLION // AT_ONCE // 10, AT_ONCE, last=frame(b"", 8), read=read)

    async def run(target: Target, done: Done) -> None:
        for _ in range(10):
            await tenth(target, done)

    return run


async def parts(target: Target, done: Done) -> None:
    """A million parts of messages that do not end, on as many connections as that takes."""
    goal = done.count + MILLION
    piece = frame(b"", final=False) + frame(b"", 0, final=False) * 2 * AT_ONCE
    while done.count < goal:
        await poured(UPGRADE, piece, 1, 2 * AT_ONCE)(target, done)


def together(count: int, first: bytes, piece: bytes, pause: float) -> Full:
    """Many connections that each say a little at a time, until the service has had enough of them."""

    async def one(target: Target, done: Done) -> None:
        wire = await target.open()
        try:
            alive = await wire.send(first)
            for _ in range(int(10 / pause)):
                if not alive:
                    break
                await asyncio.sleep(pause)
                alive = await wire.send(piece)
            if not alive and b"Upgrade" not in first:
                done.answers.update(statuses(await wire.read()))
            done.count += 1
        finally:
            wire.socket.close()

    async def run(target: Target, done: Done) -> None:
        await asyncio.gather(*(one(target, done) for _ in range(count)))

    return run


def dropped(count: int) -> Full:
    """Connections that are opened and dropped, every second one in the middle of a request."""

    async def run(target: Target, done: Done) -> None:
        for number in range(count):
            wire = await target.open()
            if number % 2:
                await wire.send(head("POST", EVENTS, "Content-Length: 50") + b"{")
            wire.socket.close()
            done.count += 1

    return run


async def strangers(target: Target, done: Done) -> None:
    """Keys that nobody made, each a new one, some of them shaped as ours are."""
    for number in range(1000):
        key = f"nbt_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}" if number % 2 else secrets.token_hex(3000)
        done.add(await ask("POST", EVENTS, b"{}", f"Authorization: Bearer {key}")(target))


LINES = head("POST", EVENTS, NDJSON, CHUNKED, "Connection: close")
TWICE = b'{"y":{%s"y":1}}' % (b'"y":"1",' * 7000)
FULL: dict[str, tuple[str, Full]] = {
    "numbers of 5,000 digits": ("requests", named("5000 digits")),
    "200,000 open brackets": ("requests", named("200000 brackets", "60000")),
    "duplicate keys, up to 7,000": ("requests", one_by_one(ask("POST", EVENTS, TWICE[:65_000]))),
    "NUL": ("requests and messages", named("NUL")),
    "lone surrogates": ("requests and messages", named("surrogate")),
    "gzip bombs of 50 and 100 MB": ("requests", named("packed")),
    "a line that never ends": (
        "writes of 32 KB",
        poured(LINES, b"8000\r\n" + b" " * 0x8000 + b"\r\n", 30_000, 1,
            last=LAST_CHUNK),
    ),
    "a body in chunks of a byte": (
        "chunks",
        poured(LINES, b"1\r\n \r\n" * AT_ONCE, MILLION // AT_ONCE, AT_ONCE,
            last=LAST_CHUNK),
    ),
    "a body that never ends": ("connections", named("a body without an end")),
    "floods of headers": ("connections", named("headers without", "header without", "headers after", "address")),
    "a WebSocket that never reads, refused messages": ("messages", frames_poured(frame(b"1"), read=False)),
    "a WebSocket that never reads, pings": ("times 25 MB", one_by_one(deaf)),
    "300 WebSockets with a byte a second": ("connections", together(300, UPGRADE, b"\x81", 1.0)),
    "10^6 messages of a byte": ("messages", frames_poured(frame(b"1"))),
    "10^6 pings": ("pings", frames_poured(frame(b"", 9))),
    "10^6 pongs": ("pongs", frames_poured(frame(b"", 10))),
    "10^6 empty parts": ("parts", parts),
    "2,000 idle connections": ("times 2,000", one_by_one(idle(2000))),
    "1,000 bodies with a byte a second": (
        "connections", together(1000, head("POST", EVENTS, "Content-Length: 5000"), b" ", 1.0),
    ),
    "connections opened and dropped": ("connections", dropped(5000)),
    "10^6 bad lines": (
        "lines",
        poured(
            head("POST", EVENTS, NDJSON, f"Content-Length: {2 * MILLION}", "Connection: close"),
            b"1\n" * AT_ONCE, MILLION // AT_ONCE, AT_ONCE,
        ),
    ),
    "invalid keys": ("requests", strangers),
}  # fmt: skip
"""Name of an attack: what is counted, and what is done."""
KEYED = {"invalid keys"}
"""Attacks on a service that has keys."""
