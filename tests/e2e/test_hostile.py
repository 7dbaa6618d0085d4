"""Hostile clients of a real service: each is refused with a status or a close, and nobody else notices.

While one attacks, another client looks at /livez and sends events to a stream of its own: each is answered within a
second. Afterwards the stream that was attacked is what it was, the process has not grown by more than `GROWTH`, and the
service has not blamed itself.
"""

import asyncio
import contextlib
import gzip
import json
import re
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from service.client import Client
from tests.e2e.processes import RunningService

GROWTH = 64 * 1024 * 1024
"""Bytes by which the process may be larger after an attack than after a first, harmless round."""
PATIENCE = 1.0
"""Seconds in which everybody else is answered."""
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


MANY_HEADERS = b"".join(b"h%d: x\r\n" % i for i in range(1000))
BOMB = gzip.compress(bytes(100_000_000))
LINE_BOMB = gzip.compress(b'{"y":' + b"[" * 50_000_000)


def tensor(data: bytes, shape: bytes = b"1", name: bytes = b"y", more: bytes = b'"learn":true') -> bytes:
    """The body of an inference request."""
    text = b'{"parameters":{%s},"inputs":[{"name":"%s","datatype":"FP64","shape":[%s],"data":%s}]}'
    return text % (more, name, shape, data)


ATTACKS: dict[str, tuple[Attack, list[int]]] = {
    # Numbers.
    "5000 digits": (ask("POST", EVENTS, b'{"y":{"y":%s}}' % DIGITS), [400]),
    "5000 digits as a time": (ask("POST", EVENTS, b'{"y":{"y":1},"time":%s}' % DIGITS), [400]),
    "5000 digits as an id": (ask("POST", EVENTS, b'{"y":{"y":1},"id":%s}' % DIGITS), [400]),
    "5000 digits as a label": (ask("PUT", f"{EVENTS}/a/label", b'{"y":{"y":%s}}' % DIGITS), [400]),
    "5000 digits as a line": (ask("POST", EVENTS, DIGITS, NDJSON), [200, 400]),
    "5000 digits as a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"seed":%s}' % DIGITS), [400]),
    "5000 digits as a clone's": (ask("POST", f"{STREAM}/clone", b'{"name":"t","config":{"seed":%s}}' % DIGITS), [400]),
    "5000 digits as a horizon": (ask("GET", f"{STREAM}/forecast?horizon={'1' * 5000}"), [400]),
    "5000 digits as a page": (ask("GET", f"/v1/streams?limit={'1' * 5000}"), [400]),
    "5000 digits as samples": (ask("GET", f"{STREAM}/diagnostics?samples={'1' * 5000}"), [400]),
    "5000 digits as a version": (ask("GET", f"{STREAM}/live", b"", f"Last-Event-ID: {'1' * 5000}"), [400]),
    "5000 digits as a model's version": (ask("GET", f"/v2/models/s/versions/{'1' * 5000}"), [404]),
    "5000 digits as a length of JSON": (
        ask("POST", INFER, b"{}", f"Inference-Header-Content-Length: {'1' * 5000}"), [400],
    ),
    "5000 digits as a length": (raw(head("POST", EVENTS, f"Content-Length: {'1' * 5000}")), [400]),
    "5000 digits in a tensor": (ask("POST", INFER, tensor(b"[%s]" % DIGITS)), [400]),
    "4000 digits in a tensor": (ask("POST", INFER, tensor(b"[%s]" % DIGITS[:4000])), [422]),
    "4000 digits as a shape": (ask("POST", INFER, tensor(b"[1]", DIGITS[:4000])), [422]),
    "4000 digits as steps": (ask("POST", INFER, b'{"parameters":{"horizon":%s}}' % DIGITS[:4000]), [413]),
    "1e999 in a tensor": (ask("POST", INFER, tensor(b"[1e999]")), [422]),
    "NaN in a tensor": (ask("POST", INFER, tensor(b'["NaN"]')), [422]),
    "true in a tensor": (ask("POST", INFER, tensor(b"[true]")), [422]),
    "a time that no calendar has": (
        ask("POST", INFER, tensor(b'[1]},{"name":"time","datatype":"FP64","shape":[1],"data":[1e18]')), [422],
    ),
    "NaN as a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"learning_rate":NaN}'), [400]),
    "1e999 as a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"learning_rate":1e999}'), [422]),
    '"Infinity" as a setting': (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"gain":"Infinity"}'), [422]),
    "NaN as a label": (ask("PUT", f"{EVENTS}/a/label", b'{"y":{"y":NaN}}'), [422]),
    "true as a label": (ask("PUT", f"{EVENTS}/a/label", b'{"y":{"y":true}}'), [422]),
    "1e999 as an input to come": (ask("POST", f"{STREAM}/forecast", b'{"x":[{"y":1e999}]}'), [422]),
    '"1e999" as an input to come': (ask("POST", f"{STREAM}/forecast", b'{"x":[{"y":"1e999"}]}'), [422]),
    # Brackets, within the limit of a body and beyond it.
    "60000 brackets": (ask("POST", EVENTS, b"[" * 60_000), [400]),
    "200000 brackets": (ask("POST", EVENTS, b"[" * 200_000), [413]),
    "60000 brackets as a setting": (ask("PUT", "/v1/streams/t", b"[" * 60_000), [400]),
    "60000 brackets in a setting": (ask("PUT", "/v1/streams/t", b'{"targets":' + b"[" * 60_000), [400]),
    "60000 brackets in a tensor": (ask("POST", INFER, tensor(b"[" * 60_000)), [400]),
    "100 pairs of brackets in a tensor": (ask("POST", INFER, tensor(b"[" * 100 + b"1" + b"]" * 100)), [422]),
    "60000 brackets in a forecast": (ask("POST", f"{STREAM}/forecast", b'{"x":' + b"[" * 60_000), [400]),
    "60000 braces in a forecast": (ask("POST", f"{STREAM}/forecast", b"{" * 60_000), [413]),
    "200000 brackets as a line": (ask("POST", EVENTS, b"[" * 200_000, NDJSON), [200, 413]),
    "objects in objects": (ask("POST", EVENTS, b'{"y":' * 12_000), [400]),
    # Keys and texts.
    "a key twice": (ask("POST", EVENTS, b'{"y":{"y":1},"y":{"y":2}}'), [400]),
    "a channel twice": (ask("POST", EVENTS, b'{"y":{"y":1,"\\u0079" :2}}'), [400]),
    "a key twice in a line": (ask("POST", EVENTS, b'{"y":{"y":1},"y":{"y":2}}', NDJSON), [200, 400]),
    "a key twice in a setting": (ask("PUT", "/v1/streams/t", b'{"targets":["y"],"targets":["z"]}'), [400]),
    "a key twice, the second wrong": (ask("POST", EVENTS, b'{"y":{"y":1},"y":{"y":"1"}}'), [400]),
    "a channel twice, the second wrong": (ask("POST", EVENTS, b'{"y":{"y":1,"y":true}}'), [422]),
    "NUL after an event": (ask("POST", EVENTS, EVENT + b"\x00"), [400]),
    "NUL in an id": (ask("POST", EVENTS, b'{"id":"a\x00","y":{"y":1}}'), [400]),
    "NUL as a channel": (ask("POST", EVENTS, b'{"y":{"\\u0000":1}}'), [422]),
    "NUL in a target": (ask("PUT", "/v1/streams/t", b'{"targets":["a\\u0000"]}'), [422]),
    "NUL in a header": (raw(head("GET", "/livez", "x: a\x00b")), [400]),
    "NUL in an address": (raw(head("GET", "/livez\x00")), [400]),
    "lone surrogate as an id": (ask("POST", EVENTS, b'{"id":"\\ud800","y":{"y":1}}'), [400]),
    "lone surrogate as a channel": (ask("POST", EVENTS, b'{"y":{"\\udfff":1}}'), [400]),
    "lone surrogate as a target": (ask("PUT", "/v1/streams/t", b'{"targets":["\\ud800"]}'), [400]),
    "lone surrogate as a setting": (ask("POST", f"{STREAM}/clone", b'{"name":"t","config":{"\\ud800":1}}'), [400]),
    "lone surrogate in UTF-8": (ask("POST", EVENTS, b'{"id":"\xed\xa0\x80","y":{"y":1}}'), [400]),
    "129 characters as an id in an address": (ask("PUT", f"{EVENTS}/{'i' * 129}/label", EVENT), [400]),
    "129 characters as an id in a line": (ask("POST", EVENTS, b'{"id":"%s"}' % (b"i" * 129), NDJSON), [200, 422]),
    "129 characters as an id in a tensor": (
        ask(
            "POST", INFER,
            tensor(b'[1]},{"name":"id","datatype":"BYTES","shape":[1],"data":["%s"]' % (b"i" * 129)),
        ), [422],
    ),
    "braces as a clone": (ask("POST", f"{STREAM}/clone", b'{"name":"a{b}"}'), [422]),
    "braces as a snapshot": (ask("POST", f"{STREAM}/snapshots", b'{"name":"{s}"}'), [422]),
    "braces as a snapshot's address": (ask("POST", f"{STREAM}/snapshots/%7Bs%7D/restore"), [400]),
    "braces that are watched": (ask("GET", "/v1/streams/%7Bs%7D/live"), [404]),
    "braces as a model": (ask("POST", "/v2/models/%7Bs%7D/infer", b"{}"), [404]),
    # Bodies that unpack to more than they seem.
    "100 MB of zeros packed": (ask("POST", EVENTS, BOMB[:60_000], GZIP), [413]),
    "100 MB of zeros packed as a setting": (ask("PUT", "/v1/streams/t", BOMB, GZIP), [413]),
    "100 MB of zeros packed as a tensor": (ask("POST", INFER, BOMB, GZIP), [413]),
    "100 MB of zeros packed as a line": (ask("POST", EVENTS, BOMB, NDJSON, GZIP), [200, 413]),
    "brackets packed as a line": (ask("POST", EVENTS, LINE_BOMB, NDJSON, GZIP), [200, 413]),
    # Lengths that lie, chunks that are none.
    "more than its length": (raw(head("POST", EVENTS, "Content-Length: 5") + EVENT), [400]),
    "less than its length": (raw(head("POST", EVENTS, "Content-Length: 50") + EVENT), [408]),
    "two lengths": (raw(head("POST", EVENTS, "Content-Length: 2", "Content-Length: 13") + EVENT), [400]),
    "a length below 0": (raw(head("POST", EVENTS, "Content-Length: -1") + EVENT), [400]),
    "a length and chunks": (raw(head("POST", EVENTS, "Content-Length: 13", CHUNKED) + b"0\r\n\r\n"), [400]),
    "a chunk of no size": (raw(head("POST", EVENTS, CHUNKED) + b"ZZ\r\n" + EVENT), [400]),
    "a chunk of a size below 0": (raw(head("POST", EVENTS, CHUNKED) + b"-1\r\n" + EVENT), [400]),
    "a chunk of 2^68 bytes": (raw(head("POST", EVENTS, CHUNKED) + b"F" * 17 + b"\r\n" + EVENT), [400]),
    "a chunk that is longer than it says": (raw(head("POST", EVENTS, CHUNKED) + b"2\r\n" + EVENT), [400]),
    "chunks with another name": (raw(head("POST", EVENTS, "Transfer-Encoding: xchunked") + b"0\r\n\r\n"), [400]),
    "garbage after lines": (
        raw(head("POST", EVENTS, CHUNKED, NDJSON) + b"2\r\n{\n\r\n", b"ZZ\r\n", pause=0.2), [200],
    ),
    "another protocol": (raw(b"\x16\x03\x01\x00\xc8" + bytes(200)), [400]),
    # What does not end.
    "a body a byte at a time": (slow(head("POST", EVENTS, "Content-Length: 1000"), b" ", 0.1), [408]),
    "a body a chunk at a time": (slow(head("POST", EVENTS, CHUNKED), b"1\r\n \r\n", 0.1), [408]),
    "a head a byte at a time": (slow(b"GET /livez HTTP/1.1\r\nHost: ", b"a", 0.1), [CLOSED]),
    "a body without an end": (endless(head("POST", EVENTS, CHUNKED), b"8000\r\n" + b" " * 0x8000 + b"\r\n", 30), [413]),
    "headers without an end": (endless(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", MANY_HEADERS, 30), [431]),
    "a header without an end": (endless(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nx: ", b"a" * 10_000, 30), [431]),
    "an address without an end": (endless(b"GET /", b"a" * 10_000, 30), [431]),
    "an address of 100 KB": (ask("GET", f"/v1/streams?after={'a' * 100_000}"), [431]),
    "headers after a body without an end": (endless(head("POST", EVENTS, CHUNKED) + b"0\r\n", MANY_HEADERS, 30), [431]),
    "a chunk's extension without an end": (endless(head("POST", EVENTS, CHUNKED) + b"1;", b"a" * 10_000, 30), [431]),
    "400 idle connections": (idle(400), [CLOSED]),
    # WebSockets.
    "a frame a byte at a time": (frames(*(bytes([b]) for b in frame(b'{"y":1}')), pause=0.15), [422]),
    "10^5 parts of nothing": (frames(frame(b"", final=False), *[frame(b"", 0, final=False) * 1000] * 100), [1009]),
    "10^5 parts of a byte": (frames(frame(b"[", final=False), *[frame(b"[", 0, final=False) * 1000] * 100), [1009]),
    "25 MB of pings whose answers are not read": (deaf, []),
    "10^5 pings": (frames(*[frame(b"", 9) * 1000] * 100), []),
    "10^4 messages that say nothing": (nothing_to_say, [422]),
    "a frame of 2^63 bytes": (frames(b"\x81\xff\x7f" + b"\xff" * 7 + bytes(4)), [1009]),
    "a frame that is not masked": (frames(b"\x81\x01{"), [1002]),
    "a lone surrogate in a frame": (frames(frame(b"\xed\xa0\x80")), [1007]),
    "a lone surrogate in a message": (frames(frame(b'{"id":"\\ud800","y":{"y":1}}')), [400]),
    "NUL in a message": (frames(frame(EVENT + b"\x00")), [400]),
}  # fmt: skip


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a stream `s` to attack, and one of somebody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBT_BODY_SECONDS", str(BODY_SECONDS))
        running = RunningService(tmp_path_factory.mktemp("hostile"))
    with Client(running.url) as client:
        for name in ("s", "other"):
            client.create(name, targets=["y"], units=4)
            client.observe(name, {"y": 1.0})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def memory(victim: RunningService) -> int:
    """Bytes of the process at the beginning."""
    return resident(victim)


def resident(service: RunningService) -> int:
    return int(psutil.Process(service.pid).memory_info().rss)


async def others(target: Target, stop: asyncio.Event) -> float:
    """The longest that another client waits for an answer while an attack goes on, and once at least after it."""
    longest, last = 0.0, False
    while not last:
        last = stop.is_set()
        for attack in (ask("GET", "/livez"), ask("POST", "/v1/streams/other/events", EVENT)):
            start = time.monotonic()
            assert await attack(target) == [200]
            longest = max(longest, time.monotonic() - start)
        await asyncio.sleep(0 if last else 0.02)
    return longest


async def attacked(attack: Attack, target: Target) -> tuple[list[int], float]:
    """What an attack was answered, and how long others waited."""
    stop = asyncio.Event()
    waiting = asyncio.create_task(others(target, stop))
    try:
        async with asyncio.timeout(20):
            found = await attack(target)
    finally:
        stop.set()
        longest = await waiting
    return found, longest


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_and_changes_nothing(victim: RunningService, memory: int, name: str) -> None:
    attack, expected = ATTACKS[name]
    with Client(victim.url) as client:
        before = client.status("s").digest
        found, longest = asyncio.run(attacked(attack, Target(int(victim.url.rpartition(":")[2]))))
        assert found == expected
        assert client.status("s").digest == before
        assert longest < PATIENCE
        assert client.streams() == ["other", "s"]
        assert 'refused_total{type="internal"}' not in client.metrics()
    assert resident(victim) - memory < GROWTH
    assert "Traceback" not in (victim.data_dir / "service.log").read_text()


def test_a_request_that_came_whole_is_answered_before_the_garbage_after_it(victim: RunningService) -> None:
    """Else an event would be learnt and called unreadable."""
    target = Target(int(victim.url.rpartition(":")[2]))
    request = head("POST", "/v1/streams/other/events", f"Content-Length: {len(EVENT)}") + EVENT
    for garbage in (b"\x00\x01\r\n\r\n", head("GET", "/", *(f"h{i}: x" for i in range(10_000)))):
        assert asyncio.run(raw(request + garbage)(target)) == [200]
