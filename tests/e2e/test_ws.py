"""The WebSocket of a real service: order, pipelining, errors that leave the connection alone, who may connect."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nobacktrack.service.client.sync import Client
from tests.support.processes import RunningService, wait_until


def talk(
    service: RunningService, stream: str, conversation: Callable[[ClientConnection], Awaitable[Any]], **options: Any
) -> Any:
    """The result of a conversation over one connection."""

    async def main() -> Any:
        url = service.url.replace("http", "ws", 1) + f"/v1/streams/{stream}/ws"
        async with asyncio.timeout(20), connect(url, proxy=None, **options) as socket:
            return await conversation(socket)

    return asyncio.run(main())


@pytest.fixture
def stream(shared_service: RunningService, request: pytest.FixtureRequest) -> str:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:64]
    with Client(shared_service.url) as client:
        client.create(name, targets=["y"], units=4)
    return name


def test_a_thousand_messages_at_once_are_answered_in_order(shared_service: RunningService, stream: str) -> None:
    async def conversation(socket: ClientConnection) -> list[dict[str, Any]]:
        async def send() -> None:
            for number in range(1000):
                await socket.send(json.dumps({"id": f"m{number}", "y": {"y": number % 13}}))

        sending = asyncio.create_task(send())
        answers = [json.loads(await socket.recv()) for _ in range(1000)]
        await sending
        return answers

    answers = talk(shared_service, stream, conversation)
    assert [(answer["id"], answer["version"]) for answer in answers] == [(f"m{i}", i + 1) for i in range(1000)]


def test_bad_messages_are_answered_in_place_and_change_nothing(shared_service: RunningService, stream: str) -> None:
    messages: list[str | bytes] = [
        '{"y":{"y":1}}',
        "{",
        '{"y":{"y":NaN}}',
        b'{"y":{"y":1}}',
        '{"y":{"z":1}}',
        '{"y":{"y":"1"}}',
        '{"y":{"y":2}}',
    ]

    async def conversation(socket: ClientConnection) -> list[int]:
        for message in messages:
            await socket.send(message)
        answers = [json.loads(await socket.recv()) for _ in messages]
        return [answer.get("version") or answer["status"] for answer in answers]

    assert talk(shared_service, stream, conversation) == [1, 400, 422, 400, 422, 422, 2]
    with Client(shared_service.url) as client:
        assert client.status(stream).version == 2


@pytest.mark.parametrize(("name", "kind"), [("nobody", "unknown-stream"), ("a%7Bb%7D", "not-found")])
def test_a_stream_that_is_not_there(shared_service: RunningService, name: str, kind: str) -> None:
    async def conversation(socket: ClientConnection) -> tuple[str, int | None]:
        problem = json.loads(await socket.recv())
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        return problem["type"], socket.close_code

    found = talk(shared_service, name, conversation)
    assert found == (f"urn:nobacktrack:problem:{kind}", 1008)


def test_a_message_that_is_too_large_ends_the_connection(shared_service: RunningService, stream: str) -> None:
    async def conversation(socket: ClientConnection) -> int | None:
        await socket.send("x" * 70_000)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        return socket.close_code

    assert talk(shared_service, stream, conversation) == 1009


def test_pages_of_other_sites_may_not_connect(shared_service: RunningService, stream: str) -> None:
    async def conversation(socket: ClientConnection) -> int:
        await socket.send('{"y":{"y":1}}')
        return int(json.loads(await socket.recv())["version"])

    for origin in ("https://elsewhere.example", "http://["):
        with pytest.raises(InvalidStatus) as refused:
            talk(shared_service, stream, conversation, origin=origin)
        assert refused.value.response.status_code == 403
    assert talk(shared_service, stream, conversation, origin=shared_service.url) == 1


def test_who_comes_back_asks_for_the_version(shared_service: RunningService, stream: str) -> None:
    async def conversation(socket: ClientConnection) -> list[dict[str, Any]]:
        for message in (
            '{"ask":"version"}',
            '{"id":"a","y":{"y":1}}',
            '{"y":{"y":2}}',
            '{"ask":"version"}',
            '{"id":"b"}',
            '{"label":"b","y":{"y":0}}',
            '{"ask":"version"}',
            '{"ask":"time"}',
        ):
            await socket.send(message)
        return [json.loads(await socket.recv()) for _ in range(8)]

    answers = talk(shared_service, stream, conversation)
    assert [answers[i] for i in (0, 3, 6)] == [{"version": 0}, {"version": 2}, {"version": 3}]
    assert (answers[4]["pending"], answers[5]["version"], answers[7]["status"]) == (True, 3, 422)


def test_what_was_read_is_answered_before_the_service_ends(service: RunningService) -> None:
    """Every event that is in the stream afterwards has been answered, and the code says: connect again."""
    with Client(service.url) as client:
        client.create("s", targets=["y"], units=4)

    async def conversation(socket: ClientConnection) -> tuple[int, int | None]:
        for number in range(200):
            await socket.send(json.dumps({"y": {"y": number % 7}}))
        await socket.recv()
        stopping = asyncio.create_task(asyncio.to_thread(service.stop))
        answered = [1]
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                answered.append(json.loads(message)["version"])  # noqa: PERF401 - what came before the end counts
        await stopping
        return answered[-1], socket.close_code

    answered, code = talk(service, "s", conversation)
    assert code == 1012
    service.restart()
    with Client(service.url) as client:
        assert client.status("s").version == answered


def test_a_client_that_never_reads_is_dropped(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends until nothing more is taken; the service holds a bounded number of its messages, and then lets it go."""
    monkeypatch.setenv("NBT_SOCKET_SECONDS", "1")
    service.restart()
    with Client(service.url) as client:
        client.create("s", targets=[f"y{i}" for i in range(50)], units=4)
    event = json.dumps({"y": {f"y{i}": i for i in range(50)}})

    async def main() -> None:
        address = service.url.removeprefix("http://")
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"GET /v1/streams/s/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        payload = event.encode()
        # A text frame, masked with zeros.
        frame = b"\x81" + bytes([0x80 | 126]) + len(payload).to_bytes(2, "big") + bytes(4) + payload

        async def flood() -> None:
            while True:
                writer.write(frame)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), 60)
        writer.close()

    before = psutil.Process(service.pid).memory_info().rss
    asyncio.run(main())
    assert psutil.Process(service.pid).memory_info().rss - before < 64 * 1024 * 1024
    with Client(service.url) as client:
        wait_until(lambda: "nobacktrack_websockets 0.0" in client.metrics(), lambda: "the connection is still counted")
        assert client.ready()
