"""Pages of other sites that are named may use the service; nobody else's may."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from nobacktrack.service.api.app import create_app
from nobacktrack.service.security import keys
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.asgi import shake_hands

HERE = "http://localhost"
NAMED = "https://learn.example"
OTHER = "https://elsewhere.example"
ASKS = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization, content-type"}

pytestmark = pytest.mark.anyio


@pytest.fixture
def app() -> FastAPI:
    """Its kernels are never compiled: what is let through is answered 503."""
    return create_app(Settings(cors_origins="https://Learn.example/, http://localhost:3000"), MemoryStore())


def browser(app: FastAPI, origin: str) -> httpx.AsyncClient:
    headers = {"origin": origin, "sec-fetch-site": "cross-site"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE, headers=headers)


async def test_a_named_site_may(app: FastAPI) -> None:
    async with browser(app, NAMED) as page:
        leave = await page.options("/v1/streams/a", headers=ASKS)
        assert leave.status_code == 200
        assert leave.headers["access-control-allow-origin"] == NAMED
        assert "PUT" in leave.headers["access-control-allow-methods"]
        assert "authorization" in leave.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in leave.headers
        for answer in (await page.put("/v1/streams/a", json={}), await page.get("/v1/streams")):
            assert answer.status_code == 503
            assert answer.headers["access-control-allow-origin"] == NAMED
            assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert (await shake_hands(app, "/v1/streams/a/ws", {"origin": NAMED})).status == 101


async def test_any_other_site_may_not(app: FastAPI) -> None:
    for origin in (OTHER, "http://learn.example", "https://learn.example.elsewhere.example", "null", ""):
        async with browser(app, origin) as page:
            for answer in (await page.options("/v1/streams/a", headers=ASKS), await page.put("/v1/streams/a", json={})):
                assert answer.status_code == 403
                assert answer.json()["type"] == "urn:nobacktrack:problem:forbidden"
                assert "access-control-allow-origin" not in answer.headers
            assert "access-control-allow-origin" not in (await page.get("/v1/streams")).headers
        talk = await shake_hands(app, "/v1/streams/a/ws", {"origin": origin})
        assert talk.status == 403
        assert b"urn:nobacktrack:problem:forbidden" in talk.body


async def test_nobody_is_named_by_default() -> None:
    app = create_app(Settings(), MemoryStore())
    async with browser(app, NAMED) as page:
        answers = [await page.get("/livez"), await page.options("/v1/streams/a", headers=ASKS)]
        assert [answer.status_code for answer in answers] == [200, 403]
        assert not any(name.startswith("access-control") for answer in answers for name in answer.headers)


async def test_a_page_learns_that_it_needs_a_key(tmp_path: Path) -> None:
    keys.create(tmp_path / "keys", "read", "*")
    app = create_app(Settings(cors_origins=(NAMED,), keys_file=tmp_path / "keys"), MemoryStore())
    async with browser(app, NAMED) as page:
        assert (await page.options("/v1/streams/a", headers=ASKS)).status_code == 200, "which is asked without a key"
        refused = await page.get("/v1/streams")
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == NAMED
        assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origins", ["*", "learn.example", "https://learn.example/page", "https://*.example", "null"])
def test_origins_that_are_none(origins: str) -> None:
    with pytest.raises(ValidationError, match="an origin is a scheme and a host"):
        Settings(cors_origins=origins)
