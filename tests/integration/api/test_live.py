"""Watching over HTTP: an unexpected error is logged, counted, and told to those who watch."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from nobacktrack.service.api.app import create_app
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.streams import feed
from tests.integration.asgi import request_scope

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"


@pytest.fixture
async def app() -> AsyncIterator[FastAPI]:
    app = create_app(Settings(), MemoryStore())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        await app.state.kernels.ready.wait()
        await http.put("/v1/streams/s", json={"targets": ["y"], "units": 4})
        await http.post("/v1/streams/s/events", content=b'{"id":"a","y":{"y":1}}')
        yield app


async def watch(app: FastAPI, after: int, watching: asyncio.Event | None = None) -> bytes:
    """All that a watcher gets until the service ends the answer."""
    sent: list[bytes] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        if watching is not None:
            watching.set()

    async with asyncio.timeout(20):
        await app(request_scope("GET", "/v1/streams/s/live", {"last-event-id": str(after)}), receive, send)
    return b"".join(sent)


async def test_an_error_of_the_watcher_is_told(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(*_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(app.state.streams.live, "_since", failing)
    told = await watch(app, 0)
    check(told, app, caplog)


async def test_an_error_of_the_feed_is_told_and_the_next_watcher_begins_anew(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(*_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(feed, "LOOK_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(app.state.store, "head", failing)
        told = await watch(app, 1)
    check(told, app, caplog)
    assert app.state.streams.live._feeds == {}
    watching = asyncio.Event()
    again = asyncio.create_task(watch(app, 0, watching))
    await watching.wait()
    await asyncio.sleep(0.05)
    app.state.streams.live.close()
    assert b"id: 1\n" in await again


def check(told: bytes, app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """The last event is the problem, the log has the error, and the metrics count it."""
    kind, data = told.decode().rstrip().splitlines()[-2:]
    assert kind == "event: problem"
    problem = json.loads(data.removeprefix("data: "))
    assert problem["type"] == "urn:nobacktrack:problem:internal"
    assert SECRET not in told.decode()
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.name == "nobacktrack.service.api.routes.live"
    assert record.exc_info is not None
    counted = app.state.metrics.registry.get_sample_value("nobacktrack_refused_total", {"type": "internal"})
    assert counted == 1
