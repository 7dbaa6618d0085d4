"""Requests have names, in their answers and in the log; and a line, if wanted."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from nobacktrack.service.api.app import create_app
from nobacktrack.service.codec import segments
from nobacktrack.service.observability import logs
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.asgi import converse, shake_hands, websocket_scope

pytestmark = pytest.mark.anyio

MADE = re.compile(r"[0-9a-f]{16}")


@pytest.fixture
async def app() -> AsyncIterator[FastAPI]:
    app = create_app(Settings(access_log=True, max_websockets=1), MemoryStore())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("s3cr3t")

    async with app.router.lifespan_context(app):
        await app.state.kernels.ready.wait()
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


PATHS = [("/livez", 200), ("/nothing", 404), ("/v1/streams/s", 404), ("/broken", 500)]


@pytest.mark.parametrize(("path", "status"), PATHS)
async def test_every_answer_has_the_name_of_its_request(client: httpx.AsyncClient, path: str, status: int) -> None:
    answers = [await client.get(path), await client.get(path, headers={"X-Request-ID": "mine:1/2-a.b_c"})]
    assert [answer.status_code for answer in answers] == [status, status]
    assert all(len(answer.headers.get_list("x-request-id")) == 1 for answer in answers)
    assert MADE.fullmatch(answers[0].headers["x-request-id"])
    assert answers[1].headers["x-request-id"] == "mine:1/2-a.b_c"


@pytest.mark.parametrize("given", ["", " ", "a b", "a\tb", "x" * 129, "ä", "<script>", 'a"b', "a\\n"])
async def test_a_name_that_is_not_fit_to_repeat_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/livez", headers=[(b"x-request-id", given.encode("latin-1"))])
    assert MADE.fullmatch(answer.headers["x-request-id"])


async def test_websockets_have_names_too(app: FastAPI) -> None:
    """One that is accepted, and then told that there is no such stream; one that is refused."""
    accepted = await shake_hands(app, "/v1/streams/s/ws", {"x-request-id": "mine"})
    assert (b"x-request-id", b"mine") in accepted.sent[0]["headers"]
    refused = await shake_hands(
        app, "/v1/streams/s/ws", {"x-request-id": "mine", "origin": "https://elsewhere.example"}
    )
    assert (refused.status, (b"x-request-id", b"mine") in refused.sent[0]["headers"]) == (403, True)


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Those of the lines about requests, without the time that they took."""
    found = [
        dict(record.fields)  # type: ignore[attr-defined]
        for record in caplog.records
        if record.name.endswith("middleware.request_log")
    ]
    for one in found:
        seconds = one.pop("seconds")
        assert isinstance(seconds, float)
        assert 0 <= seconds < 20
    return found


async def test_a_line_for_each_request_names_the_template(
    app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        await client.put("/v1/streams/s", json={"targets": ["y"], "units": 2})
        await client.get("/v1/streams/s?secret=1")
        await client.get("/livez")
        await client.get("/nothing/secret")
        scope = websocket_scope("/v1/streams/s/ws")
        await converse(app, scope, [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])
        await shake_hands(app, "/v1/streams/s/ws", {"origin": "https://secret.example"}, denial=False)
    assert fields(caplog) == [
        {"method": "PUT", "route": "/v1/streams/{stream}", "status": 201},
        {"method": "GET", "route": "/v1/streams/{stream}", "status": 400},
        {"method": "any", "route": "unknown", "status": 404},
        {"method": "WEBSOCKET", "route": "/v1/streams/{stream}/ws", "status": 101},
        {"method": "any", "route": "unknown", "status": 403},
    ]
    lines = [record for record in caplog.records if record.name.startswith("nobacktrack")]
    assert not any("secret" in record.getMessage() for record in lines)


async def test_without_lines_for_all_those_that_are_refused_have_one_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(), MemoryStore())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client,
    ):
        await app.state.kernels.ready.wait()
        with caplog.at_level(logging.INFO):
            await client.get("/v1/streams/s")
        assert fields(caplog) == []
        with caplog.at_level(logging.DEBUG):
            await client.get("/v1/streams")
            await client.get("/v1/streams/s")
        assert fields(caplog) == [{"method": "GET", "route": "/v1/streams/{stream}", "status": 404}]


async def test_lines_about_a_batch_name_the_stream_its_version_and_the_requests(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests whose events are in one batch, which fails with words that the log must not have."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.Json())
    logger = logging.getLogger("nobacktrack.service.streams.worker")
    logger.addHandler(handler)
    await client.put("/v1/streams/s", json={"targets": ["y"], "units": 2})
    await client.post("/v1/streams/s/events", json={"y": {"y": 1}})
    begun, enough = asyncio.Event(), asyncio.Event()

    async def failing(_: object, events: segments.Events, __: object) -> None:
        begun.set()
        await enough.wait()
        raise ValueError(f"{events.Y}")

    def send(name: str) -> asyncio.Task[httpx.Response]:
        headers = {"x-request-id": name}
        return asyncio.create_task(client.post("/v1/streams/s/events", json={"y": {"y": 73.5}}, headers=headers))

    try:
        monkeypatch.setattr("nobacktrack.service.streams.learning.observed", failing)
        answers = [send("first")]
        await begun.wait()  # so that the first event is a batch of its own
        for queued, name in enumerate(("second", "third"), start=2):
            answers.append(send(name))
            while app.state.metrics.registry.get_sample_value("nobacktrack_queued_events") < queued:  # noqa: ASYNC110
                await asyncio.sleep(0)
        enough.set()
        assert [(await answer).status_code for answer in answers] == [500] * 3
    finally:
        logger.removeHandler(handler)
    assert "73.5" not in written.getvalue()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["stream"], line["version"], line["request_id"]) for line in lines] == [
        ("s", 1, "first"), ("s", 1, "second,third"),
    ]  # fmt: skip
    assert all(line["exception"].endswith("builtins.ValueError") for line in lines)
