"""Query parameters that an address does not have are refused, whatever the address."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from nobacktrack.service.api.app import create_app
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.asgi import converse, websocket_scope

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"


@pytest.fixture
async def app() -> AsyncIterator[FastAPI]:
    app = create_app(Settings(), MemoryStore())
    async with app.router.lifespan_context(app):
        await app.state.kernels.ready.wait()
        yield app


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        await http.put("/v1/streams/s", json={"targets": ["y"], "units": 4})
        yield http


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("GET", "/v1/streams/s/forecast", "horizon"),
        ("GET", "/v1/streams", "detail, limit, after, contains"),
        ("GET", "/v1/streams/s", "none"),
        ("GET", "/v1/streams/s/diagnostics", "samples"),
        ("GET", "/v1/streams/s/live", "none"),
        ("POST", "/v1/streams/s/events", "none"),
        ("GET", "/v2/models/s", "none"),
        ("GET", "/livez", "none"),
        ("GET", "/metrics", "none"),
        ("GET", "/docs", "none"),
        ("GET", "/", "none"),
        ("GET", "/static/style.css", "v"),
    ],
)
async def test_an_unknown_parameter_is_refused(http: httpx.AsyncClient, method: str, path: str, known: str) -> None:
    for query in (f"{SECRET}=3", f"{SECRET}", f"{SECRET}={SECRET}&horizon=1"):
        answer = await http.request(method, f"{path}?{query}")
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:nobacktrack:problem:bad-request")
        assert answer.json()["detail"] == f"the query parameters of this address are: {known}"
        assert SECRET not in answer.text


async def test_a_parameter_that_is_there_twice_means_two_things(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/streams/s/forecast?horizon=1&horizon=2")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "a query parameter is there twice; those of this address are: horizon"
    assert (await http.get("/v1/streams/s/forecast?horizon=2")).status_code == 200
    assert (await http.get("/v1/streams/s/forecast?")).status_code == 200


async def test_a_websocket_has_none(app: FastAPI, http: httpx.AsyncClient) -> None:
    scope = websocket_scope("/v1/streams/s/ws", query_string=b"after=3")
    sent = await converse(app, scope, [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert '"status":400' in sent[1]["text"]
