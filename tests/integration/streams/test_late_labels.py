"""Events whose labels come later: learnt in order, once, as if they had come complete."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from nobacktrack import model
from nobacktrack.service.api.app import create_app
from nobacktrack.service.errors import IdReused, LimitReached, UnknownEvent
from nobacktrack.service.schemas import Event, Label, Outcome
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import Store
from nobacktrack.service.store.memory import MemoryStore
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams.queue import Answer
from tests.integration.replicas import CONFIG, Process, event, oracle, value

pytestmark = pytest.mark.anyio


def bare(number: int) -> Event:
    """Event number `number` without its label."""
    return Event(id=f"e{number}")


def label(number: int, y: float | None = None) -> Label:
    """Its label."""
    return Label(label=f"e{number}", y={"y": value(number) if y is None else y})


async def ask(process: Process, *messages: Event | Label) -> list[Any]:
    """Outcomes and errors."""

    def read(answer: Answer) -> Any:
        return Outcome.model_validate_json(answer) if isinstance(answer, bytes) else answer

    return [read(answer) for answer in await process.streams.observe("s", messages)]


@pytest.fixture
async def process(store: Store) -> AsyncIterator[Process]:
    """A replica with a stream `s`, over each store in turn."""
    process = Process(store)
    await process.streams.create("s", CONFIG)
    yield process
    await process.streams.close()


async def test_predict_then_label_is_the_same_as_complete_events(process: Process) -> None:
    reference = Process(MemoryStore())
    await reference.streams.create("s", CONFIG)
    complete = [Outcome.model_validate_json(one) for one in await reference.learn(1, 60)]
    for number in range(1, 61):
        [said] = await ask(process, bare(number))
        assert (said.pending, said.version, said.loss) == (True, number - 1, None)
        [learnt] = await ask(process, label(number))
        assert learnt == complete[number - 1]
        # What was predicted without the label is what the outcome says was predicted.
        assert said.prediction == learnt.prediction
    status = await process.streams.status("s")
    assert (status.version, status.digest, status.pending) == (60, oracle(60), 0)


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 1, 4, 3), (3, 4, 1, 2)])
async def test_labels_in_any_order_are_learnt_in_the_order_of_the_events(
    process: Process, order: tuple[int, ...]
) -> None:
    said = await ask(process, *(bare(number) for number in range(1, 5)))
    assert [one.pending for one in said] == [True] * 4
    have: set[int] = set()
    for number in order:
        have.add(number)
        front = next(n for n in range(1, 6) if n not in have) - 1
        [answer] = await ask(process, label(number))
        assert answer.pending == (number > front)
        assert (await process.streams.status("s")).version == front
    assert (await process.streams.status("s")).digest == oracle(4)
    # Whatever was pending can be asked for again.
    again = await ask(process, *(label(number) for number in range(1, 5)))
    assert [one.version for one in again] == [1, 2, 3, 4]


async def test_complete_events_wait_behind_a_deferred_one(process: Process) -> None:
    await ask(process, bare(1))
    waiting = await ask(process, event(2), event(3))
    assert [one.pending for one in waiting] == [True, True]
    nameless = await ask(process, Event(y={"y": value(4)}))
    assert nameless[0].pending
    assert nameless[0].id
    assert (await process.streams.status("s")).pending == 4
    [first] = await ask(process, label(1))
    assert first.version == 1
    status = await process.streams.status("s")
    assert (status.version, status.pending, status.digest) == (4, 0, oracle(4))
    # Straight through again.
    assert [one.version for one in await ask(process, event(5))] == [5]


async def test_predictions_run_ahead_through_what_waits(process: Process) -> None:
    """Each is what a learner says that has seen the labels that are there, and nothing in the place of the others."""
    await process.learn(1, 20)
    [one, two] = await ask(process, bare(21), event(22))
    [three] = await ask(process, bare(23))
    learner = model.Learner(model.Config.from_dict(CONFIG))
    learner.observe_many([[value(number)] for number in range(1, 21)])
    for said, y in ((one, float("nan")), (two, value(22)), (three, float("nan"))):
        assert said.prediction == {"y": learner.observe([y]).prediction[0]}
    assert (await process.streams.status("s")).digest == oracle(20)


async def test_zero_and_negative_numbers_are_labels(process: Process) -> None:
    learner = model.Learner(model.Config.from_dict(CONFIG))
    for number, y in enumerate((0.0, -1.5, -0.0, 0.0), start=1):
        await ask(process, bare(number))
        [learnt] = await ask(process, Label(label=f"e{number}", y={"y": y}))
        assert learnt.version == number
        learner.observe([y])
    await ask(process, bare(5))
    await ask(process, Label(label="e5", y={"y": None}))
    learner.observe([float("nan")])
    assert (await process.streams.status("s")).digest == learner.digest()


async def test_the_same_again_is_answered_the_same_and_anything_else_refused(process: Process) -> None:
    first = await process.streams.observe("s", [bare(1)])
    assert await process.streams.observe("s", [bare(1)]) == first
    assert isinstance((await ask(process, Event(id="e1", y={"y": 3.0})))[0], IdReused)
    await ask(process, bare(2))
    held = await process.streams.observe("s", [label(2)])
    assert await process.streams.observe("s", [label(2)]) == held
    assert isinstance((await ask(process, label(2, 99.0)))[0], IdReused)
    learnt = await process.streams.observe("s", [label(1)])
    assert await process.streams.observe("s", [label(1)]) == learnt
    # The event, whole or as it was first sent, is answered by its outcome too.
    assert await process.streams.observe("s", [bare(1)]) == learnt
    assert await process.streams.observe("s", [event(1)]) == learnt
    assert isinstance((await ask(process, label(1, 99.0)))[0], IdReused)
    assert isinstance((await ask(process, label(77)))[0], UnknownEvent)
    status = await process.streams.status("s")
    assert (status.version, status.digest) == (2, oracle(2))


async def test_what_waits_is_bounded_in_number(store: Store) -> None:
    process = Process(store, max_pending=3)
    await process.streams.create("s", CONFIG)
    answers = await ask(process, *(bare(number) for number in range(1, 4)))
    assert all(isinstance(one, Outcome) for one in answers)
    assert isinstance((await ask(process, bare(4)))[0], LimitReached)
    await ask(process, label(1))
    assert isinstance((await ask(process, bare(4)))[0], Outcome)


async def test_what_waits_is_bounded_in_time(store: Store) -> None:
    process = Process(store)
    await process.streams.create("s", CONFIG)
    await ask(process, bare(1), bare(2))
    await ask(process, label(2))
    late = Process(store, pending_ttl=1e-9)
    [said] = await ask(late, bare(3))
    # Without its label the first is a missing value; the second had its own, and nothing holds it up any more.
    assert (await late.streams.status("s")).version == 2
    assert late.metrics.registry.get_sample_value("nobacktrack_expired_events_total", {"stream": "s"}) == 1
    assert said.pending
    learner = model.Learner(model.Config.from_dict(CONFIG))
    learner.observe_many([[float("nan")], [value(2)]])
    assert (await late.streams.status("s")).digest == learner.digest()
    assert isinstance((await ask(late, label(1)))[0], IdReused)


async def test_replicas_share_what_waits(store_of: Callable[[], Store]) -> None:
    store = store_of()
    one, other = Process(store), Process(store)
    await one.streams.create("s", CONFIG)
    await one.learn(1, 3)
    await other.learn(4, 5)
    await ask(one, bare(6))
    # The other has not heard of it, and must not learn past it.
    [held] = await ask(other, event(7))
    assert held.pending
    [done] = await ask(other, label(6))
    assert done.version == 6
    assert [one.version for one in await ask(one, label(6), event(7), event(8))] == [6, 7, 8]
    assert (await one.streams.status("s")).digest == oracle(8) == (await other.streams.status("s")).digest


async def test_replicas_race_with_labels(store_of: Callable[[], Store]) -> None:
    store = store_of()
    replicas = [Process(store) for _ in range(3)]
    await replicas[0].streams.create("s", CONFIG)
    await ask(replicas[0], *(bare(number) for number in range(1, 31)))
    sent = [(replicas[(number + turn) % 3], number) for number in range(1, 31) for turn in range(2)]
    await asyncio.gather(*(ask(process, label(number)) for process, number in sent))
    for process in replicas:
        status = await process.streams.status("s")
        assert (status.version, status.digest, status.pending) == (30, oracle(30), 0)


async def test_deleting_a_stream_deletes_what_waits(process: Process) -> None:
    await ask(process, bare(1))
    await process.streams.delete("s")
    await process.streams.create("s", CONFIG)
    assert (await process.streams.status("s")).pending == 0
    assert [one.version for one in await ask(process, event(1))] == [1]


@pytest.fixture(params=["memory", "redis"])
def store_of(request: pytest.FixtureRequest, redis_store: RedisStore) -> Callable[[], Store]:
    """A new store in memory, or the one on the real server."""
    return MemoryStore if request.param == "memory" else lambda: redis_store


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The service over HTTP with a stream `s`."""
    app: FastAPI = create_app(Settings(), MemoryStore())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        await app.state.kernels.ready.wait()
        await http.put("/v1/streams/s", json=CONFIG)
        yield http


async def test_over_http(http: httpx.AsyncClient) -> None:
    said = await http.post("/v1/streams/s/events", json={"id": "a/1"})
    assert (said.status_code, said.json()["pending"]) == (200, True)
    where = "/v1/streams/s/events/a%2F1/label"
    for wrong, status, kind in (
        ({}, 422, "bad-event"),
        ({"y": {}}, 422, "bad-event"),
        ({"y": {"y": "1"}}, 422, "bad-event"),
        ({"y": {"y": 1}, "id": "a"}, 422, "bad-event"),
        ({"y": {"z": 1}}, 422, "bad-event"),
    ):
        refused = await http.put(where, json=wrong)
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (status, kind), wrong
    learnt = await http.put(where, json={"y": {"y": 0}})
    assert (learnt.status_code, learnt.json()["version"], learnt.json()["id"]) == (200, 1, "a/1")
    assert "pending" not in learnt.json()
    unknown = await http.put("/v1/streams/s/events/b/label", json={"y": {"y": 0}})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:nobacktrack:problem:unknown-event")
    lines = b'{"id": "b"}\n{"label": "b", "y": {"y": 2}}\n{"label": "c", "y": {"y": 2}}\n{"label": "b"}\n'
    bulk = await http.post("/v1/streams/s/events", content=lines, headers={"content-type": "application/x-ndjson"})
    first, second, third, fourth = (line for line in bulk.text.splitlines())
    assert '"pending":true' in first
    assert Outcome.model_validate_json(second).version == 2
    assert "unknown-event" in third
    assert "bad-event" in fourth
