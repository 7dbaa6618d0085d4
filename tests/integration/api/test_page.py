"""The live page's files as they are sent."""

import gzip
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from nobacktrack.service.api.app import create_app
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.web import assets

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A service that has not even started to compile."""
    transport = httpx.ASGITransport(create_app(Settings(), MemoryStore()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield http


async def test_every_file_that_the_page_names_is_there_and_loads_nothing_from_elsewhere(
    http: httpx.AsyncClient,
) -> None:
    page = await http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe-" not in page.headers["content-security-policy"]
    found = {"icon.svg"}
    named = set(re.findall(r'(?:src|href|content)="(static/[^"]+)"', page.text))
    while named:
        name = named.pop()
        file = await http.get(f"/{name}")
        assert file.status_code == 200, name
        found.add(name.removeprefix("static/").partition("?")[0])
        if assets.PLOTLY in name:
            assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert file.text == assets.plotly().read_text()
            continue
        assert file.headers["cache-control"] == "no-cache"
        imports = {f"static/{module}" for module in re.findall(r'^import .*from "\./(.+)";$', file.text, re.MULTILINE)}
        named |= {module for module in imports if module.removeprefix("static/") not in found}
    live = assets.names() - {"index.html", assets.PLOTLY}
    assert found - {assets.PLOTLY} == live
    ours = "".join(assets.text(name) for name in live | {"index.html"})
    assert not re.findall(r"(?<!xmlns=\")https?://", ours)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|style=", ours)
    assert not re.findall(r"<script(?![^>]* src=)|\son\w+=", assets.text("index.html"))


async def test_files_are_packed_and_not_sent_again(http: httpx.AsyncClient) -> None:
    for path in ("/", "/static/style.css"):
        packed = await http.get(path, headers={"accept-encoding": "gzip"})
        plain = await http.get(path, headers={"accept-encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        known = await http.get(path, headers={"if-none-match": f'"other", W/{packed.headers["etag"]}'})
        assert (known.status_code, known.content) == (304, b"")
        head = await http.head(path)
        assert (head.status_code, head.headers["etag"]) == (200, packed.headers["etag"])
    assert gzip.decompress(assets.asset("style.css").packed) == assets.text("style.css").encode()


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "%2e%2e%2fpage.py", "..%5cpage.py", "%00"])
async def test_no_other_file_is_sent(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get(f"/static/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
