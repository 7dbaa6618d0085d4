"""Snapshots, going back, copies, diagnoses: over HTTP, on two replicas that share a store."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from nobacktrack import model
from nobacktrack.service.api.app import create_app
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG, oracle, value

pytestmark = pytest.mark.anyio


@pytest.fixture
async def replicas() -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two services over one store, with a stream `s` at version 30."""
    store = MemoryStore()
    apps = [create_app(Settings(max_snapshots=3, max_streams=4), store) for _ in range(2)]
    clients = [
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost/v1/streams") for app in apps
    ]
    for app in apps:
        app.state.kernels.start()
        await app.state.kernels.ready.wait()
    await clients[0].put("/s", json=CONFIG)
    await learn(clients[0], "s", 1, 30)
    yield clients
    for client in clients:
        await client.aclose()
    for app in apps:
        await app.state.streams.close()


async def learn(client: httpx.AsyncClient, stream: str, first: int, last: int) -> None:
    """Events number `first` to `last`."""
    for number in range(first, last + 1):
        answer = await client.post(f"/{stream}/events", json={"id": f"e{number}", "y": {"y": value(number)}})
        assert answer.status_code == 200, answer.text


async def status(client: httpx.AsyncClient, stream: str = "s") -> dict[str, Any]:
    answer = await client.get(f"/{stream}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and kind of an error."""
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_a_stream_goes_back_to_a_snapshot_on_every_replica(replicas: list[httpx.AsyncClient]) -> None:
    one, other = replicas
    taken = await one.post("/s/snapshots", json={"name": "good"})
    assert (taken.status_code, taken.json()["version"]) == (201, 30)
    await learn(other, "s", 31, 40)
    assert (await status(one))["digest"] == oracle(40)
    back = await other.post("/s/snapshots/good/restore")
    assert (back.status_code, back.json()["version"], back.json()["digest"]) == (200, 30, oracle(30))
    # The replica that had gone further goes back too, and the same ids are new again.
    assert (await status(one))["digest"] == oracle(30)
    await learn(one, "s", 31, 35)
    await learn(other, "s", 36, 40)
    assert [(await status(client))["digest"] for client in replicas] == [oracle(40)] * 2
    # As often as one likes.
    assert (await one.post("/s/snapshots/good/restore")).json()["digest"] == oracle(30)
    assert "rewinds_total 0.0" in (await one.get("http://localhost/metrics")).text


async def test_snapshots_are_listed_bounded_and_deleted(replicas: list[httpx.AsyncClient]) -> None:
    one, other = replicas
    assert (await one.post("/s/snapshots")).json()["name"] == "v30"
    await learn(one, "s", 31, 31)
    assert (await one.post("/s/snapshots", json={})).json()["name"] == "v31"
    assert problem(await one.post("/s/snapshots", json={"name": "v30"})) == (409, "taken")
    assert (await one.post("/s/snapshots", json={"name": "third"})).status_code == 201
    assert problem(await one.post("/s/snapshots", json={"name": "fourth"})) == (429, "too-many")
    listed = (await other.get("/s/snapshots")).json()["snapshots"]
    assert [(each["name"], each["version"]) for each in listed] == [("v30", 30), ("v31", 31), ("third", 31)]
    assert (await other.delete("/s/snapshots/v30")).status_code == 204
    assert problem(await other.delete("/s/snapshots/v30")) == (404, "unknown-snapshot")
    assert problem(await other.post("/s/snapshots/v30/restore")) == (404, "unknown-snapshot")
    for wrong in ({"name": "{}"}, {"name": 1}, {"other": "x"}):
        assert problem(await one.post("/s/snapshots", json=wrong)) == (422, "bad-event")
    assert problem(await one.post("/none/snapshots")) == (404, "unknown-stream")
    assert problem(await one.get("/none/snapshots")) == (404, "unknown-stream")


async def test_a_clone_is_the_same_learner_and_goes_its_own_way(replicas: list[httpx.AsyncClient]) -> None:
    one, other = replicas
    made = await one.post("/s/clone", json={"name": "t"})
    assert (made.status_code, made.json()["digest"]) == (201, oracle(30))
    await learn(other, "t", 31, 40)
    await learn(one, "s", 31, 32)
    assert (await status(one, "t"))["digest"] == oracle(40)
    assert (await status(other))["digest"] == oracle(32)


async def test_a_clone_with_other_settings(replicas: list[httpx.AsyncClient]) -> None:
    one, other = replicas
    kept = await one.post("/s/clone", json={"name": "faster", "config": {"learning_rate": 0.01}})
    learner = model.Learner(model.Config.from_dict(CONFIG))
    learner.observe_many([[value(number)] for number in range(1, 31)])
    changed = model.Learner.from_state(model.Config.from_dict(CONFIG | {"learning_rate": 0.01}), learner.state)
    assert kept.json()["digest"] == changed.digest()
    # Another size: a new learner, which has read the log.
    larger = await one.post("/s/clone", json={"name": "larger", "config": {"units": 5}})
    reread = model.Learner(model.Config.from_dict(CONFIG | {"units": 5}))
    reread.observe_many([[value(number)] for number in range(1, 31)])
    assert (larger.json()["version"], larger.json()["digest"]) == (30, reread.digest())
    assert (await status(other, "larger"))["digest"] == reread.digest()
    for wrong, expected in (
        ({"name": "s"}, (409, "taken")),
        ({"name": "x", "config": {"units": 0}}, (422, "bad-config")),
        ({"name": "x", "config": {"targets": ["z"]}}, (422, "bad-config")),
        ({"name": "x", "config": {"flux": 1}}, (422, "bad-config")),
        ({"name": "x", "config": {"units": 4096, "cell": "gru"}}, (422, "bad-config")),
        ({"name": "{}"}, (422, "bad-event")),
        ({}, (422, "bad-event")),
    ):
        assert problem(await one.post("/s/clone", json=wrong)) == expected, wrong
    assert (await one.post("/s/clone", json={"name": "last"})).status_code == 201
    assert problem(await one.post("/s/clone", json={"name": "beyond"})) == (429, "too-many")


async def test_the_gradient_is_judged_and_nothing_changes(replicas: list[httpx.AsyncClient]) -> None:
    one, _ = replicas
    await one.put("/noisy", json=CONFIG | {"estimator": "nobacktrack"})
    assert problem(await one.get("/noisy/diagnostics")) == (400, "bad-request")
    await learn(one, "noisy", 1, 20)
    before = await status(one, "noisy")
    found = (await one.get("/noisy/diagnostics?samples=30")).json()
    assert (found["samples"], found["version"], found["events"]) == (30, 20, 20)
    assert found["squared_error"] > 0.0
    assert -1.0 <= found["cosine"] <= 1.0
    assert (await status(one, "noisy"))["digest"] == before["digest"]
    biased = (await one.get("/s/diagnostics")).json()
    assert biased["bias_z"] is None
    for wrong in ("1", "401", "x"):
        assert (await one.get(f"/s/diagnostics?samples={wrong}")).status_code == 400


async def test_the_etag_is_the_digest(replicas: list[httpx.AsyncClient]) -> None:
    one, other = replicas
    first = await one.get("/s")
    assert first.headers["etag"] == f'"{oracle(30)}"'
    same = await other.get("/s", headers={"If-None-Match": f'"x", {first.headers["etag"]}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    await learn(one, "s", 31, 31)
    assert (await other.get("/s", headers={"If-None-Match": first.headers["etag"]})).status_code == 200


async def test_the_status_says_how_it_goes(replicas: list[httpx.AsyncClient]) -> None:
    one, _ = replicas
    found = (await status(one))["recent"]
    learner = model.Learner(model.Config.from_dict(CONFIG))
    said = learner.observe_many([[value(number)] for number in range(1, 31)])
    assert found["events"] == 28
    assert found["loss"] == pytest.approx(said.loss[2:].mean(), rel=1e-12)
    assert found["baseline_loss"] == pytest.approx(said.baseline_loss[2:].mean(), rel=1e-12)
    inside = sum(said.lower[t, 0] <= value(t + 1) <= said.upper[t, 0] for t in range(3, 30))
    assert found["coverage"] == pytest.approx(inside / 27)
    assert found["drift"] is False


async def test_streams_are_listed_a_page_at_a_time(replicas: list[httpx.AsyncClient]) -> None:
    one, _ = replicas
    for name in ("a", "z"):
        await one.put(f"/{name}", json=CONFIG)
    first = (await one.get("http://localhost/v1/streams", params={"limit": 2})).json()
    assert first == {"streams": ["a", "s"], "next": "s"}
    last = (await one.get("http://localhost/v1/streams", params={"limit": 2, "after": "s", "detail": True})).json()
    assert (last["streams"], last["heads"][0]["name"], "next" in last) == (["z"], "z", False)
    found = (await one.get("http://localhost/v1/streams", params={"contains": "s", "limit": 1})).json()
    assert found == {"streams": ["s"]}
    assert (await one.get("http://localhost/v1/streams", params={"contains": "S"})).json() == {"streams": []}
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"after": "x" * 65}, {"contains": "x" * 65}):
        assert (await one.get("http://localhost/v1/streams", params=wrong)).status_code == 400
