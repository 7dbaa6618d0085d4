"""The HTTP interface over a real application and a store in memory."""

import json
from collections.abc import AsyncIterator, MutableMapping

import anyio
import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError

from nobacktrack import model
from nobacktrack.service.api.app import create_app
from nobacktrack.service.schemas import Event, ForecastRequest, Outcome
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.support.needs import path_of

SECRET = "s3cr3t-canary"
HERE = "http://localhost"

pytestmark = pytest.mark.anyio


@pytest.fixture
def app() -> FastAPI:
    return create_app(Settings(max_body=4096, max_horizon=50, max_streams=5), MemoryStore())


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        await app.state.kernels.ready.wait()
        yield http


@pytest.fixture
async def load(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a service with a stream `load` that has learnt three events."""
    await http.put("/v1/streams/load", json={"targets": ["load"], "units": 4})
    for value in (1, 2, 3):
        await http.post("/v1/streams/load/events", json={"y": {"load": value}})
    return http


async def digest(http: httpx.AsyncClient) -> str:
    return str((await http.get("/v1/streams/load")).json()["digest"])


def check_problem(answer: httpx.Response, status: int, kind: str) -> None:
    """A 4xx with the right shape that does not repeat what was sent."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:nobacktrack:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert SECRET not in answer.text


async def test_create_is_idempotent_and_another_configuration_is_refused(http: httpx.AsyncClient) -> None:
    first = await http.put("/v1/streams/load", json={"targets": ["load"], "units": 4})
    again = await http.put("/v1/streams/load", json={"units": 4, "targets": ["load"]})
    other = await http.put("/v1/streams/load", json={"targets": ["load"], "units": 5})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    check_problem(other, 409, "other-config")
    assert (await http.get("/v1/streams")).json() == {"streams": ["load"]}


async def test_events_are_those_of_the_learner(load: httpx.AsyncClient) -> None:
    learner = model.Learner(model.Config(targets=("load",), units=4))
    learner.observe_many([[1.0], [2.0], [3.0]])
    assert await digest(load) == learner.digest()
    answer = (await load.post("/v1/streams/load/events", json={"id": "a", "y": {"load": 5}})).json()
    expected = learner.observe([5.0])
    assert answer == {
        "id": "a",
        "version": 4,
        "prediction": {"load": expected.prediction[0]},
        "lower": {"load": expected.lower[0]},
        "upper": {"load": expected.upper[0]},
        "loss": expected.loss,
        "baseline_loss": expected.baseline_loss,
        "anomaly": expected.anomaly,
        "next": {"load": expected.next[0]},
    }


async def test_a_repeated_id_is_answered_the_same_and_learnt_once(load: httpx.AsyncClient) -> None:
    event = {"id": "a", "y": {"load": 5.0}, "time": "2026-01-01T00:00:00Z"}
    first = await load.post("/v1/streams/load/events", json=event)
    after = await digest(load)
    assert (await load.post("/v1/streams/load/events", json=event)).content == first.content
    for other in ({"y": {"load": 5.1}}, {"time": "2026-01-01T00:00:01Z"}):
        check_problem(await load.post("/v1/streams/load/events", json=event | other), 409, "other-body")
    assert await digest(load) == after


async def test_null_is_a_missing_value(load: httpx.AsyncClient) -> None:
    answer = (await load.post("/v1/streams/load/events", json={"y": {"load": None}})).json()
    assert answer["version"] == 4
    assert answer["loss"] is None
    assert answer["prediction"]["load"] is not None


async def test_forecast(load: httpx.AsyncClient) -> None:
    before = await digest(load)
    answer = (await load.get("/v1/streams/load/forecast", params={"horizon": 3})).json()
    assert answer["version"] == 3
    assert len(answer["steps"]) == 3
    step = answer["steps"][0]
    assert step["lower"]["load"] <= step["mean"]["load"] <= step["upper"]["load"]
    assert await digest(load) == before
    check_problem(await load.get("/v1/streams/load/forecast?horizon=51"), 413, "too-large")
    check_problem(await load.post("/v1/streams/load/forecast", json={"x": [{}] * 51}), 413, "too-large")
    for horizon in ("0", "-1", "x", SECRET):
        check_problem(await load.get(f"/v1/streams/load/forecast?horizon={horizon}"), 400, "bad-request")


async def test_forecast_with_inputs(http: httpx.AsyncClient) -> None:
    await http.put("/v1/streams/shop", json={"targets": ["sales"], "inputs": ["promo"], "units": 4})
    for value in range(3):
        answer = await http.post("/v1/streams/shop/events", json={"y": {"sales": value}, "x": {"promo": value % 2}})
        assert answer.json()["next"] is None
    check_problem(await http.get("/v1/streams/shop/forecast?horizon=2"), 422, "bad-event")
    ahead = await http.post("/v1/streams/shop/forecast", json={"x": [{"promo": 1}, {"promo": None}]})
    assert len(ahead.json()["steps"]) == 2
    refused: list[object] = [{"x": []}, {"x": [{}]}, {"x": [{"promo": 1, SECRET: 1}]}, {"x": {}}, {}]
    for bad in refused:
        check_problem(await http.post("/v1/streams/shop/forecast", json=bad), 422, "bad-event")


BAD_EVENTS: list[tuple[bytes, int, str]] = [
    (b"", 400, "bad-request"),
    (b"{", 400, "bad-request"),
    (b'{"y":{"load":NaN}}', 422, "bad-event"),
    (b'{"y":{"load":Infinity}}', 422, "bad-event"),
    (b'{"y":{"load":-Infinity}}', 422, "bad-event"),
    (b'{"y":{"load":1e999}}', 422, "bad-event"),
    (b'{"y":{"load":"NaN"}}', 422, "bad-event"),
    (b'{"y":{"load":"Infinity"}}', 422, "bad-event"),
    (b'{"y":{"load":"1e999"}}', 422, "bad-event"),
    (b'{"y":{"load":"1"}}', 422, "bad-event"),
    (b'{"y":{"load":1e101}}', 422, "bad-event"),
    (b'{"y":{"load":true}}', 422, "bad-event"),
    (b'{"y":{"load":[1]}}', 422, "bad-event"),
    (b'{"y":{}}', 422, "bad-event"),
    (b'{"y":{"load":1,"' + SECRET.encode() + b'":1}}', 422, "bad-event"),
    (b'{"y":{"' + SECRET.encode() + b'":1}}', 422, "bad-event"),
    (b'{"y":[1]}', 422, "bad-event"),
    (b'{"y":1}', 422, "bad-event"),
    (b'{"y":null}', 422, "bad-event"),
    (b"{}", 422, "bad-event"),
    (b"[]", 422, "bad-event"),
    (b"1", 422, "bad-event"),
    (b'{"y":{"load":1},"x":{"promo":1}}', 422, "bad-event"),
    (b'{"y":{"load":1},"' + SECRET.encode() + b'":1}', 422, "bad-event"),
    (b'{"y":{"load":1},"id":1}', 422, "bad-event"),
    (b'{"y":{"load":1},"id":""}', 422, "bad-event"),
    (b'{"y":{"load":1},"id":"' + b"x" * 129 + b'"}', 422, "bad-event"),
    (b'{"y":{"load":1},"time":"' + SECRET.encode() + b'"}', 422, "bad-event"),
    (b'{"y":{"load":1},"time":"2026-01-01T00:00:00"}', 422, "bad-event"),
    (b'{"y":{"load":1},"time":1}', 422, "bad-event"),
    (b'{"y":{"load":1}}\xff', 400, "bad-request"),
    (b'{"y":{"lo\xffad":1}}', 400, "bad-request"),
    (b'{"y":{"load":' + b"1" * 3000 + b"}}", 422, "bad-event"),
    (b"[" * 4000, 400, "bad-request"),
    (b'{"y":{"load":1}} {"y":{"load":2}}', 400, "bad-request"),
    (b'{"y":{"load":1},"id":"' + b"x" * 4096 + b'"}', 413, "too-large"),
    (b"x" * 2_000_000, 413, "too-large"),
    (b'{"y":{' + b",".join(b'"%d":1' % i for i in range(400)) + b"}}", 422, "bad-event"),
    (b'{"y":{' + b",".join(b'"%d":""' % i for i in range(400)) + b"}}", 422, "bad-event"),
    (b"{" + b",".join(b'"%s%d":1' % (SECRET.encode(), i) for i in range(100)) + b"}", 422, "bad-event"),
]


@pytest.mark.parametrize(("body", "status", "kind"), BAD_EVENTS)
async def test_bad_events_change_nothing(load: httpx.AsyncClient, body: bytes, status: int, kind: str) -> None:
    before = await digest(load)
    check_problem(await load.post("/v1/streams/load/events", content=body), status, kind)
    assert await digest(load) == before


@pytest.mark.parametrize("schema", [Event, ForecastRequest])
def test_the_first_wrong_channel_ends_the_reading(schema: type[BaseModel]) -> None:
    """A body of 64 KB can hold ten thousand errors, and building them all takes the time of a hundred events."""
    wrong = b"{" + b",".join(b'"%d":""' % i for i in range(5000)) + b"}"
    body = b'{"y":%s}' % wrong if schema is Event else b'{"x":[%s]}' % b",".join([wrong[:50] + b"}"] * 1000)
    with pytest.raises(ValidationError) as refused:
        schema.model_validate_json(body)
    # Of one channel: a target may be a number or a symbol, and is refused as either.
    channels = {error["loc"][: 2 if schema is Event else 3] for error in refused.value.errors()}
    assert len(channels) == 1


async def test_a_body_of_unstated_length_is_counted(load: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b"x" * 1000

    check_problem(await load.post("/v1/streams/load/events", content=chunks()), 413, "too-large")
    # Line by line is for events alone.
    headers = {"content-type": "application/x-ndjson"}
    check_problem(await load.put("/v1/streams/other", content=chunks(), headers=headers), 413, "too-large")
    check_problem(await load.post("/v1/streams/load/forecast", content=chunks(), headers=headers), 413, "too-large")


async def test_a_client_that_hangs_up_is_nobodys_fault(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b'{"y"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(_: MutableMapping[str, object]) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/streams/load/events",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    async with app.router.lifespan_context(app):
        await app.state.kernels.ready.wait()
        await app(scope, receive, send)
    assert messages == []
    assert caplog.text == ""
    refused = app.state.metrics.registry.get_sample_value("nobacktrack_refused_total", {"type": "internal"})
    assert not refused


CROSS_SITE = [
    {"origin": "https://elsewhere.example"},
    {"origin": "http://localhost:3000"},
    {"origin": "null"},
    {"origin": "http://["},
    {"origin": ""},
    {"sec-fetch-site": "cross-site"},
    {"host": "rebound.example"},
    {"host": "rebound.example:8000", "origin": "http://rebound.example:8000"},
    {"host": "["},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
async def test_pages_of_other_sites_can_change_nothing(load: httpx.AsyncClient, headers: dict[str, str]) -> None:
    before = await digest(load)
    for answer in (
        await load.post("/v1/streams/load/events", content=b'{"y":{"load":1}}', headers=headers),
        await load.put("/v1/streams/other", json={"targets": ["y"]}, headers=headers),
        await load.delete("/v1/streams/load", headers=headers),
    ):
        check_problem(answer, 403, "forbidden")
    if "host" in headers:
        check_problem(await load.get("/v1/streams", headers=headers), 403, "forbidden")
    assert await digest(load) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": HERE, "sec-fetch-site": "same-origin"},
        {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"},
        {"host": "[::1]:8000"},
        {"host": "NoBackTrack.localhost"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_programs_and_own_pages_may(load: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await load.post("/v1/streams/load/events", content=b'{"y":{"load":4}}', headers=headers)
    assert answer.json()["version"] == 4


@pytest.mark.parametrize(
    ("settings", "names", "others"),
    [
        ({"host": "0.0.0.0"}, ["anything.example", "localhost"], []),
        ({"host": "0.0.0.0", "allowed_hosts": "learn.example, b"}, ["learn.example:80", "B", "127.0.0.1"], ["c"]),
        ({"host": "127.0.0.1", "allowed_hosts": "*"}, ["anything.example"], []),
        ({"host": "nbt.localhost"}, ["nbt.localhost", "localhost:8000"], ["elsewhere.example"]),
    ],
)
async def test_names_of_the_service(settings: dict[str, str], names: list[str], others: list[str]) -> None:
    app = create_app(Settings.model_validate(settings), MemoryStore())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as http:
        for name in names:
            assert (await http.get("/livez", headers={"host": name})).status_code == 200, name
        for name in others:
            assert (await http.get("/livez", headers={"host": name})).status_code == 403, name


async def test_a_stream_of_symbols(http: httpx.AsyncClient) -> None:
    alphabet = ("a", "b", "ü")
    learner = model.Learner(model.Config(targets=("s",), alphabet=alphabet, units=4, calendar=()))
    assert (await http.put("/v1/streams/word", json=learner.config.to_dict())).status_code == 201
    for place in (0, 1, 2, 0, 1):
        answer = await http.post("/v1/streams/word/events", json={"y": {"s": alphabet[place]}})
        outcome, expected = Outcome.model_validate_json(answer.content), learner.observe([place])
        for said, row in ((outcome.prediction["s"], expected.prediction), ((outcome.next or {})["s"], expected.next)):
            assert said == dict(zip(alphabet, row.tolist(), strict=True))
        assert outcome.loss == float(expected.loss)
        assert outcome.lower == outcome.upper == {"s": None}
    missing = (await http.post("/v1/streams/word/events", json={"y": {"s": None}})).json()
    assert (missing["version"], missing["loss"]) == (6, None)
    learner.observe([float("nan")])
    digest = (await http.get("/v1/streams/word")).json()["digest"]
    assert digest == learner.digest()
    steps = (await http.get("/v1/streams/word/forecast?horizon=2")).json()["steps"]
    assert [sum(step["mean"]["s"].values()) for step in steps] == [pytest.approx(1.0), pytest.approx(1.0)]
    for wrong in ("c", "", 0, 1.5, True, ["a"], "a" * 17):
        answer = await http.post("/v1/streams/word/events", json={"y": {"s": wrong}})
        check_problem(answer, 422, "bad-event")
    assert (await http.get("/v1/streams/word")).json()["digest"] == digest


async def test_a_precision_that_is_being_compiled_is_told_apart(http: httpx.AsyncClient, app: FastAPI) -> None:
    await app.state.kernels.flag("float64").wait()
    app.state.kernels.flag("float64").clear()
    assert (await http.get("/readyz")).status_code == 200
    assert (await http.put("/v1/streams/a", json={"targets": ["y"], "units": 1})).status_code == 201
    double = await http.put("/v1/streams/b", json={"targets": ["y"], "units": 1, "dtype": "float64"})
    check_problem(double, 503, "unavailable")
    assert "are being compiled" in double.json()["detail"]
    assert (await http.get("/v1/streams")).json() == {"streams": ["a"]}


async def test_a_list_with_versions_loads_no_learner(load: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.streams._learners.forget("load")
    listed = (await load.get("/v1/streams", params={"detail": True})).json()
    assert listed == {"streams": ["load"], "heads": [{"name": "load", "version": 3, "targets": ["load"]}]}
    assert not app.state.streams._learners._cached


@pytest.mark.parametrize("name", ["a{b}", "a%7Bb%7D", "a b", "a.b", "é", "x" * 65, "%00", SECRET + "!"])
async def test_bad_names(http: httpx.AsyncClient, name: str) -> None:
    for answer in (
        await http.put(f"/v1/streams/{name}", json={"targets": ["y"]}),
        await http.get(f"/v1/streams/{name}"),
        await http.post(f"/v1/streams/{name}/events", json={"y": {"y": 1}}),
    ):
        check_problem(answer, 404, "not-found")
    assert (await http.get("/v1/streams")).json() == {"streams": []}


async def test_unknown_streams_addresses_and_methods(http: httpx.AsyncClient) -> None:
    for answer in (
        await http.get("/v1/streams/nobody"),
        await http.delete("/v1/streams/nobody"),
        await http.get("/v1/streams/nobody/forecast"),
        await http.post("/v1/streams/nobody/events", json={"y": {"y": 1}}),
        await http.post("/v1/streams/nobody/events", content=b"{}", headers={"content-type": "application/x-ndjson"}),
    ):
        check_problem(answer, 404, "unknown-stream")
    check_problem(await http.get(f"/{SECRET}"), 404, "not-found")
    not_allowed = await http.post("/v1/streams")
    check_problem(not_allowed, 405, "method-not-allowed")
    assert not_allowed.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "bad-request"),
        (b"[]", 400, "bad-request"),
        (b'{"targets":["y"],"gain":NaN}', 400, "bad-request"),
        (b"{}", 422, "bad-config"),
        (b'{"targets":"y"}', 422, "bad-config"),
        (b'{"targets":[["y"]]}', 422, "bad-config"),
        (b'{"targets":["y"],"units":"8"}', 422, "bad-config"),
        (b'{"targets":["y"],"units":true}', 422, "bad-config"),
        (b'{"targets":["y"],"units":100000}', 422, "bad-config"),
        (b'{"targets":["y"],"cell":{}}', 422, "bad-config"),
        (b'{"targets":["y"],"time_constants":["a","b"]}', 422, "bad-config"),
        (b'{"targets":["y"],"' + SECRET.encode() + b'":1}', 422, "bad-config"),
        (b'{"targets":["' + SECRET.encode() + b'{}"]}', 422, "bad-config"),
    ],
)
async def test_bad_configurations(http: httpx.AsyncClient, body: bytes, status: int, kind: str) -> None:
    check_problem(await http.put("/v1/streams/load", content=body), status, kind)
    check_problem(await http.get("/v1/streams/load"), 404, "unknown-stream")


async def test_as_many_streams_as_allowed(http: httpx.AsyncClient) -> None:
    for i in range(5):
        assert (await http.put(f"/v1/streams/s{i}", json={"targets": ["y"], "units": 1})).status_code == 201
    sixth = await http.put("/v1/streams/s5", json={"targets": ["y"], "units": 1})
    check_problem(sixth, 429, "too-many")
    assert sixth.headers["retry-after"]
    assert (await http.delete("/v1/streams/s0")).status_code == 204
    assert (await http.put("/v1/streams/s5", json={"targets": ["y"], "units": 1})).status_code == 201


async def test_a_deleted_stream_starts_anew(load: httpx.AsyncClient) -> None:
    assert (await load.delete("/v1/streams/load")).status_code == 204
    check_problem(await load.post("/v1/streams/load/events", json={"y": {"load": 1}}), 404, "unknown-stream")
    await load.put("/v1/streams/load", json={"targets": ["load"], "units": 6})
    answer = await load.post("/v1/streams/load/events", json={"y": {"load": 1}})
    assert answer.json()["version"] == 1


async def test_bulk_answers_each_line_in_order_and_goes_on_after_a_bad_one(load: httpx.AsyncClient) -> None:
    lines = [
        b'{"y":{"load":4}}',
        b"",
        b"{bad}",
        b'{"y":{"load":5}}\r',
        b'{"id":"' + b"x" * 4096 + b'"}',
        b'{"y":{"other":5}}',
        b'{"y":{"load":6},"id":"last"}',
    ]
    headers = {"content-type": "application/x-ndjson; charset=utf-8"}
    answer = await load.post("/v1/streams/load/events", content=b"\n".join(lines), headers=headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [entry.get("version") or entry["status"] for entry in found] == [4, 400, 5, 413, 422, 6]
    assert [entry["line"] for entry in found if "line" in entry] == [3, 5, 6], "blank lines count"
    learner = model.Learner(model.Config(targets=("load",), units=4))
    learner.observe_many([[float(i)] for i in range(1, 7)])
    assert await digest(load) == learner.digest()


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_bulk_does_not_depend_on_how_the_bytes_arrive(load: httpx.AsyncClient, size: int) -> None:
    body = b"".join(b'{"y":{"load":%d}}\n' % (i % 7) for i in range(700))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    headers = {"content-type": "application/x-ndjson"}
    answer = await load.post("/v1/streams/load/events", content=pieces(), headers=headers)
    versions = [json.loads(line)["version"] for line in answer.text.splitlines()]
    assert versions == list(range(4, 704))


async def test_metrics_count_events_and_losses(load: httpx.AsyncClient, app: FastAPI) -> None:
    total = app.state.metrics.registry.get_sample_value
    losses = [
        (await load.post("/v1/streams/load/events", json={"y": {"load": value % 9}})).json() for value in range(100)
    ]
    assert total("nobacktrack_events_total", {"stream": "load"}) == 103
    assert total("nobacktrack_scored_events_total", {"stream": "load"}) == 101
    for name, field in (("loss", "loss"), ("baseline_loss", "baseline_loss")):
        # Plus the third of the fixture's events, the first that could be scored.
        rest = total(f"nobacktrack_{name}_sum_total", {"stream": "load"}) - sum(entry[field] for entry in losses)
        assert 0 <= rest < 2
    assert total("nobacktrack_update_seconds_count", {}) == 103
    labels = {"route": "/v1/streams/{stream}/events", "method": "POST", "status": "200"}
    assert total("nobacktrack_request_seconds_count", labels) == 103
    assert total("nobacktrack_queued_events", {}) == 0
    check_problem(await load.get("/v1/streams/nobody"), 404, "unknown-stream")
    assert total("nobacktrack_refused_total", {"type": "unknown-stream"}) == 1


async def test_streams_beyond_the_named_ones_share_a_label() -> None:
    app = create_app(Settings(metric_streams=1), MemoryStore())
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        await app.state.kernels.ready.wait()
        for name in ("a", "b", "c"):
            await http.put(f"/v1/streams/{name}", json={"targets": ["y"], "units": 1})
            await http.post(f"/v1/streams/{name}/events", json={"y": {"y": 1}})
    total = app.state.metrics.registry.get_sample_value
    assert total("nobacktrack_events_total", {"stream": "a"}) == 1
    assert total("nobacktrack_events_total", {"stream": "other"}) == 2


async def test_probes(http: httpx.AsyncClient, app: FastAPI) -> None:
    assert (await http.get("/livez")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    assert (await http.get("/docs")).status_code == 200
    for probe in ("/livez", "/readyz"):
        assert (await http.head(probe)).status_code == 200
    app.state.kernels.ready.clear()
    assert (await http.get("/livez")).status_code == 200
    for answer in (await http.get("/readyz"), await http.put("/v1/streams/a", json={"targets": ["y"]})):
        check_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"]


async def test_openapi_describes_every_body(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation["summary"], path
            if method in ("post", "put") and not path.endswith("/restore"):
                assert "application/json" in operation["requestBody"]["content"], path


async def test_metrics_are_as_prometheus_wants_them(load: httpx.AsyncClient) -> None:
    page = (await load.get("/metrics")).content
    checked = await anyio.run_process([path_of("promtool"), "check", "metrics"], input=page, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")
