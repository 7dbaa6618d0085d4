"""Who may do what: every address there is, asked with every kind of key."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nobacktrack import model
from nobacktrack.service.api.app import create_app
from nobacktrack.service.api.middleware import authentication
from nobacktrack.service.api.middleware.authentication import RULES
from nobacktrack.service.security import keys
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.asgi import WebSocketTalk, shake_hands

HERE = "http://localhost"
STREAM = "plant-1"
WS = "websocket"

pytestmark = pytest.mark.anyio

KINDS = ("none", "unknown", "revoked", "stranger", "read", "write", "owner", "admin")
"""No key; two that do not count; an administrator of other streams; three keys of this stream; one of all streams."""
ALL = frozenset(KINDS)
READ = frozenset({"read", "write", "owner", "admin"})
WRITE = READ - {"read"}
OWNER = WRITE - {"write"}

MAY: dict[tuple[str, str], frozenset[str]] = {
    ("get", "/"): ALL,
    ("head", "/"): ALL,
    ("get", "/static/{name}"): ALL,
    ("head", "/static/{name}"): ALL,
    ("get", "/livez"): ALL,
    ("head", "/livez"): ALL,
    ("get", "/readyz"): ALL,
    ("head", "/readyz"): ALL,
    ("get", "/docs"): ALL,
    ("get", "/docs/swagger-ui-bundle.js"): ALL,
    ("get", "/docs/swagger-ui.css"): ALL,
    ("get", "/docs/favicon-32x32.png"): ALL,
    ("get", "/openapi.json"): ALL,
    ("get", "/metrics"): frozenset({"admin"}),
    ("get", "/v1/streams"): READ | {"stranger"},
    ("get", "/v1/streams/{stream}"): READ,
    ("put", "/v1/streams/{stream}"): WRITE,
    ("delete", "/v1/streams/{stream}"): OWNER,
    ("post", "/v1/streams/{stream}/events"): WRITE,
    ("get", "/v1/streams/{stream}/forecast"): READ,
    ("post", "/v1/streams/{stream}/forecast"): READ,
    ("put", "/v1/streams/{stream}/events/{event}/label"): WRITE,
    ("get", "/v1/streams/{stream}/live"): READ,
    ("get", "/v1/streams/{stream}/diagnostics"): WRITE,
    ("get", "/v1/streams/{stream}/snapshots"): READ,
    ("post", "/v1/streams/{stream}/snapshots"): WRITE,
    ("delete", "/v1/streams/{stream}/snapshots/{snapshot}"): OWNER,
    ("post", "/v1/streams/{stream}/snapshots/{snapshot}/restore"): OWNER,
    ("post", "/v1/streams/{stream}/clone"): OWNER,
    (WS, "/v1/streams/{stream}/ws"): WRITE,
    ("get", "/v2"): ALL,
    ("get", "/v2/"): ALL,
    ("get", "/v2/health/live"): ALL,
    ("get", "/v2/health/ready"): ALL,
    ("get", "/v2/models/{stream}"): READ,
    ("get", "/v2/models/{stream}/versions/{version}"): READ,
    ("get", "/v2/models/{stream}/ready"): READ,
    ("get", "/v2/models/{stream}/versions/{version}/ready"): READ,
    ("post", "/v2/models/{stream}/infer"): READ,
    ("post", "/v2/models/{stream}/versions/{version}/infer"): READ,
}
"""Who may; said a second time, on purpose. An address that is added has to be added here."""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {
        "revoked": keys.create(path, "admin", "*", "revoked"),
        "stranger": keys.create(path, "admin", "other-*"),
        "read": keys.create(path, "read", "plant-*"),
        "write": keys.create(path, "write", STREAM),
        "owner": keys.create(path, "admin", "plant-*"),
        "admin": keys.create(path, "admin", "*"),
    }
    keys.revoke(path, "revoked")
    found = {kind: token for kind, (token, _) in made.items()}
    return found | {"none": "", "unknown": f"nbt_{'0' * 12}_{'x' * 43}", "path": str(path)}


@pytest.fixture(scope="module")
def app(tokens: dict[str, str]) -> FastAPI:
    """Its kernels are never compiled: what is let through is answered 503, and nothing happens."""
    return create_app(Settings(keys_file=Path(tokens["path"])), MemoryStore())


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def addresses(app: FastAPI) -> set[tuple[str, str]]:
    """Every (method, path) of the OpenAPI document and of the routers, also what the document hides."""
    return {(method, plain(path)) for method, path in _addresses(app)}


def plain(path: str) -> str:
    """As the document has it, which does not tell of what kind a parameter is."""
    return path.replace(":text}", "}")


def _addresses(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method, path

    def inside(routes: Any, prefix: str) -> Iterator[tuple[str, str]]:
        for route in routes:
            if hasattr(route, "original_router"):  # FastAPI's view of an included router
                yield from inside(route.original_router.routes, prefix + route.include_context.prefix)
            elif getattr(route, "methods", None):
                for method in route.methods:
                    yield method.lower(), prefix + route.path
            else:
                yield WS, prefix + route.path

    yield from inside(app.routes, "")


def test_every_address_is_in_the_table_and_the_table_in_the_service(app: FastAPI) -> None:
    found = addresses(app)
    assert (WS, "/v1/streams/{stream}/ws") in found
    assert ("put", "/v1/streams/{stream}") in found
    without_head = {(method, path) for method, path in found if method != "head"}
    rules = {(method.lower(), plain(path)) for method, path in RULES}
    assert rules == without_head, "an address needs a rule in auth.RULES"
    assert {(method, path) for method, path in MAY if method != "head"} == without_head, "say here who may use it"


def test_rules_mean_what_routers_mean() -> None:
    pattern = authentication._pattern("/v1/a.b/{stream}/e/{event:text}/label")
    for path, groups in {
        "/v1/a.b/s/e/1/label": {"stream": "s", "event": "1"},
        "/v1/a.b/s/e/x/y/label": {"stream": "s", "event": "x/y"},
        "/v1/a.b/s/e/x\ny/label": {"stream": "s", "event": "x\ny"},
        "/v1/a.b/s/t/e/1/label": None,
        "/v1/aXb/s/e/1/label": None,
        "/v1/a.b/s/e/1/label/": None,
        "/v1/a.b//e/1/label": None,
    }.items():
        found = pattern.fullmatch(path)
        assert (found and found.groupdict()) == groups, path


@pytest.mark.parametrize("kind", KINDS)
async def test_exactly_what_is_allowed(app: FastAPI, tokens: dict[str, str], kind: str) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=HERE, headers=bearer(tokens[kind])) as http:
        for method, path in sorted(addresses(app)):
            who = MAY.get((method, path)) or MAY[("get", path)]
            address = re.sub(r"\{\w+\}", "1", path.replace("{stream}", STREAM).replace("{name}", "app.js"))
            if method == WS:
                talk = await shake_hands(app, address, bearer(tokens[kind]))
                status, answer = talk.status, talk.body
                let_through = 101
            else:
                response = await http.request(method, address)
                status, answer = response.status_code, response.content
                not_ready = address.startswith(("/v1/", "/v2/models/")) or address in ("/readyz", "/v2/health/ready")
                let_through = 503 if not_ready else 200
            expected = let_through if kind in who else 403 if kind in READ | {"stranger"} else 401
            assert status == expected, f"{kind}: {method} {path}"
            if status in (401, 403) and method != "head":
                kinds = {401: "unauthorized", 403: "forbidden"}
                assert json.loads(answer)["type"] == f"urn:nobacktrack:problem:{kinds[status]}"
                assert not tokens[kind] or tokens[kind].encode() not in answer


async def test_a_refusal_says_how_to_come_in(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        refused = await http.get("/v1/streams")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="nobacktrack"'
    assert refused.headers["content-type"] == "application/problem+json"
    count = app.state.metrics.registry.get_sample_value("nobacktrack_refused_total", {"type": "unauthorized"})
    assert count


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/static/", 404),
        ("GET", "/static/a/b", 404),
        ("GET", "/v1/streams/plant-1/nothing", 404),
        ("GET", "/v1/streams/plant-1/", 404),
        ("GET", "/v1/streams/plant-1%2Fforecast", 503),  # decoded, it is an address that the key may use
        ("GET", "/v1/streams/other-1%2F..%2Fplant-1", 404),
        ("GET", "/v1/streams/plant-1%0A", 503),
        ("GET", "/v1/streams/other%2D1", 403),
        ("GET", "/livez%0A", 404),
        ("GET", "//v1/streams/other-1", 404),
        ("POST", "/v1/streams", 405),
        ("PATCH", "/v1/streams/plant-1", 405),
        ("OPTIONS", "/v1/streams/plant-1", 405),
    ],
)
async def test_other_addresses(app: FastAPI, tokens: dict[str, str], method: str, path: str, status: int) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        assert (await http.request(method, HERE + path)).status_code == 401
        answer = await http.request(method, HERE + path, headers=bearer(tokens["owner"]))
        assert answer.status_code == status


@pytest.mark.parametrize("path", ["/livez", "/docs", "/openapi.json", "/v2", "/v2/health/ready"])
async def test_a_method_that_an_open_address_has_not_needs_no_key(app: FastAPI, path: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as http:
        for method in ("POST", "TRACE", "OPTIONS"):
            assert (await http.request(method, path)).status_code == 405


async def test_ways_to_send_a_key(app: FastAPI, tokens: dict[str, str]) -> None:
    token = tokens["admin"]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
        for value in (f"Bearer {token}", f"bearer  {token} ", f"BEARER {token}"):
            assert (await http.get("/metrics", headers={"authorization": value})).status_code == 200, value
        for value in (token, f"Basic {token}", "Bearer", "Bearer ", f"Bearer {token} {token}", f"Bearer {token}é"):
            answer = await http.get("/metrics", headers=[(b"authorization", value.encode("latin-1"))])
            assert answer.status_code == 401, value
        for query in (f"key={token}", f"access_token={token}"):
            assert (await http.get(f"/metrics?{query}")).status_code == 401, "never in the address"
        assert (await http.get("/metrics", headers={"sec-websocket-protocol": f"nobacktrack.key.{token}"})).is_error


async def test_metrics_can_be_opened(tokens: dict[str, str]) -> None:
    app = create_app(Settings(keys_file=Path(tokens["path"]), metrics_open=True), MemoryStore())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as http:
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/v1/streams")).status_code == 401


async def test_the_document_says_where_keys_are_needed(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    assert app.openapi()["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    told = {(method, path): "security" in one for path, of in paths.items() for method, one in of.items()}
    assert told == {where: MAY[where] != ALL for where in told}


class TestWebSocketKeys:
    """The key of a page that opens a WebSocket."""

    path = f"/v1/streams/{STREAM}/ws"

    async def talk(self, app: FastAPI, *offered: str) -> WebSocketTalk:
        return await shake_hands(app, self.path, {}, offered)

    async def test_a_subprotocol_brings_the_key_and_is_not_sent_back(
        self, app: FastAPI, tokens: dict[str, str]
    ) -> None:
        key = f"nobacktrack.key.{tokens['write']}"
        for offered in (("nobacktrack", key), (key, "nobacktrack")):
            talk = await self.talk(app, *offered)
            assert (talk.status, talk.subprotocol) == (101, "nobacktrack")
        alone = await self.talk(app, key)
        assert (alone.status, alone.subprotocol) == (101, None)

    async def test_others_are_refused_before_the_handshake(self, app: FastAPI, tokens: dict[str, str]) -> None:
        assert (await self.talk(app, "nobacktrack", f"nobacktrack.key.{tokens['read']}")).status == 403
        for offered in ("nobacktrack", "nobacktrack.key.", f"nobacktrack.key.{tokens['revoked']}", tokens["write"]):
            assert (await self.talk(app, offered)).status == 401

    async def test_a_server_that_cannot_say_why_refuses_all_the_same(self, app: FastAPI) -> None:
        talk = await shake_hands(app, self.path, {}, denial=False)
        assert talk.sent == [{"type": "websocket.close", "code": 1008}]


class TestLearning:
    """With kernels: what keys are for."""

    @pytest.fixture
    async def http(self, tokens: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
        model.warm_up(("float32",))
        app = create_app(Settings(keys_file=Path(tokens["path"])), MemoryStore())
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=HERE) as http:
            await app.state.kernels.ready.wait()
            for name in ("plant-1", "plant-2", "other-1"):
                made = await http.put(
                    f"/v1/streams/{name}", json={"targets": ["y"], "units": 1}, headers=bearer(tokens["admin"])
                )
                assert made.status_code == 201
            yield http

    async def test_the_list_shows_what_the_key_may_see(self, http: httpx.AsyncClient, tokens: dict[str, str]) -> None:
        seen = {
            "read": ["plant-1", "plant-2"],
            "write": ["plant-1"],
            "stranger": ["other-1"],
            "admin": ["other-1", "plant-1", "plant-2"],
        }
        for kind, names in seen.items():
            plain = await http.get("/v1/streams", headers=bearer(tokens[kind]))
            detailed = await http.get("/v1/streams?detail=true", headers=bearer(tokens[kind]))
            assert plain.json() == {"streams": names}
            assert detailed.json()["streams"] == [head["name"] for head in detailed.json()["heads"]] == names

    async def test_a_key_that_may_look_cannot_teach_through_infer(
        self, http: httpx.AsyncClient, tokens: dict[str, str]
    ) -> None:
        y = {"name": "y", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}
        for kind, body, status in (
            ("read", {"inputs": []}, 200),
            ("read", {"inputs": [y], "parameters": {"learn": True}}, 403),
            ("write", {"inputs": [y], "parameters": {"learn": True}}, 200),
        ):
            answer = await http.post("/v2/models/plant-1/infer", json=body, headers=bearer(tokens[kind]))
            assert answer.status_code == status, answer.text
        seen = await http.get("/v1/streams/plant-1", headers=bearer(tokens["read"]))
        assert seen.json()["version"] == 1

    async def test_a_clone_stays_within_the_scope(self, http: httpx.AsyncClient, tokens: dict[str, str]) -> None:
        for name, status in (("other-2", 403), ("plant-3", 201)):
            answer = await http.post("/v1/streams/plant-1/clone", json={"name": name}, headers=bearer(tokens["owner"]))
            assert answer.status_code == status, answer.text
        listed = await http.get("/v1/streams", headers=bearer(tokens["admin"]))
        assert listed.json()["streams"] == ["other-1", "plant-1", "plant-2", "plant-3"]

    async def test_events_are_learnt_with_the_right_key_only(
        self, http: httpx.AsyncClient, tokens: dict[str, str]
    ) -> None:
        for kind, status in (("read", 403), ("stranger", 403), ("none", 401), ("write", 200)):
            headers = bearer(tokens[kind])
            answer = await http.post("/v1/streams/plant-1/events", json={"y": {"y": 1}}, headers=headers)
            assert answer.status_code == status
            assert answer.json().get("version") == (1 if kind == "write" else None)
        # A stream that is not there and one that may not be seen are told apart by nobody who may not see.
        for name in ("other-1", "other-9"):
            assert (await http.get(f"/v1/streams/{name}", headers=bearer(tokens["read"]))).status_code == 403
