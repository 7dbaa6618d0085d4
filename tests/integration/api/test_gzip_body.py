"""Compressed bodies: the same events; whatever is not gzip, or unpacks to too much, is refused and changes nothing."""

import gzip
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from nobacktrack.service.api.app import create_app
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG, oracle, value

pytestmark = pytest.mark.anyio

LINES = b"".join(b'{"y": {"y": %r}}\n' % value(number) for number in range(1, 1201))
STREAM = "/v1/streams/s"
PACKED = gzip.compress(LINES)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A service with a stream `s`."""
    app = create_app(Settings(max_body=4096), MemoryStore())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        await app.state.kernels.ready.wait()
        await http.put(STREAM, json=CONFIG)
        yield http


async def send(http: httpx.AsyncClient, body: bytes, size: int = 10**6, coding: str = "gzip") -> httpx.Response:
    """A bulk request whose body comes in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    headers = {"content-type": "application/x-ndjson", "content-encoding": coding}
    return await http.post(f"{STREAM}/events", content=pieces(), headers=headers)


async def digest(http: httpx.AsyncClient) -> str:
    return str((await http.get(STREAM)).json()["digest"])


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
async def test_events_are_the_same_however_they_arrive(http: httpx.AsyncClient, size: int) -> None:
    answer = await send(http, PACKED, size)
    assert len(answer.text.splitlines()) == 1200
    assert await digest(http) == oracle(1200)


async def test_parts_one_after_the_other_are_one_body(http: httpx.AsyncClient) -> None:
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    answer = await send(http, gzip.compress(LINES[:half]) + gzip.compress(LINES[half:]), 500)
    assert len(answer.text.splitlines()) == 1200
    assert await digest(http) == oracle(1200)


async def test_a_single_event(http: httpx.AsyncClient) -> None:
    body = gzip.compress(b'{"y": {"y": 1.0}}')
    answer = await http.post(f"{STREAM}/events", content=body, headers={"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


def bombs() -> Iterator[tuple[bytes, str, int, str]]:
    """(body, coding, status, kind)."""
    whole = gzip.compress(b'{"y": {"y": 1.0}}')
    yield gzip.compress(bytes(50_000_000)), "gzip", 413, "too-large"
    yield gzip.compress(gzip.compress(bytes(50_000_000)) * 9), "gzip", 413, "too-large"
    yield b'{"y": {"y": 1.0}}', "gzip", 400, "bad-request"
    yield whole[:-1], "gzip", 400, "bad-request"
    yield whole[:5], "gzip", 400, "bad-request"
    yield whole[:15] + b"\xff" + whole[16:], "gzip", 400, "bad-request"
    yield whole[:-4] + b"\x00\x00\x00\x09", "gzip", 400, "bad-request"
    yield zlib.compress(b'{"y": {"y": 1.0}}'), "deflate", 415, "unsupported-encoding"
    yield whole, "br", 415, "unsupported-encoding"
    yield whole, "gzip, gzip", 415, "unsupported-encoding"


@pytest.mark.parametrize(("body", "coding", "status", "kind"), list(bombs()), ids=lambda value: str(value)[:12])
async def test_what_cannot_be_unpacked_changes_nothing(
    http: httpx.AsyncClient, body: bytes, coding: str, status: int, kind: str
) -> None:
    before = await digest(http)
    answer = await http.post(f"{STREAM}/events", content=body, headers={"content-encoding": coding})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (status, kind)
    assert await digest(http) == before


async def test_a_bomb_among_lines_is_one_line_that_is_too_long(http: httpx.AsyncClient) -> None:
    body = gzip.compress(b'{"y": {"y": 1.0}}\n' + bytes(20_000_000) + b'\n{"y": {"y": 2.0}}\n')
    first, second, third = (await send(http, body)).text.splitlines()
    assert '"version":1' in first
    assert '"type":"urn:nobacktrack:problem:too-large"' in second
    assert '"version":2' in third
