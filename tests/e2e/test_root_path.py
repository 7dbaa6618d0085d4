"""The service at a path behind nginx, which strips that path: NBT_ROOT_PATH."""

import asyncio
import json
import re
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest
from websockets.asyncio.client import connect as open_websocket

from nobacktrack.service.client.sync import Client
from tests.support.deployed import Nginx, Store
from tests.support.processes import DEADLINE_SECONDS
from tests.support.servers import Replicas

PREFIX = "/learn"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service, without a slash at the end."""
    directory = tmp_path_factory.mktemp("root")
    with Store(directory / "store") as store, Replicas(directory, store.url, 3, root_path=PREFIX) as replicas:
        addresses = [url.removeprefix("http://") for url in replicas.urls]
        with Nginx(directory / "nginx", addresses, PREFIX) as nginx:
            yield nginx.url + PREFIX


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=DEADLINE_SECONDS) as http:
        yield http


def test_the_documentation_loads_all_that_it_names(site: str, http: httpx.Client) -> None:
    page = http.get(f"{site}/docs")
    named = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']|url:\s*'([^']*)'""", page.text)
    addresses = ["".join(one) for one in named]
    assert len(addresses) == 4
    for address in addresses:
        answer = http.get(urljoin(f"{site}/docs", address))
        assert answer.status_code == 200, address
    document = http.get(f"{site}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]


def test_a_redirect_keeps_the_path(site: str, http: httpx.Client) -> None:
    answer = http.get(f"{site}/v1/streams/")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{site}/v1/streams")
    assert http.get(f"{site}/v1/streams/", follow_redirects=True).json() == {"streams": []}


def test_the_live_page_loads_all_that_it_names(site: str, http: httpx.Client) -> None:
    page = http.get(f"{site}/")
    for address in re.findall(r'(?:src|href|content)="(static/[^"]+)"', page.text):
        assert http.get(urljoin(f"{site}/", address)).status_code == 200, address


def test_everything_is_where_it_was(site: str, http: httpx.Client) -> None:
    """Streams, probes, errors in the protocol's form, and a WebSocket."""
    with Client(site, timeout=DEADLINE_SECONDS) as client:
        client.create("s", targets=["y"], units=4)
        assert client.observe("s", {"y": 1}).version == 1
    assert http.get(f"{site}/readyz").status_code == 200
    assert "error" in http.get(f"{site}/v2/models/nobody").json()
    assert "error" not in http.get(f"{site}/v1/streams/nobody").json()
    not_allowed = http.post(f"{site}/v1/streams")
    assert (not_allowed.status_code, not_allowed.headers["allow"]) == (405, "GET")

    async def main() -> int:
        address = site.replace("http", "ws", 1) + "/v1/streams/s/ws"
        async with asyncio.timeout(DEADLINE_SECONDS), open_websocket(address, proxy=None) as socket:
            await socket.send('{"y": {"y": 2}}')
            return int(json.loads(await socket.recv())["version"])

    assert asyncio.run(main()) == 2
