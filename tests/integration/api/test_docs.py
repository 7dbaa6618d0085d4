"""The documentation page needs nothing that is not here, and no key."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from nobacktrack.service.api.app import create_app
from nobacktrack.service.security import keys as key_store
from nobacktrack.service.security.keys import EVERYTHING
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["open", "keys"])
async def http(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A service that is not running, without keys and with them; the client has none."""
    keys_file = tmp_path / "keys.json"
    if request.param:
        key_store.create(keys_file, "read", EVERYTHING)
    app = create_app(Settings(keys_file=keys_file if request.param else None), MemoryStore())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        yield http


async def test_the_page_loads_what_is_here(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']|url:\s*'([^']*)'""", page.text)
    addresses = ["".join(one) for one in named]
    kinds = {"/docs/swagger-ui-bundle.js": "text/javascript", "/docs/swagger-ui.css": "text/css",
             "/docs/favicon-32x32.png": "image/png", "/openapi.json": "application/json"}  # fmt: skip
    assert set(addresses) == kinds.keys()
    assert "//" not in re.sub("<!--.*?-->", "", page.text), "the page names no host"
    for address, kind in kinds.items():
        answer = await http.get(address)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        assert len(answer.content) > 500


async def test_the_page_may_load_nothing_else(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    allowed = {source for sources in policy.values() for source in sources.split()}
    assert allowed == {"'self'", "'unsafe-inline'", "'none'", "data:"}
    assert '"validatorUrl": null' in page.text, "nor send the document anywhere"
