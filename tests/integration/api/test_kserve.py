"""The Open Inference Protocol over a real application: the protocol's own rules, and the same bits as `/v1`."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from nobacktrack import model
from nobacktrack.service.api.app import create_app
from nobacktrack.service.api.middleware.admission import SURPLUS, Admission
from nobacktrack.service.api.middleware.body_limits import BodyTime
from nobacktrack.service.errors import Unavailable
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.security import keys
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.asgi import converse, request_scope

HERE = "http://localhost"
SECRET = "s3cr3t-canary"
HEADER = "inference-header-content-length"

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    model.warm_up(("float32",))


@pytest.fixture
def app() -> FastAPI:
    return create_app(Settings(max_body=8192, max_horizon=50, max_batch=64), MemoryStore())


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        await app.state.kernels.ready.wait()
        yield http


@pytest.fixture
async def load(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """A service with a stream of two targets and one with inputs, each of which has learnt something."""
    await http.put("/v1/streams/load", json={"targets": ["b", "a"], "units": 4})
    await http.put("/v1/streams/shop", json={"targets": ["sales"], "inputs": ["promo", "day"], "units": 4})
    for n in range(5):
        await http.post("/v1/streams/load/events", json={"y": {"a": n % 2, "b": 10.0 + n}})
        await http.post("/v1/streams/shop/events", json={"y": {"sales": n}, "x": {"day": n, "promo": n % 2}})
    return http


def tensor(name: str, values: object, datatype: str = "FP64") -> dict[str, object]:
    array = np.array(values, dtype=object)
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()}


async def infer(http: httpx.AsyncClient, stream: str, *inputs: dict[str, object], **more: object) -> httpx.Response:
    return await http.post(f"/v2/models/{stream}/infer", json={"inputs": list(inputs), **more})


def outputs(answer: httpx.Response) -> dict[str, np.ndarray]:
    """The outputs by name, NaN for null; each with the shape that it says."""
    assert answer.status_code == 200, answer.text
    found = {}
    for one in answer.json()["outputs"]:
        assert one["datatype"] in ("FP64", "INT64")
        found[one["name"]] = np.array(one["data"], np.float64).reshape(one["shape"])
    return found


async def digest(http: httpx.AsyncClient, stream: str = "load") -> str:
    return str((await http.get(f"/v1/streams/{stream}")).json()["digest"])


def check_error(answer: httpx.Response, status: int, kind: str) -> str:
    """As the protocol has it, with what `/v1` says too."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["type"] == f"urn:nobacktrack:problem:{kind}"
    assert body["error"].endswith(body["detail"])
    assert SECRET not in answer.text
    return str(body["error"])


async def test_the_server(http: httpx.AsyncClient) -> None:
    for path in ("/v2", "/v2/"):
        about = (await http.get(path)).json()
        assert about == {"name": "nobacktrack", "version": "1", "extensions": ["binary_tensor_data", "learn"]}
    assert (await http.get("/v2/health/live")).json() == {"live": True}
    assert (await http.get("/v2/health/ready")).json() == {"ready": True}


async def test_the_request_is_described_in_one_piece(http: httpx.AsyncClient) -> None:
    operation = (await http.get("/openapi.json")).json()["paths"]["/v2/models/{stream}/infer"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert "$" not in json.dumps(schema)
    assert schema["properties"]["inputs"]["items"]["required"] == ["name", "shape", "datatype"]


async def test_not_ready(load: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise Unavailable("the store is away", retry_after=1)

    monkeypatch.setattr(app.state.store, "ping", away)
    answer = await load.get("/v2/health/ready")
    check_error(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await load.get("/v2/health/live")).status_code == 200
    app.state.kernels.ready.clear()
    for answer in (await load.get("/v2/models/load"), await infer(load, "load")):
        check_error(answer, 503, "unavailable")


async def test_a_model_is_a_stream(load: httpx.AsyncClient) -> None:
    about = (await load.get("/v2/models/shop")).json()
    assert about.pop("parameters") == {"targets": "sales", "inputs": "promo,day", "y_datatype": "FP64"}
    assert about == {
        "name": "shop",
        "versions": ["5"],
        "platform": "nobacktrack",
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": name, "datatype": "FP64", "shape": [-1, 1]} for name in ("mean", "lower", "upper")],
    }
    assert (await load.get("/v2/models/load")).json()["inputs"] == []
    assert (await load.get("/v2/models/load/ready")).json() == {"name": "load", "ready": True}


async def test_only_the_newest_version_can_be_asked(load: httpx.AsyncClient) -> None:
    for path in ("", "/ready"):
        assert (await load.get(f"/v2/models/load/versions/5{path}")).status_code == 200
        check_error(await load.get(f"/v2/models/load/versions/4{path}"), 404, "not-found")
    body: dict[str, object] = {"inputs": []}
    assert (await load.post("/v2/models/load/versions/5/infer", json=body)).json()["model_version"] == "5"
    check_error(await load.post("/v2/models/load/versions/4/infer", json=body), 404, "not-found")
    learn = {"inputs": [tensor("y", [[1.0, 2.0]])], "parameters": {"learn": True}}
    check_error(await load.post("/v2/models/load/versions/5/infer", json=learn), 400, "bad-request")


async def test_a_prediction_is_the_forecast(load: httpx.AsyncClient) -> None:
    before = await digest(load)
    answer = await infer(load, "load", id="42", parameters={"horizon": 3, "sequence_id": 7})
    steps = (await load.get("/v1/streams/load/forecast?horizon=3")).json()["steps"]
    body = answer.json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("load", "5", "42")
    for name, found in outputs(answer).items():
        assert found.tolist() == [[step[name]["b"], step[name]["a"]] for step in steps]
    assert list(outputs(answer)) == ["mean", "lower", "upper"]
    assert "id" not in (await infer(load, "load")).json()
    assert outputs(await infer(load, "load"))["mean"].shape == (1, 2)
    assert await digest(load) == before


async def test_a_prediction_begins_after_the_events_that_wait(load: httpx.AsyncClient) -> None:
    assert "parameters" not in (await infer(load, "load")).json()
    await load.post("/v1/streams/load/events", json={"id": "late"})
    answer = await infer(load, "load", parameters={"horizon": 2})
    forecast = (await load.get("/v1/streams/load/forecast?horizon=2")).json()
    assert (answer.json()["model_version"], answer.json()["parameters"]) == ("5", {"pending": 1})
    assert (forecast["version"], forecast["pending"]) == (5, 1)
    for name, found in outputs(answer).items():
        assert found.tolist() == [[step[name]["b"], step[name]["a"]] for step in forecast["steps"]]


async def test_a_prediction_with_inputs(load: httpx.AsyncClient) -> None:
    future = [[1.0, 5.0], [None, 6.0]]
    want = {"x": [{"promo": 1.0, "day": 5.0}, {"promo": None, "day": 6.0}]}
    steps = (await load.post("/v1/streams/shop/forecast", json=want)).json()["steps"]
    x = tensor("x", future)
    nested = x | {"data": future}
    for one in (x, nested):
        found = outputs(await infer(load, "shop", one))["mean"]
        assert found.tolist() == [[step["mean"]["sales"]] for step in steps]
    check_error(await infer(load, "shop", x, parameters={"horizon": 3}), 422, "bad-event")
    check_error(await infer(load, "shop", parameters={"horizon": 3}), 422, "bad-event")
    check_error(await infer(load, "load", x), 422, "bad-event")


async def test_a_new_stream_has_nothing_to_say(http: httpx.AsyncClient) -> None:
    await http.put("/v1/streams/new", json={"targets": ["y"], "units": 4})
    answer = await infer(http, "new", parameters={"horizon": 2})
    assert answer.json()["outputs"][0]["data"] == [None, None]


async def test_learning_is_that_of_the_learner(load: httpx.AsyncClient) -> None:
    learner = model.Learner(model.Config(targets=("sales",), inputs=("promo", "day"), units=4))
    learner.observe_many([[n] for n in range(5)], [[n % 2, n] for n in range(5)])
    y, x, time = [[5.0], [None], [7.0]], [[1.0, 5.0], [0.0, None], [1.0, 7.0]], [1.5e9, 1.5e9 + 0.25, None]
    answer = await infer(load, "shop", tensor("y", y), tensor("x", x), tensor("time", time), parameters={"learn": True})
    expected = learner.observe_many(np.array(y, float), np.array(x, float), np.array(time, float))
    found = outputs(answer)
    for name in ("prediction", "lower", "upper", "loss", "version"):
        assert np.array_equal(found[name], getattr(expected, name), equal_nan=True), name
    assert [one["datatype"] for one in answer.json()["outputs"]] == ["FP64"] * 4 + ["INT64"]
    assert answer.json()["model_version"] == "8"
    assert await digest(load, "shop") == learner.digest()


async def test_one_target_needs_no_second_dimension(load: httpx.AsyncClient) -> None:
    await load.put("/v1/streams/one", json={"targets": ["y"], "units": 4})
    answer = await infer(load, "one", tensor("y", [1, 2, 3], "INT32"), parameters={"learn": True})
    assert outputs(answer)["prediction"].shape == (3, 1)
    assert outputs(answer)["version"].tolist() == [1, 2, 3]


async def test_ids_make_it_safe_to_send_again(load: httpx.AsyncClient) -> None:
    parts = (tensor("y", [[1.0, 2.0], [3.0, 4.0]]), tensor("id", ["e1", "e2"], "BYTES"))
    first = await infer(load, "load", *parts, parameters={"learn": True})
    after = await digest(load)
    again = await infer(load, "load", *parts, parameters={"learn": True})
    assert again.content == first.content
    other = (tensor("y", [[1.0, 2.0], [3.0, 5.0]]), parts[1])
    error = check_error(await infer(load, "load", *other, parameters={"learn": True}), 409, "other-body")
    assert "event 2 of 2" in error
    assert await digest(load) == after


async def test_events_behind_one_that_waits_for_its_label(load: httpx.AsyncClient) -> None:
    await load.post("/v1/streams/load/events", json={"id": "late"})
    answer = await infer(load, "load", GOOD, parameters={"learn": True})
    assert answer.json()["parameters"] == {"pending": True}
    assert outputs(answer)["version"].tolist() == [5]
    await load.put("/v1/streams/load/events/late/label", json={"y": {"a": 1.0, "b": 2.0}})
    assert (await load.get("/v1/streams/load")).json()["version"] == 7


async def test_symbols(http: httpx.AsyncClient) -> None:
    learner = model.Learner(model.Config(targets=("s",), alphabet=("a", "ü"), units=4))
    await http.put("/v1/streams/word", json=learner.config.to_dict())
    answer = await infer(http, "word", tensor("y", ["a", "ü", None], "BYTES"), parameters={"learn": True})
    expected = learner.observe_many([[0.0], [1.0], [np.nan]])
    assert np.array_equal(outputs(answer)["prediction"], expected.prediction, equal_nan=True)
    assert outputs(answer)["lower"].shape == (3, 2)
    mean = outputs(await infer(http, "word", parameters={"horizon": 2}))["mean"]
    assert mean.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert (await http.get("/v2/models/word")).json()["parameters"]["y_datatype"] == "BYTES"
    before = await digest(http, "word")
    for wrong in (tensor("y", ["b"], "BYTES"), tensor("y", [0]), tensor("y", [0], "BYTES"), tensor("y", [""], "BYTES")):
        check_error(await infer(http, "word", wrong, parameters={"learn": True}), 422, "bad-event")
    assert await digest(http, "word") == before


async def test_outputs_that_are_asked_for(load: httpx.AsyncClient) -> None:
    wanted = [{"name": "upper"}, {"name": "mean", "parameters": {"classification": 2}}]
    answer = await infer(load, "load", outputs=wanted)
    assert list(outputs(answer)) == ["upper", "mean"]
    check_error(await infer(load, "load", outputs=[{"name": SECRET}]), 422, "bad-event")


async def test_binary_tensors(load: httpx.AsyncClient) -> None:
    """The extension as Triton's clients use it, both ways."""
    raw = np.array([[1.0, np.nan]], "<f4").tobytes()
    ids = b"\x02\x00\x00\x00e1"
    request = {
        "inputs": [
            {"name": "y", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}},
            {"name": "time", "shape": [1], "datatype": "INT64", "data": [1_500_000_000]},
            {"name": "id", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(ids)}},
        ],
        "outputs": [{"name": "prediction", "parameters": {"binary_data": True}}, {"name": "version"}],
        "parameters": {"learn": True},
    }
    head = json.dumps(request).encode()
    url = "/v2/models/load/infer"
    answer = await load.post(url, content=head + raw + ids, headers={HEADER: str(len(head))})
    assert answer.status_code == 200
    size = int(answer.headers[HEADER])
    prediction, version = json.loads(answer.content[:size])["outputs"]
    blob = answer.content[size:]
    assert prediction["parameters"] == {"binary_data_size": len(blob)}
    assert "data" not in prediction
    assert version["data"] == [6]
    same = {
        "id": "e1", "y": {"b": 1.0, "a": None}, "time": datetime.fromtimestamp(1_500_000_000, UTC).isoformat(),
    }  # fmt: skip
    one = (await load.post("/v1/streams/load/events", json=same)).json()
    assert np.frombuffer(blob, "<f8").tolist() == [one["prediction"]["b"], one["prediction"]["a"]]
    before = await digest(load)
    for content, length in [
        (head + raw, len(head)),
        (head + raw + ids + b"x", len(head)),
        (head + raw + ids, len(head) + 10_000),
        (head + raw + ids, -1),
        (head + raw + ids, len(head) - 1),
    ]:
        check_error(await load.post(url, content=content, headers={HEADER: str(length)}), 400, "bad-request")
    assert await digest(load) == before


GOOD = tensor("y", [[1.0, 2.0]])
BAD: list[tuple[object, int, str]] = [
    ([], 422, "bad-event"),
    ({"inputs": []}, 422, "bad-event"),
    ({"inputs": [GOOD, GOOD]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"shape": [2, 1]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"shape": [2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"shape": [-1, 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"shape": [1, 1, 1, 1, 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"shape": [2, 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": ["1", "2"]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": [True, 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": [[[[[[1, 2]]]]]]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": [1e101, 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": [10**400, 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": [float("inf"), 2]}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"data": {SECRET: 1}}]}, 422, "bad-event"),
    ({"inputs": [{"name": "y", "shape": [1, 2], "datatype": "FP64"}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"datatype": SECRET}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"datatype": "BYTES"}]}, 422, "bad-event"),
    ({"inputs": [GOOD | {"name": SECRET}]}, 422, "bad-event"),
    ({"inputs": [GOOD, tensor("x", [[1.0]])]}, 422, "bad-event"),
    ({"inputs": [GOOD, tensor("id", ["a", "b"], "BYTES")]}, 422, "bad-event"),
    ({"inputs": [GOOD, tensor("id", [""], "BYTES")]}, 422, "bad-event"),
    ({"inputs": [GOOD, tensor("id", ["x" * 200], "BYTES")]}, 422, "bad-event"),
    ({"inputs": [GOOD, tensor("time", [1e30])]}, 422, "bad-event"),
    ({"inputs": [GOOD, tensor("time", [[1.0]])]}, 422, "bad-event"),
    ({"inputs": [tensor("y", [[1.0, 2.0]] * 65)]}, 413, "too-large"),
    ({"inputs": [tensor("y", [[1.0, 2.0]] * 2000)]}, 413, "too-large"),
    ({"inputs": [GOOD], "parameters": {"learn": "yes"}}, 400, "bad-request"),
    ({"inputs": [GOOD], "parameters": {"learn": 1}}, 400, "bad-request"),
    ({"inputs": [GOOD], "parameters": {"learn": False}}, 422, "bad-event"),
    ({"inputs": [GOOD], "parameters": {}}, 422, "bad-event"),
    ({"inputs": [GOOD], "id": 7}, 422, "bad-event"),
]


@pytest.mark.parametrize(("body", "status", "kind"), BAD)
async def test_bad_events_change_nothing(load: httpx.AsyncClient, body: object, status: int, kind: str) -> None:
    before = await digest(load)
    if isinstance(body, dict):
        body = {"parameters": {"learn": True}, **body}
    answer = await load.post("/v2/models/load/infer", content=json.dumps(body))
    check_error(answer, status, kind)
    assert await digest(load) == before


async def test_of_many_events_none_is_learnt_when_one_is_bad(load: httpx.AsyncClient) -> None:
    before = await digest(load)
    answer = await infer(load, "load", tensor("y", [[1.0, 2.0], [1e200, 4.0]]), parameters={"learn": True})
    assert "event 2" in check_error(answer, 422, "bad-event")
    assert await digest(load) == before


@pytest.mark.parametrize("horizon", [0, -1, 1.5, "3", True, None, 51])
async def test_horizons(load: httpx.AsyncClient, horizon: object) -> None:
    answer = await infer(load, "load", parameters={"horizon": horizon})
    if horizon is None:
        assert len(outputs(answer)["mean"]) == 1
    elif horizon == 51:
        check_error(answer, 413, "too-large")
    else:
        check_error(answer, 400, "bad-request")


async def test_what_is_no_request(load: httpx.AsyncClient) -> None:
    url = "/v2/models/load/infer"
    check_error(await load.post(url, content=b""), 400, "bad-request")
    check_error(await load.post(url, content=b"{" + SECRET.encode()), 400, "bad-request")
    check_error(await load.post(url, content=b"[" * 5000), 400, "bad-request")
    check_error(await load.post(url, content=b"x" * 10_000), 413, "too-large")
    for name in ("nobody", "a{b}", SECRET + "!"):
        kind = "unknown-stream" if name == "nobody" else "not-found"
        check_error(await load.get(f"/v2/models/{name}"), 404, kind)
        check_error(await load.get(f"/v2/models/{name}/ready"), 404, kind)
        check_error(await infer(load, name), 404, kind)


async def test_predictions_go_on_while_the_store_is_away(
    load: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("the store is away", retry_after=1)

    for name in ("head", "commit", "outcomes"):
        monkeypatch.setattr(app.state.store, name, away)
    answer = await infer(load, "load")
    assert answer.json()["parameters"] == {"stale": True}
    error = await infer(load, "load", GOOD, parameters={"learn": True})
    assert "event 1 of 1" in check_error(error, 503, "unavailable")
    assert error.headers["retry-after"]


async def test_nan_as_some_clients_write_it_is_a_missing_value(load: httpx.AsyncClient) -> None:
    body = b'{"inputs":[{"name":"y","shape":[1,2],"datatype":"FP64","data":[NaN,1]}],"parameters":{"learn":true}}'
    answer = await load.post("/v2/models/load/infer", content=body)
    assert answer.status_code == 200
    assert answer.json()["outputs"][3]["data"][0] is not None, "the other target was scored"


async def test_every_error_is_in_the_form_of_the_protocol(app: FastAPI, tmp_path: Path) -> None:
    """Those of middleware and of the router too; each status with the request that brings it."""
    key = keys.create(tmp_path / "keys", "read", "other-*")[0]
    guarded = create_app(Settings(keys_file=tmp_path / "keys", max_body=100), MemoryStore())
    bearer = {"authorization": f"Bearer {key}"}
    for service, method, path, options, status, kind in (
        (guarded, "POST", "/v2/models/s/infer", {}, 401, "unauthorized"),
        (guarded, "POST", "/v2/models/s/infer", {"headers": bearer}, 403, "forbidden"),
        (app, "POST", "/v2/models/s/infer", {"headers": {"host": "elsewhere.example"}}, 403, "forbidden"),
        (app, "GET", "/v2/nothing", {}, 404, "not-found"),
        (app, "DELETE", "/v2/models/s/infer", {}, 405, "method-not-allowed"),
        (app, "POST", "/v2/models/s/infer", {"content": b" " * 9000}, 413, "too-large"),
        (app, "POST", "/v2/models/s/infer", {"headers": {"content-encoding": "br"}}, 415, "unsupported-encoding"),
        (app, "GET", "/v2?x=1", {}, 400, "bad-request"),
    ):
        transport = httpx.ASGITransport(service, raise_app_exceptions=False)
        async with (
            service.router.lifespan_context(service),
            httpx.AsyncClient(transport=transport, base_url=HERE) as http,
        ):
            await service.state.kernels.ready.wait()
            check_error(await http.request(method, path, **options), status, kind)


async def test_a_request_that_breaks_off_is_told_in_the_form_of_the_protocol() -> None:
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass

    app = BodyTime(reading, 0.05, Metrics(1))
    part: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]
    start, body = await converse(app, request_scope("POST", "/v2/models/s/infer"), part)
    assert (start["status"], json.loads(body["body"])["error"][:3]) == (408, "The")


async def test_a_connection_too_many_is_told_in_the_form_of_the_protocol_and_probes_pass() -> None:
    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = Admission(answering, 1, Metrics(1))
    full: dict[str, Any] = {"state": {SURPLUS: True}}
    start, body = await converse(app, request_scope("POST", "/v2/models/s/infer", **full), [])
    assert (start["status"], json.loads(body["body"])["error"][:5]) == (429, "Limit")
    for probe in ("/v2/health/live", "/v2/health/ready", "/livez", "/readyz", "/metrics"):
        [start, _] = await converse(app, request_scope("GET", probe, **full), [])
        assert start["status"] == 200, probe


async def test_no_events_are_an_empty_batch(load: httpx.AsyncClient) -> None:
    before = await digest(load)
    empty: dict[str, object] = {"name": "y", "shape": [0, 2], "datatype": "FP64", "data": []}
    answer = await infer(load, "load", empty, parameters={"learn": True})
    assert answer.json()["model_version"] == "5"
    assert {name: one.shape for name, one in outputs(answer).items()} == {
        "prediction": (0, 2), "lower": (0, 2), "upper": (0, 2), "loss": (0,), "version": (0,),
    }  # fmt: skip
    assert await digest(load) == before


async def test_an_empty_list_of_outputs_names_none_so_all_come(load: httpx.AsyncClient) -> None:
    answer = await infer(load, "load", outputs=[])
    assert outputs(answer).keys() == {"mean", "lower", "upper"}


async def test_truth_values_are_numbers(load: httpx.AsyncClient) -> None:
    expected = outputs(await infer(load, "shop", tensor("x", [[1.0, 0.0]])))
    found = outputs(await infer(load, "shop", tensor("x", [[True, False]], "BOOL")))
    np.testing.assert_equal(found, expected)
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "BOOL",
                                   "parameters": {"binary_data_size": 2}}]}).encode()  # fmt: skip
    binary = await load.post("/v2/models/shop/infer", content=head + b"\1\0", headers={HEADER: str(len(head))})
    np.testing.assert_equal(outputs(binary), expected)
    check_error(await infer(load, "shop", tensor("x", [[1, 0]], "BOOL")), 422, "bad-event")
    check_error(await infer(load, "shop", tensor("x", [[True, False]])), 422, "bad-event")
