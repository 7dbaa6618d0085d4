"""Limits on connections and on slow clients, at uvicorn with a small application: at the limit and one past it."""

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nobacktrack.service.api.middleware.admission import Admission
from nobacktrack.service.api.middleware.body_limits import BodyTime
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.server import http_protocol
from nobacktrack.service.server.http_protocol import limited, make_room
from tests.integration.asgi import WebSocketTalk, converse, request_scope, websocket_scope

NDJSON = "content-type: application/x-ndjson"
ENDS = 0.3
"""Seconds of the limits that these tests wait for."""

pytestmark = pytest.mark.anyio


async def small(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, answers its length; `/deaf` answers at once, `/slow` late; events are answered piece by piece."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * ENDS)
    await receive_nothing(scope, send) if scope["path"] == "/deaf" else await receive_all(scope, receive, send)


async def receive_nothing(scope: Scope, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"deaf"})


async def receive_all(scope: Scope, receive: Receive, send: Send) -> None:
    bulk = scope["path"].endswith("/events")
    if bulk:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
        if bulk:
            await send({"type": "http.response.body", "body": b"%d\n" % length, "more_body": more})
    if not bulk:
        text = b"%d" % length
        headers = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


@dataclass
class Wire:
    """A connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, head: str, body: bytes = b"") -> None:
        self.writer.write("\r\n".join([*head.split("\n"), "host: localhost", "", ""]).encode() + body)
        await self.writer.drain()

    async def head(self) -> str:
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode().lower()

    async def status(self) -> int:
        """Of the next response with a length, whose body is read too."""
        head = await self.head()
        length = int(head.partition("content-length: ")[2].partition("\r")[0])
        self.body = await asyncio.wait_for(self.reader.readexactly(length), 5)
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """All until the other side closes; fails when it does not."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), 5)
        return b""


Connect = Callable[[], Any]


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[Connect]:
    """The application at uvicorn, as `nobacktrack.service.server.run` starts it."""
    chosen = {"timeout_keep_alive": 75, "log_config": None, "log_level": "critical", "lifespan": "off"} | options
    server = uvicorn.Server(uvicorn.Config(app, **chosen))
    server.config.load()
    wires: list[Wire] = []
    listener = await asyncio.get_running_loop().create_server(
        lambda: server.config.http_protocol_class(  # type: ignore[call-arg]
            config=server.config, server_state=server.server_state, app_state={}
        ),
        "127.0.0.1", 0,
    )  # fmt: skip

    async def connect() -> Wire:
        wires.append(Wire(*await asyncio.open_connection(*listener.sockets[0].getsockname())))
        return wires[-1]

    try:
        yield connect
    finally:
        for wire in wires:
            wire.writer.close()
        listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)


def guarded(seconds: float = 60.0, websockets: int = 10) -> ASGIApp:
    metrics = Metrics(1)
    return Admission(BodyTime(small, seconds, metrics), websockets, metrics)


async def test_as_many_connections_as_allowed_and_probes_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "RESERVE", 2)
    async with serving(guarded(), http=limited(3, 60.0)) as connect:
        held = [await connect() for _ in range(3)]
        for wire in held:
            await wire.ask("GET /v1/streams HTTP/1.1")
            assert await wire.status() == 200
        extra = await connect()
        await extra.ask("GET /v1/streams HTTP/1.1")
        assert await extra.status() == 429
        assert json.loads(extra.body)["type"] == "urn:nobacktrack:problem:too-many"
        assert await extra.rest() == b"", "it is closed, so that there is room for the next"
        for probe in ("/livez", "/readyz", "/metrics"):
            extra = await connect()
            await extra.ask(f"GET {probe} HTTP/1.1")
            assert await extra.status() == 200
            assert await extra.rest() == b""
        # Those that hold their connection go on, and one that lets go makes room.
        await held[0].ask("GET /v1/streams HTTP/1.1")
        assert await held[0].status() == 200
        held[0].writer.close()
        async with asyncio.timeout(10):  # until the server has seen the end of it
            status = 0
            while status != 200:
                fourth = await connect()
                await fourth.ask("GET /v1/streams HTTP/1.1")
                status = await fourth.status()


async def test_what_is_beyond_the_reserve_is_closed_and_the_reserve_is_soon_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "RESERVE", 1)
    monkeypatch.setattr(http_protocol, "RESERVE_SECONDS", 60.0)
    async with serving(guarded(), http=limited(1, 60.0)) as connect:
        first, second, third = [await connect() for _ in range(3)]
        assert await third.rest() == b""
        await second.ask("GET /livez HTTP/1.1")
        assert await second.status() == 200
        assert await second.rest() == b""
        monkeypatch.setattr(http_protocol, "RESERVE_SECONDS", ENDS)
        silent = await connect()
        assert await silent.rest() == b"", "says nothing for a while"
        probe = await connect()
        await probe.ask("GET /livez HTTP/1.1")
        assert await probe.status() == 200
        await first.ask("GET / HTTP/1.1")
        assert await first.status() == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost: loc", b"GET / HTTP/1.1\r\nhost: localhost\r\n"])
async def test_a_head_that_never_ends(sent: bytes) -> None:
    async with serving(guarded(), http=limited(10, ENDS)) as connect:
        wire = await connect()
        wire.writer.write(sent)
        assert await wire.rest() == b""
        again = await connect()
        await again.ask("GET / HTTP/1.1")
        assert await again.status() == 200
        again.writer.write(b"GET / HT")
        assert await again.rest() == b"", "the second request of a connection too"


async def test_a_head_that_trickles_has_no_more_time() -> None:
    async with serving(guarded(), http=limited(10, ENDS)) as connect:
        wire = await connect()
        start = asyncio.get_running_loop().time()
        with contextlib.suppress(OSError):
            for letter in b"GET / HTTP/1.1\r\n" + b"x" * 50:
                wire.writer.write(bytes([letter]))
                await wire.writer.drain()
                await asyncio.sleep(0.05)
        assert await wire.rest() == b""
        assert asyncio.get_running_loop().time() - start >= ENDS


async def test_heads_up_to_their_limit_and_one_byte_past_it() -> None:
    fixed = len("/") + len("host: localhost\r\n") + len("x: \r\n")
    async with serving(guarded(), http=limited(10, 60.0)) as connect:
        for more, status in ((0, 200), (1, 431), (http_protocol.MAX_HEAD, 431)):
            wire = await connect()
            await wire.ask(f"GET / HTTP/1.1\nx: {'x' * (http_protocol.MAX_HEAD - fixed + more)}")
            assert await wire.status() == status
            if status == 431:
                assert json.loads(wire.body)["type"] == "urn:nobacktrack:problem:head-too-large"
                assert await wire.rest() == b""
        wire = await connect()
        await wire.ask(f"GET /v2/models/s HTTP/1.1\nx: {'x' * http_protocol.MAX_HEAD}")
        assert await wire.status() == 431
        assert json.loads(wire.body)["error"].startswith("The address and the headers"), "as the protocol has it"
        # Each request of a connection has a head of its own.
        wire = await connect()
        for _ in range(3):
            await wire.ask(f"GET / HTTP/1.1\nx: {'x' * (http_protocol.MAX_HEAD // 2)}")
            assert await wire.status() == 200


async def test_garbage_is_not_answered_in_the_place_of_another_request() -> None:
    async with serving(guarded(), http=limited(10, 60.0)) as connect:
        wire = await connect()
        await wire.ask("POST /slow HTTP/1.1\ncontent-length: 2", b"ab\x00\x01\r\n\r\n")
        assert await wire.status() == 200
        assert wire.body == b"2"
        assert await wire.rest() == b""
        wire = await connect()
        await wire.ask("POST / HTTP/1.1\ntransfer-encoding: chunked", b"2\r\nab\r\nZZ\r\n")
        assert await wire.status() == 400
        assert json.loads(wire.body)["type"] == "urn:nobacktrack:problem:bad-request"
        # An answer that has begun is cut off.
        wire = await connect()
        await wire.ask(f"POST /v1/streams/s/events HTTP/1.1\n{NDJSON}\ntransfer-encoding: chunked", b"2\r\nab\r\n")
        assert "200 ok" in await wire.head()
        wire.writer.write(b"ZZ\r\n")
        assert b"HTTP" not in await wire.rest()


async def test_a_body_that_never_ends() -> None:
    async with serving(guarded(ENDS), http=limited(10, ENDS)) as connect:
        for piece in (b"", b"ab"):
            wire = await connect()
            await wire.ask("POST / HTTP/1.1\ncontent-length: 10", piece)
            assert await wire.status() == 408
            problem = json.loads(wire.body)
            assert problem["type"] == "urn:nobacktrack:problem:too-slow"
            assert await wire.rest() == b"", "when the rest has not come for as long again"


async def test_a_body_that_trickles_has_no_more_time_and_one_in_time_is_read() -> None:
    async with serving(guarded(ENDS), http=limited(10, 60.0)) as connect:
        slow, quick = await connect(), await connect()
        for wire, pause in ((quick, ENDS / 20), (slow, ENDS / 3)):
            await wire.ask("POST / HTTP/1.1\ncontent-length: 5", b"a")
            for _ in range(4):
                await asyncio.sleep(pause)
                wire.writer.write(b"a")
        assert await quick.status() == 200
        assert quick.body == b"5"
        assert await slow.status() == 408


async def test_a_body_has_its_own_time() -> None:
    async with serving(guarded(), http=limited(10, ENDS)) as connect:
        wire = await connect()
        await wire.ask("POST / HTTP/1.1\ncontent-length: 4", b"ab")
        await asyncio.sleep(2 * ENDS)
        wire.writer.write(b"cd")
        assert await wire.status() == 200
        assert wire.body == b"4"


async def test_a_bulk_request_may_last_but_not_pause() -> None:
    async with serving(guarded(ENDS), http=limited(10, 60.0)) as connect:
        wire = await connect()
        await wire.ask(f"POST /v1/streams/s/events HTTP/1.1\n{NDJSON}\ncontent-length: 1000")
        assert "200 ok" in await wire.head()
        for _ in range(6):
            await asyncio.sleep(ENDS / 2)
            wire.writer.write(b"12345")
        lines = (await chunks(wire)).splitlines()
        assert lines[:6] == [b"%d" % (5 * number) for number in range(1, 7)]
        assert json.loads(lines[6])["status"] == 408
        assert len(lines) == 7


async def chunks(wire: Wire) -> bytes:
    """A chunked body to its proper end."""
    found = b""
    while size := int(await asyncio.wait_for(wire.reader.readline(), 5), 16):
        found += await wire.reader.readexactly(size)
        await wire.reader.readline()
    return found


async def test_the_rest_of_a_body_that_was_answered_has_a_limit_too() -> None:
    async with serving(guarded(), http=limited(10, ENDS)) as connect:
        wire = await connect()
        await wire.ask("POST /deaf HTTP/1.1\ncontent-length: 10", b"a")
        assert await wire.status() == 200
        for _ in range(3):
            await asyncio.sleep(ENDS / 2)
            wire.writer.write(b"a")
        assert await wire.rest() == b""
        # One that comes leaves a connection to go on with.
        wire = await connect()
        await wire.ask("POST /deaf HTTP/1.1\ncontent-length: 3", b"a")
        assert await wire.status() == 200
        wire.writer.write(b"bc")
        await asyncio.sleep(2 * ENDS)
        await wire.ask("GET / HTTP/1.1")
        assert await wire.status() == 200


async def test_requests_in_a_row_are_all_answered() -> None:
    async with serving(guarded(), http=limited(10, 60.0)) as connect:
        wire = await connect()
        for number in range(20):
            await wire.ask("POST / HTTP/1.1\ncontent-length: 2", b"%2d" % number)
        assert [await wire.status() for _ in range(20)] == [200] * 20


async def test_a_head_that_is_not_read_yet_is_not_late() -> None:
    async with serving(guarded(), http=limited(10, ENDS)) as connect:
        wire = await connect()
        request = b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n"
        # While the second waits for the first nothing is read, and the third stays cut where it was.
        wire.writer.write(request % b"/slow" + request % b"/" + b"GET / HTTP/1.1\r\nho")
        await asyncio.sleep(0.05)
        wire.writer.write(b"st: localhost\r\n\r\n")
        assert [await wire.status() for _ in range(3)] == [200] * 3


async def test_what_was_answered_is_not_answered_again() -> None:
    async def curious(scope: Scope, receive: Receive, send: Send) -> None:
        await receive_nothing(scope, send)
        assert (await receive())["type"] == "http.disconnect"

    sent = await converse(BodyTime(curious, ENDS, Metrics(1)), request_scope("POST", "/v1/streams/s/events"), [])
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


async def test_an_idle_connection_is_closed() -> None:
    async with serving(guarded(), http=limited(10, 60.0), timeout_keep_alive=ENDS) as connect:
        wire = await connect()
        await wire.ask("GET / HTTP/1.1")
        assert await wire.status() == 200
        assert await wire.rest() == b""


async def test_as_many_websockets_as_allowed() -> None:
    release = asyncio.Event()

    async def holding(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await release.wait()
        else:
            await small(scope, receive, send)

    app = Admission(holding, 2, Metrics(1))
    open_ones = [asyncio.create_task(converse(app, websocket_scope("/v1/streams/s/ws"), [])) for _ in range(2)]
    await asyncio.sleep(0)
    third = WebSocketTalk(await converse(app, websocket_scope("/v1/streams/s/ws"), []))
    assert third.status == 429
    assert json.loads(third.body)["retry_after"] == 1
    body: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    assert (await converse(app, request_scope("GET", "/v1/streams"), body))[0]["status"] == 200
    release.set()
    await asyncio.gather(*open_ones)
    assert WebSocketTalk(await converse(app, websocket_scope("/v1/streams/s/ws"), [])).status == 101


async def test_a_websocket_on_a_connection_too_many_is_refused() -> None:
    app = Admission(small, 10, Metrics(1))
    scope = websocket_scope("/v1/streams/s/ws", state={"nobacktrack.surplus": True})
    assert WebSocketTalk(await converse(app, scope, [])).status == 429


def test_room_for_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    needed = 1000 + http_protocol.RESERVE + http_protocol.OTHER_FILES
    for limits, asks, enough in (
        ((1024, 4096), [(needed, 4096)], True),
        ((1024, 1100), [(1100, 1100)], False),
        ((1024, resource.RLIM_INFINITY), [(needed, resource.RLIM_INFINITY)], True),
        ((4096, 4096), [], True),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), [], True),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert make_room(1000) is enough
        assert asked == asks
        asked.clear()
