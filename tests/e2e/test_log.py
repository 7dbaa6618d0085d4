"""The log of a real service at its most talkative, after everything that somebody might send."""

import asyncio
import contextlib
import http.client
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from nobacktrack.service.security import keys
from tests.support.processes import Command

Start = Callable[..., Command]

SECRET = "s3cr3t"
BODIES = (
    b'{"y": {"s3cr3t": 1}}', b'{"y": {"y": "s3cr3t"}}', b'{"s3cr3t', b'{"id": "s3cr3t", "y": {"y": 1}}', b"s3cr3t\xff",
    b'{"y": {"y": 1}, "s3cr3t": 1}', b'{"time": "s3cr3t", "y": {"y": 1}}',
)  # fmt: skip
INJECTED = '\n{"level": "critical"}'


def ask(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
    """Status and the id of a request."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["x-request-id"]


def raw(port: int, data: bytes) -> None:
    """Bytes that may not be HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        while connection.recv(65536):
            pass


async def websockets(port: int, token: str) -> None:
    """Keys that are none and one that is; messages that are none."""
    url = f"ws://127.0.0.1:{port}/v1/streams/s/ws?key={SECRET}"
    for offered in (f"nobacktrack.key.{SECRET}", f"nobacktrack.key.{token}"):
        subprotocols = [Subprotocol("nobacktrack"), Subprotocol(offered)]
        with contextlib.suppress(WebSocketException):
            async with connect(url, proxy=None, subprotocols=subprotocols) as connection:
                for body in BODIES[:-3]:
                    await connection.send(body.decode())
                    await connection.recv()
                await connection.send(SECRET.encode())
                await connection.recv()
                await connection.close(1000, SECRET)


def test_nothing_that_was_sent_is_in_the_log_and_every_line_is_one(
    command: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    token, _ = keys.create(file, "admin", "*", "me")
    for name, value in {"KEYS_FILE": str(file), "LOG_LEVEL": "debug", "ACCESS_LOG": "true"}.items():
        monkeypatch.setenv(f"NBT_{name}", value)
    started = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    port = int(started.wait_for(r"ready at http://127\.0\.0\.1:(\d+) ").group(1))
    key = f"Bearer {token}"
    refused, _ = ask(port, "PUT", f"/v1/streams/s?key={token}", b'{"targets": ["y"], "units": 2}', authorization=key)
    created, _ = ask(port, "PUT", "/v1/streams/s", b'{"targets": ["y"], "units": 2}', authorization=key)
    assert (refused, created) == (400, 201)
    for body in BODIES:
        ask(port, "POST", f"/v1/streams/s/events?q={SECRET}", body, authorization=key)
        ask(port, "POST", "/v1/streams/s/events", body, authorization=key, cookie=SECRET)
        ask(port, "PUT", "/v1/streams/other", body, authorization=key)
        bulk = {"authorization": key, "content_type": "application/x-ndjson"}
        ask(port, "POST", "/v1/streams/s/events", body + b"\n" + body, **bulk)
    ask(port, "PUT", f"/v1/streams/s/events/{SECRET}/label", b'{"y": {"y": 1}}', authorization=key)
    ask(port, "GET", f"/v1/streams/{token}", authorization=key)
    ask(port, "GET", f"/{SECRET}/%0a{SECRET}", authorization=f"Bearer {SECRET}")
    ask(port, "GET", "/v1/streams/a%0a%7B%22level%22%3A%22critical%22%7D", authorization=key)
    for name in (f"{SECRET} x", INJECTED.replace("\n", " ")):
        ask(port, "GET", "/v1/streams", x_request_id=name, authorization=f"Basic {SECRET}")
    ask(port, "GET", "/v1/streams", host=f"{SECRET}.example")
    ask(port, "GET", "/v1/streams", origin=f"https://{SECRET}.example", user_agent=SECRET)
    raw(port, f"GET /{SECRET} HTTP/9\r\n{SECRET}\r\n\r\n".encode())
    raw(port, f"GET / HTTP/1.1\r\nx-request-id: {SECRET}\n{INJECTED}\r\nx: {'y' * 70_000}\r\n\r\n".encode())
    asyncio.run(websockets(port, token))
    assert ask(port, "GET", "/v1/streams/nothing", authorization=key, x_request_id="mine") == (404, "mine")
    assert started.send(signal.SIGTERM) == 0

    assert SECRET not in started.output
    assert token[-43:] not in started.output
    [ready] = started.stdout.splitlines()
    assert ready.startswith("ready at ")
    records: list[dict[str, Any]] = [json.loads(line) for line in started.stderr.splitlines()]
    assert [record for record in records if record["level"] not in ("info", "warning")] == []
    [mine] = [record for record in records if record.get("request_id") == "mine"]
    assert {name: value for name, value in mine.items() if name not in ("time", "seconds")} == {
        "level": "info",
        "logger": "nobacktrack.service.api.middleware.request_log",
        "message": "GET /v1/streams/{stream}: 404",
        "stream": "nothing",
        "request_id": "mine",
        "problem": "unknown-stream",
        "method": "GET",
        "route": "/v1/streams/{stream}",
        "status": 404,
    }
    assert sum(record.get("method") == "WEBSOCKET" for record in records) == 1


def test_on_a_terminal_lines_are_for_people_and_say_what_the_service_waits_for(
    command: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@127.0.0.1:1")
    monkeypatch.setenv("NBT_PROT", "9000")
    started = command("serve", "--port", "0", terminal=True)
    when, name = r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", r"nobacktrack\.service\.server\.run"
    started.wait_for(rf"{when}INFO {name}: settings other than by default: .*redis://\(not shown\)@127")
    started.wait_for(rf"{when}WARNING {name}: NBT_PROT is no setting of the service")
    started.wait_for(rf"{when}WARNING {name}: waiting for the store: The store cannot be reached")
    assert started.send(signal.SIGTERM) == 0
    assert SECRET not in started.output
    assert started.output.count("waiting for the store") == 1
