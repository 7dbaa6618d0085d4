"""An outage in the middle of many events: what comes later is not learnt before what was refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nobacktrack.service.api.app import create_app
from nobacktrack.service.errors import Unavailable
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import Commit, CommitResult
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG

pytestmark = pytest.mark.anyio


class AwayStore(MemoryStore):
    """Takes no commit while it is away."""

    away = False

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        if self.away:
            raise Unavailable("away")
        return await super().commit(stream, commit)


@pytest.fixture
async def app() -> AsyncIterator[FastAPI]:
    """A service with a stream `s` and little patience."""
    app = create_app(Settings(request_deadline=0.1, store_timeout=0.1), AwayStore())
    async with app.router.lifespan_context(app):
        await app.state.kernels.ready.wait()
        await app.state.streams.create("s", CONFIG)
        yield app


async def refused(app: FastAPI) -> None:
    """Return when nothing waits any more, with the store back."""
    async with asyncio.timeout(10):
        while any(worker.task for worker in app.state.streams._workers.values()):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.01)
    app.state.store.away = False


@pytest.mark.parametrize("last", [b"", b'{"y": {"z": 1}}\n', b"{\n"], ids=["an event", "a misfit", "no JSON"])
async def test_lines_after_an_outage_are_not_learnt(app: FastAPI, last: bytes) -> None:
    """Whatever the last line before it was."""

    async def lines() -> AsyncIterator[bytes]:
        app.state.store.away = True
        yield b'{"y": {"y": 1}}\n' + last
        await refused(app)
        yield last or b'{"y": {"y": 2}}\n'
        yield b'{"y": {"y": 3}}\n'

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        headers = {"content-type": "application/x-ndjson"}
        answer = await http.post("/v1/streams/s/events", content=lines(), headers=headers)
        answers: list[dict[str, Any]] = [json.loads(line) for line in answer.text.splitlines()]
        assert answers[0]["status"] == answers[-1]["status"] == 503
        assert not [one for one in answers if "version" in one]
        assert (await http.get("/v1/streams/s")).json()["version"] == 0


async def test_messages_after_an_outage_are_not_learnt(app: FastAPI) -> None:
    """On a WebSocket, until the connection is closed because of it."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: list[dict[str, Any]] = []
    hold = asyncio.Event()

    async def send(message: Any) -> None:
        outbox.append(message)
        if message["type"] == "websocket.send":
            await hold.wait()  # the client reads slowly, so that the connection is still open

    def say(text: str) -> None:
        inbox.put_nowait({"type": "websocket.receive", "text": text})

    scope = {
        "type": "websocket", "path": "/v1/streams/s/ws", "raw_path": b"/v1/streams/s/ws", "query_string": b"",
        "headers": [(b"host", b"localhost")], "subprotocols": [], "scheme": "ws", "server": ("localhost", 80),
        "client": ("127.0.0.1", 1), "root_path": "", "extensions": {}, "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }  # fmt: skip
    inbox.put_nowait({"type": "websocket.connect"})
    app.state.store.away = True
    talk = asyncio.ensure_future(app(scope, inbox.get, send))
    say('{"y": {"y": 1}}')
    async with asyncio.timeout(10):
        while not any(message["type"] == "websocket.send" for message in outbox):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await refused(app)
    say('{"y": {"y": 2}}')
    async with asyncio.timeout(10):
        while not inbox.empty() or any(worker.task for worker in app.state.streams._workers.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    hold.set()
    inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(talk, 10)
    assert (await app.state.streams.status("s")).version == 0
