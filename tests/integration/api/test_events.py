"""Events at the edge of what may be sent: byte order marks, unknown fields, ids in addresses, times."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from nobacktrack.service.api.app import create_app
from nobacktrack.service.codec.outcomes import _times
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore

pytestmark = pytest.mark.anyio

BOM = b"\xef\xbb\xbf"
EVENTS = "/v1/streams/s/events"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(), MemoryStore())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        await app.state.kernels.ready.wait()
        await http.put("/v1/streams/s", json={"targets": ["y"], "units": 4})
        yield http


async def test_a_body_may_begin_with_a_byte_order_mark(http: httpx.AsyncClient) -> None:
    answers = [
        await http.put("/v1/streams/t", content=BOM + b'{"targets":["y"],"units":4}'),
        await http.post(EVENTS, content=BOM + b'{"y":{"y":1}}'),
        await http.post(EVENTS, content=BOM + b'{"y":{"y":1}}\n', headers={"content-type": "application/x-ndjson"}),
        await http.post("/v1/streams/s/forecast", content=BOM + b'{"x":[{}]}'),
        await http.post("/v2/models/s/infer", content=BOM + b"{}"),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200], [one.text for one in answers]
    assert '"version":2' in answers[2].text
    twice = await http.post(EVENTS, content=BOM + BOM + b'{"y":{"y":1}}')
    assert twice.status_code == 400


@pytest.mark.parametrize(
    ("address", "body", "fields"),
    [
        (EVENTS, '{"y":{"y":1},"s3cr3t":1}', "id, time, y, x"),
        (EVENTS, '{"y":{"y":1},"label":"a","s3cr3t":1}', "y, label"),
        ("/v1/streams/s/forecast", '{"x":[{}],"s3cr3t":1}', "x"),
        ("/v1/streams/s/snapshots", '{"s3cr3t":1}', "name"),
        ("/v1/streams/s/clone", '{"name":"t","s3cr3t":1}', "name, config"),
    ],
)
async def test_an_unknown_field_is_answered_with_the_known_ones(
    http: httpx.AsyncClient, address: str, body: str, fields: str
) -> None:
    answer = await http.post(address, content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"the object has a field that is not known; the fields are {fields}"
    assert "s3cr3t" not in answer.text


@pytest.mark.parametrize("event", ["a\nb", "\n", "a\r\nb", "a/b\n/label", "a\u2028b"])
async def test_any_id_can_be_labelled_by_its_address(http: httpx.AsyncClient, event: str) -> None:
    assert (await http.post(EVENTS, json={"id": event})).json()["pending"] is True
    answer = await http.put(f"{EVENTS}/{quote(event, safe='')}/label", json={"y": {"y": 2}})
    assert (answer.status_code, answer.json()["id"], answer.json()["version"]) == (200, event, 1)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999-00:01"])
async def test_times_outside_of_the_years_1_to_9999_are_refused(http: httpx.AsyncClient, time: str) -> None:
    answer = await http.post(EVENTS, json={"time": time, "y": {"y": 1}})
    assert (answer.status_code, answer.json()["field"]) == (422, "time")
    assert answer.json()["detail"] == "time: must be in the years 1 to 9999 of UTC"


async def test_the_first_and_the_last_time_are_learnt(http: httpx.AsyncClient) -> None:
    for time in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"):
        assert (await http.post(EVENTS, json={"time": time, "y": {"y": 1}})).status_code == 200


def test_times_of_an_old_log_that_have_no_four_digit_year_are_shown_as_null() -> None:
    seconds = np.array([-62_135_596_800.001, -62_135_596_800.0, 253_402_300_799.0, 253_402_300_800.0, np.nan, np.inf])
    assert _times(seconds) == [b"null", b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59Z"', b"null", b"null", b"null"]


@pytest.mark.parametrize("header", ["*", "W/{}", '"other", W/{}', "{}"])
async def test_a_stream_that_is_known_is_not_sent_again(http: httpx.AsyncClient, header: str) -> None:
    tag = (await http.get("/v1/streams/s")).headers["etag"]
    known = await http.get("/v1/streams/s", headers={"if-none-match": header.format(tag)})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    other = await http.get("/v1/streams/s", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


async def test_the_page_is_not_packed_for_those_who_refuse_it(http: httpx.AsyncClient) -> None:
    for header in ("gzip;q=0", "identity, *;q=0"):
        answer = await http.get("/static/style.css", headers={"accept-encoding": header})
        assert "content-encoding" not in answer.headers
    assert (await http.get("/", headers={"if-none-match": "*"})).status_code == 304


async def test_everything_is_closed_when_the_application_fails() -> None:
    closed: list[str] = []

    class Closing(MemoryStore):
        async def close(self) -> None:
            closed.append("store")

    app = create_app(Settings(), Closing())

    async def failing() -> None:
        closed.append("streams")
        raise OSError("the last checkpoint")

    app.state.streams.close = failing
    with pytest.raises(OSError, match="the last checkpoint"):
        async with app.router.lifespan_context(app):
            raise RuntimeError
    assert closed == ["streams", "store"]
