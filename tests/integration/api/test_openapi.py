"""The OpenAPI document says what the service does: every status and content type that comes is described."""

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from nobacktrack import model
from nobacktrack.service import schemas
from nobacktrack.service.api.app import create_app
from nobacktrack.service.api.kserve import schemas as kserve_schemas
from nobacktrack.service.api.kserve.schemas import InferResponse
from nobacktrack.service.api.openapi import Described, ProtocolProblem
from nobacktrack.service.errors import MethodNotAllowed, ServiceError, Unauthorized
from nobacktrack.service.schemas import Outcome, Problem, Seen
from nobacktrack.service.security import keys as key_store
from nobacktrack.service.security.keys import EVERYTHING
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore

pytestmark = pytest.mark.anyio

STREAM = "/v1/streams/{stream}"
MODEL = "/v2/models/{stream}"
PROBLEM = "application/problem+json"
EVENT = '{"y":{"y":1}}'
SCHEMAS: dict[str, type[BaseModel]] = {
    name: one for module in (kserve_schemas, schemas) for name, one in vars(module).items() if isinstance(one, type)
} | {"Problem": Described, "ProtocolProblem": ProtocolProblem}


def raised(error: type[ServiceError]) -> Iterator[type[ServiceError]]:
    """The classes of a tree that have an example of their own."""
    yield from [error] if "shown" in vars(error) else []
    for below in error.__subclasses__():
        yield from raised(below)


ERRORS = {str(error.example().problem()["type"]): error for error in raised(ServiceError)}
OTHER_HOST = {"host": "elsewhere.example"}


@pytest.fixture
def app() -> FastAPI:
    return create_app(Settings(max_body=4096, max_horizon=50, max_streams=3), MemoryStore())


@pytest.fixture
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a stream `s` that has learnt three events, and its snapshot `kept`."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        await app.state.kernels.ready.wait()
        await http.put("/v1/streams/s", json={"targets": ["y"], "units": 4})
        for _ in range(3):
            await http.post("/v1/streams/s/events", content=EVENT)
        await http.post("/v1/streams/s/snapshots", json={"name": "kept"})
        yield http


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation)."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from references(one)


def test_errors_are_problems_and_references_lead_somewhere(app: FastAPI) -> None:
    for path, method, operation in operations(app):
        errors = {int(code): said for code, said in operation["responses"].items() if int(code) >= 400}
        assert {403, 415, 431, 500} <= errors.keys(), (path, method)
        for code, said in errors.items():
            assert said["description"], (path, method, code)
            protocol = path.startswith("/v2")
            [(kind, content)] = said["content"].items()
            assert kind == ("application/json" if protocol else PROBLEM)
            assert content["schema"] == {"$ref": f"#/components/schemas/{'ProtocolProblem' if protocol else 'Problem'}"}
    document = app.openapi()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
    assert not any("ValidationError" in name for name in known)
    assert app.openapi() == document, "it is made once"


def examples(content: dict[str, Any]) -> list[Any]:
    """The values that one content type of a response shows."""
    many = [one["value"] for one in content.get("examples", {}).values()]
    return [*many, content["example"]] if "example" in content else many


def check_answer(kind: str, content: dict[str, Any], example: Any) -> None:
    """An example is of the schema that stands beside it; one in text, of what its lines are."""
    if "$ref" in content["schema"]:
        schema = SCHEMAS[content["schema"]["$ref"].rpartition("/")[2]]
        assert kind in ("application/json", PROBLEM)
        read = schema.model_validate_json(json.dumps(example))
        assert not set(example) - set(read.model_dump()), "and has nothing beside it"
        return
    assert content["schema"]["type"] == "string"
    assert isinstance(example, str)
    if kind == "application/x-ndjson":
        outcome, problem = example.splitlines()
        Outcome.model_validate_json(outcome)
        Problem.model_validate_json(problem)
    elif kind == "text/event-stream":
        [data] = [line.removeprefix("data: ") for line in example.splitlines() if line.startswith("data: ")]
        Seen.model_validate_json(data)
    elif kind == "application/octet-stream":
        InferResponse.model_validate_json(example[: example.rindex("}") + 1])
    else:
        assert kind == "text/plain"


@pytest.mark.parametrize("keys", [False, True])
def test_every_answer_has_an_example(keys: bool, tmp_path: Path) -> None:
    keys_file = tmp_path / "keys.json"
    if keys:
        key_store.create(keys_file, "read", EVERYTHING)
    app = create_app(Settings(keys_file=keys_file if keys else None), MemoryStore())
    seen: set[str] = set()
    for path, method, operation in operations(app):
        for code, said in operation["responses"].items():
            assert "content" in said or code in ("204", "304"), (path, method, code)
            for kind, content in said.get("content", {}).items():
                shown = examples(content)
                assert shown, (path, method, code, kind)
                for example in shown:
                    check_answer(kind, content, example)
                    if int(code) >= 400:
                        error = ERRORS[example["type"]]
                        assert (example["status"], example["title"]) == (int(code), error.title())
                        assert error.example().problem().items() <= example.items()
                        seen.add(example["type"])
    # No operation has a method that there is not; a key that is missing is refused only where there are keys.
    unseen = {MethodNotAllowed} if keys else {MethodNotAllowed, Unauthorized}
    assert ERRORS.keys() - seen == {f"urn:nobacktrack:problem:{error.slug}" for error in unseen}


def test_the_number_of_steps_is_bounded_as_in_the_settings(app: FastAPI) -> None:
    forecast = app.openapi()["paths"][f"{STREAM}/forecast"]
    [horizon] = [one["schema"] for one in forecast["get"]["parameters"] if one["name"] == "horizon"]
    assert (horizon["minimum"], horizon["maximum"]) == (1, 50)
    body = forecast["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (body["properties"]["x"]["minItems"], body["properties"]["x"]["maxItems"]) == (1, 50)
    other = create_app(Settings(max_horizon=7), MemoryStore()).openapi()["paths"][f"{STREAM}/forecast"]
    assert other["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]["x"]["maxItems"] == 7
    assert body["properties"]["x"]["maxItems"] == 50, "each service has a document of its own"


def test_the_schema_of_a_problem_names_what_it_may_have(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    common = {"type", "title", "status", "detail", "field", "retry_after"}
    assert schemas["Problem"]["properties"].keys() == common
    assert schemas["ProtocolProblem"]["properties"].keys() == common | {"error"}
    assert schemas["Problem"]["required"] == ["type", "title", "status", "detail"]


def fields(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of an object in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"].items()
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from fields(one)


def test_every_field_is_described(app: FastAPI) -> None:
    """Those of the answers, of the bodies that are parsed by hand, and of a stream's configuration."""
    document = app.openapi()
    del document["paths"][f"{STREAM}/live"]  # its fields are those of server-sent events
    found = list(fields(document))
    assert len(found) > 100
    assert [name for name, schema in found if not schema.get("description")] == []
    body = document["paths"][STREAM]["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"].keys() == {field.name for field in dataclasses.fields(model.Config)}


ANSWERS: list[tuple[str, str, str, dict[str, Any], int]] = [
    # method, described path, what is added to it or put in its place, options, status
    ("GET", "/livez", "/livez", {}, 200),
    ("GET", "/livez", "/livez", {"headers": OTHER_HOST}, 403),
    ("GET", "/readyz", "/readyz", {}, 200),
    ("GET", "/metrics", "/metrics", {}, 200),
    ("GET", "/metrics", "/metrics", {"headers": {"content-encoding": "br"}}, 415),
    ("GET", "/v1/streams", "/v1/streams", {}, 200),
    ("GET", "/v1/streams", "/v1/streams?limit=0", {}, 400),
    ("GET", "/v1/streams", f"/v1/streams?after={'x' * 65}", {}, 400),
    ("PUT", STREAM, "/v1/streams/new", {"content": '{"targets":["y"],"units":4}'}, 201),
    ("PUT", STREAM, "/v1/streams/s", {"content": '{"targets":["y"],"units":4}'}, 200),
    ("PUT", STREAM, "/v1/streams/s", {"content": '{"targets":["z"]}'}, 409),
    ("PUT", STREAM, "/v1/streams/s", {"content": "{}"}, 422),
    ("PUT", STREAM, "/v1/streams/s", {"content": "["}, 400),
    ("PUT", STREAM, "/v1/streams/s", {"content": " " * 5000}, 413),
    ("PUT", STREAM, "/v1/streams/a%7Bb%7D", {"content": "{}"}, 404),
    ("GET", STREAM, "/v1/streams/s", {}, 200),
    ("GET", STREAM, "/v1/streams/nobody", {}, 404),
    ("DELETE", STREAM, "/v1/streams/s", {}, 204),
    ("DELETE", STREAM, "/v1/streams/nobody", {}, 404),
    ("DELETE", STREAM, "/v1/streams/s", {"headers": {"origin": "https://elsewhere.example"}}, 403),
    ("POST", f"{STREAM}/events", "/v1/streams/s/events", {"content": EVENT}, 200),
    (
        "POST", f"{STREAM}/events", "/v1/streams/s/events",
        {"content": EVENT, "headers": {"content-type": "application/x-ndjson"}}, 200,
    ),
    ("POST", f"{STREAM}/events", "/v1/streams/s/events", {"content": "{}"}, 422),
    ("POST", f"{STREAM}/events", "/v1/streams/nobody/events", {"content": EVENT}, 404),
    ("PUT", f"{STREAM}/events/{{event}}/label", "/v1/streams/s/events/a/label", {"content": EVENT}, 404),
    ("PUT", f"{STREAM}/events/{{event}}/label", f"/v1/streams/s/events/{'a' * 129}/label", {"content": EVENT}, 400),
    ("PUT", f"{STREAM}/events/{{event}}/label", "/v1/streams/s/events/a/label", {"content": '{"y":1}'}, 422),
    ("GET", f"{STREAM}/forecast", "/v1/streams/s/forecast", {}, 200),
    ("GET", f"{STREAM}/forecast", "/v1/streams/s/forecast?horizon=0", {}, 400),
    ("GET", f"{STREAM}/forecast", "/v1/streams/s/forecast?horizon=51", {}, 413),
    ("POST", f"{STREAM}/forecast", "/v1/streams/s/forecast", {"content": '{"x":[{}]}'}, 200),
    ("POST", f"{STREAM}/forecast", "/v1/streams/s/forecast", {"content": '{"x":[{"z":1}]}'}, 422),
    ("POST", f"{STREAM}/snapshots", "/v1/streams/s/snapshots", {}, 201),
    ("POST", f"{STREAM}/snapshots", "/v1/streams/s/snapshots", {"content": '{"name":"kept"}'}, 409),
    ("POST", f"{STREAM}/snapshots", "/v1/streams/s/snapshots", {"content": '{"name":1}'}, 422),
    ("GET", f"{STREAM}/snapshots", "/v1/streams/s/snapshots", {}, 200),
    ("DELETE", f"{STREAM}/snapshots/{{snapshot}}", "/v1/streams/s/snapshots/kept", {}, 204),
    ("DELETE", f"{STREAM}/snapshots/{{snapshot}}", "/v1/streams/s/snapshots/none", {}, 404),
    ("DELETE", f"{STREAM}/snapshots/{{snapshot}}", "/v1/streams/s/snapshots/a%20b", {}, 400),
    ("POST", f"{STREAM}/snapshots/{{snapshot}}/restore", "/v1/streams/s/snapshots/kept/restore", {}, 200),
    ("POST", f"{STREAM}/snapshots/{{snapshot}}/restore", "/v1/streams/s/snapshots/a%20b/restore", {}, 400),
    ("POST", f"{STREAM}/clone", "/v1/streams/s/clone", {"content": '{"name":"t"}'}, 201),
    ("POST", f"{STREAM}/clone", "/v1/streams/s/clone", {"content": '{"name":"s"}'}, 409),
    ("POST", f"{STREAM}/clone", "/v1/streams/s/clone", {"content": '{"name":"t","config":{"units":0}}'}, 422),
    ("GET", f"{STREAM}/diagnostics", "/v1/streams/s/diagnostics?samples=1", {}, 400),
    ("GET", f"{STREAM}/live", "/v1/streams/nobody/live", {}, 404),
    ("GET", f"{STREAM}/live", "/v1/streams/s/live", {"headers": {"last-event-id": "x"}}, 400),
    ("GET", "/v2", "/v2", {}, 200),
    ("GET", "/v2/health/ready", "/v2/health/ready", {}, 200),
    ("GET", MODEL, "/v2/models/s", {}, 200),
    ("GET", MODEL, "/v2/models/nobody", {}, 404),
    ("GET", f"{MODEL}/ready", "/v2/models/a%7Bb%7D/ready", {}, 404),
    ("POST", f"{MODEL}/infer", "/v2/models/s/infer", {"content": "{}"}, 200),
    ("POST", f"{MODEL}/infer", "/v2/models/s/infer", {"content": '{"parameters":{"binary_data_output":true}}'}, 200),
    ("POST", f"{MODEL}/infer", "/v2/models/s/infer", {"content": '{"parameters":{"horizon":51}}'}, 413),
    ("POST", f"{MODEL}/infer", "/v2/models/s/infer", {"content": '{"parameters":{"horizon":0}}'}, 400),
    ("POST", f"{MODEL}/infer", "/v2/models/s/infer", {"content": '{"inputs":1}'}, 422),
    ("POST", f"{MODEL}/infer", "/v2/models/s/infer", {"headers": OTHER_HOST}, 403),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "address", "options", "status"), ANSWERS)
async def test_what_is_answered_is_described(
    http: httpx.AsyncClient,
    app: FastAPI,
    method: str,
    path: str,
    address: str,
    options: dict[str, Any],
    status: int,
) -> None:
    answer = await http.request(method, address, **options)
    assert answer.status_code == status, answer.text
    said = app.openapi()["paths"][path][method.lower()]["responses"]
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert str(status) in said
    content = said[str(status)].get("content", {"": {}})
    assert kind in content
    if status >= 400:
        assert answer.json()["type"] in {example["type"] for example in examples(content[kind])}


@pytest.mark.parametrize(
    ("address", "methods"),
    [
        ("/livez", "GET, HEAD"),
        ("/metrics", "GET"),
        ("/v1/streams/s", "DELETE, GET, PUT"),
        ("/v1/streams/s/forecast", "GET, POST"),
        ("/v1/streams/s/snapshots", "GET, POST"),
        ("/v1/streams/s/snapshots/kept", "DELETE"),
        ("/v2/models/s/infer", "POST"),
    ],
)
async def test_every_method_of_an_address_is_named(http: httpx.AsyncClient, address: str, methods: str) -> None:
    for method in ("OPTIONS", "PATCH"):
        answer = await http.request(method, address)
        kind = "application/json" if address.startswith("/v2") else PROBLEM
        assert (answer.status_code, answer.headers["content-type"]) == (405, kind)
        assert answer.headers["allow"] == methods


async def test_a_parameter_is_refused_in_words_that_are_right(http: httpx.AsyncClient) -> None:
    answer = await http.delete("/v1/streams/s/snapshots/a%20b")
    assert "^[A-Za-z0-9_-]{1,64}$" in answer.json()["detail"]


def test_a_parameter_that_may_be_left_out_is_never_null(app: FastAPI) -> None:
    schemas = [one["schema"] for _, _, operation in operations(app) for one in operation.get("parameters", [])]
    assert {one["type"] for one in schemas} == {"string", "integer", "boolean"}


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 19, "-1", "1.0", "", "3"])
async def test_lengths_of_json_that_are_none(http: httpx.AsyncClient, length: str) -> None:
    headers = {"inference-header-content-length": length}
    answer = await http.post("/v2/models/s/infer", content="{}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:nobacktrack:problem:bad-request")


async def test_a_clone_that_is_too_large_is_not_made_first(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_memory(_: model.Config) -> None:
        raise AssertionError

    monkeypatch.setattr(model, "Learner", take_memory)
    asked = {"name": "t", "config": {"units": 4096, "cell": "gru"}}
    answer = await http.post("/v1/streams/s/clone", json=asked)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:nobacktrack:problem:bad-config")
