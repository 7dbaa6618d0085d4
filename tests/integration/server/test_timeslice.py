"""Who sends much at once gets turns, and others theirs in between: here a turn is as short as it can be."""

import asyncio
import gzip
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nobacktrack.service import timeslice
from nobacktrack.service.api.middleware.gzip_body import GzipBody
from nobacktrack.service.api.ndjson import learnt
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.server import http_protocol, websocket_protocol
from nobacktrack.service.server.http_protocol import Connection, limited
from nobacktrack.service.server.websocket_protocol import Frames
from tests.integration.asgi import request_scope

pytestmark = pytest.mark.anyio
_T = TypeVar("_T")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeslice, "SECONDS", -1.0)


async def rounds(work: Coroutine[Any, Any, _T]) -> tuple[_T, int]:
    """What it comes to, and the rounds of the event loop that others had meanwhile."""
    task, count = asyncio.ensure_future(work), 0
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    return task.result(), count


class Recorder(asyncio.Transport):
    """A transport that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._reading = True
        self.protocol: asyncio.BaseProtocol | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self._reading = False

    def is_reading(self) -> bool:
        return self._reading

    def resume_reading(self) -> None:
        self._reading = True

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol


def connected(app: ASGIApp) -> tuple[Connection, Recorder]:
    """An HTTP connection to an application, and the transport that remembers what it is answered."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_keep_alive=1)
    config.load()
    transport = Recorder()
    connection = limited(10, 60.0)(config, uvicorn.Server(config).server_state, {})
    transport.protocol = connection
    connection.connection_made(transport)
    return connection, transport


async def listening(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes a WebSocket, or the body of a request, and waits."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_forty_thousand_frames_at_once_are_read_in_turns() -> None:
    config = uvicorn.Config(listening, log_config=None, lifespan="off")
    config.load()
    transport = Recorder()
    connection = Frames(config, uvicorn.Server(config).server_state, {})
    connection.connection_made(transport)
    head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    connection.data_received(f"{head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
    async with asyncio.timeout(10):
        while b" 101 " not in transport.written:  # noqa: ASYNC110
            await asyncio.sleep(0)
    transport.written = b""
    pings = [b"\x89\x84" + bytes(4) + number.to_bytes(4) for number in range(1000)]
    connection.data_received(b"".join(pings))
    assert len(transport.written) <= websocket_protocol.PIECE
    assert not transport.is_reading(), "no more is taken in meanwhile"
    for _ in range(1000 * 10 // websocket_protocol.PIECE + 2):
        await asyncio.sleep(0)
    assert transport.written == b"".join(b"\x8a\x04" + number.to_bytes(4) for number in range(1000)), "all, in order"
    assert transport.is_reading()
    connection.connection_lost(None)
    await asyncio.gather(*connection.tasks)


async def test_chunks_of_a_byte_at_once_are_read_in_turns() -> None:
    bodies: list[Message] = []

    async def taking(scope: Scope, receive: Receive, send: Send) -> None:
        while not bodies or bodies[-1].get("more_body"):
            bodies.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    connection, transport = connected(taking)
    chunks = 10_000
    connection.data_received(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"
    )
    seen = 0
    while b"200 OK" not in transport.written:
        await asyncio.sleep(0)
        seen += 1
    assert seen >= chunks * 6 // http_protocol.PIECE - 1
    assert b"".join(one["body"] for one in bodies) == b"x" * chunks
    connection.connection_lost(None)


async def test_bad_lines_at_once_are_refused_in_turns() -> None:
    lines = 1000

    async def receive() -> Message:
        return {"type": "http.request", "body": b"1\n" * lines, "more_body": False}

    class Nothing:
        async def submit(self, *_: object, **__: object) -> list[Any]:
            return []

    async def answered() -> int:
        request = Request(request_scope("POST", "/v1/streams/s/events"), receive)
        parts = [part async for part in learnt(request, "s", Nothing(), Metrics(1), 65536)]  # type: ignore[arg-type]
        return b"".join(parts).count(b'"status":422')

    found, others = await rounds(answered())
    assert found == lines
    assert others >= 2 * lines, "one for each line that is read, one for each that is answered"


async def test_a_bomb_is_unpacked_in_turns() -> None:
    size, taken = 10_000_000, 0

    async def taking(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        more = True
        while more:
            message = await receive()
            taken, more = taken + len(message["body"]), message["more_body"]

    async def receive() -> Message:
        return {"type": "http.request", "body": gzip.compress(bytes(size)), "more_body": False}

    async def send(_: Message) -> None:
        raise AssertionError

    scope = request_scope("POST", "/v1/streams/s/events", headers={"content-encoding": "gzip"})
    _, others = await rounds(GzipBody(taking, Metrics(1))(scope, receive, send))
    assert taken == size
    assert others >= size // (64 * 1024)


async def test_requests_in_a_row_are_read_a_piece_ahead() -> None:
    answered: list[str] = []
    go_on = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        answered.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    connection, _ = connected(waiting)
    requests = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(10_000)]
    connection.data_received(b"".join(requests))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(connection.pipeline) * len(requests[0]) <= http_protocol.PIECE
    go_on.set()
    async with asyncio.timeout(30):
        while len(answered) < len(requests):  # noqa: ASYNC110 - round by round of the loop
            await asyncio.sleep(0)
    assert answered == [f"/{number}" for number in range(len(requests))]
    connection.connection_lost(None)


async def test_a_websocket_behind_a_request_that_goes_on_is_not_begun() -> None:
    left = asyncio.Event()

    async def watching(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    connection, transport = connected(watching)
    connection.data_received(b"GET /live HTTP/1.1\r\n\r\n")
    await asyncio.sleep(0)
    head = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    connection.data_received(f"{head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
    assert not transport.written
    connection.connection_lost(None)
    await asyncio.wait_for(left.wait(), 5)
