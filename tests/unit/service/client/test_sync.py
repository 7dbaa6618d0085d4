"""The typed client against a service that is a function."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from nobacktrack.service.client.sync import CHUNK_BYTES, CHUNK_EVENTS, ApiError, Client, Unreachable
from nobacktrack.service.schemas import Event, Outcome, Problem
from tests.unit.service.client.faces import stream_status

Handler = Callable[[httpx.Request], httpx.Response]
REFUSAL = {"type": "urn:nobacktrack:problem:bad-event", "title": "No", "status": 422, "detail": "not this one"}


def client(handler: Handler) -> Client:
    """Asks once; what a client does that asks again is in test_client_retry.py."""
    return Client("http://service", retries=0, transport=httpx.MockTransport(handler))


def outcome(version: int) -> dict[str, object]:
    values = {"a": 1.0}
    return {
        "id": "\u2028",
        "version": version,
        "prediction": values,
        "lower": values,
        "upper": values,
        "loss": 0,
        "baseline_loss": None,
        "anomaly": 0.5,
        "next": None,
    }


class Service:
    """Answers NDJSON: an outcome for a number, a refusal for null."""

    def __init__(self, lose: int = 0) -> None:
        self.sizes: list[tuple[int, int]] = []
        """(events, bytes) of each request."""
        self._version = 0
        self._lose = lose

    def __call__(self, request: httpx.Request) -> httpx.Response:
        lines = request.content.splitlines()
        self.sizes.append((len(lines), len(request.content)))
        answers = [self._answer(number, json.loads(line)) for number, line in enumerate(lines, 1)]
        body = "".join(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers[: len(lines) - self._lose])
        return httpx.Response(200, content=_pieces(body.encode()))

    def _answer(self, number: int, event: dict[str, dict[str, float | None]]) -> dict[str, object]:
        if event["y"]["a"] is None:
            return REFUSAL | {"line": number}
        self._version += 1
        return outcome(self._version)


def _pieces(body: bytes) -> Iterator[bytes]:
    """As a network cuts it: anywhere."""
    for start in range(0, len(body), 999):
        yield body[start : start + 999]


def test_many_events_go_in_bounded_requests_and_are_taken_as_needed() -> None:
    service = Service()
    taken = 0

    def events() -> Iterator[Event]:
        nonlocal taken
        for n in range(10 * CHUNK_EVENTS + 1):
            taken = n + 1
            yield Event(y={"a": float(n)})

    with client(service) as one:
        answers = one.observe_many("s", events())
        first = next(answers)
        assert isinstance(first, Outcome)
        assert first.id == "\u2028"
        assert taken <= CHUNK_EVENTS + 1
        assert len(list(answers)) == 10 * CHUNK_EVENTS
    assert sum(count for count, _ in service.sizes) == 10 * CHUNK_EVENTS + 1
    assert max(count for count, _ in service.sizes) == CHUNK_EVENTS
    assert max(size for _, size in service.sizes) <= CHUNK_BYTES


def test_a_wide_event_goes_alone() -> None:
    service = Service()
    wide = Event(y={"a": 1.0, **{f"column {n}" + "." * 400: 0.123456789 for n in range(200)}})
    with client(service) as one:
        assert len(list(one.observe_many("s", [wide, wide]))) == 2
    assert [count for count, _ in service.sizes] == [1, 1]


def test_a_problem_counts_from_the_first_event_of_all() -> None:
    bad = 2 * CHUNK_EVENTS + 17
    events = (Event(y={"a": None if n == bad else 0.5}) for n in range(1, 3 * CHUNK_EVENTS))
    with client(Service()) as one:
        problems = [answer for answer in one.observe_many("s", events) if isinstance(answer, Problem)]
    assert [(problem.detail, problem.model_dump()["line"]) for problem in problems] == [("not this one", bad)]


def test_an_answer_that_is_cut_off_is_not_taken_for_the_end() -> None:
    with client(Service(lose=3)) as one, pytest.raises(Unreachable, match="answered 7 of 10 events"):
        list(one.observe_many("s", [Event(y={"a": 1.0})] * 10))


def test_no_events_are_no_request() -> None:
    service = Service()
    with client(service) as one:
        assert list(one.observe_many("s", [])) == []
    assert service.sizes == []


def test_a_refusal_carries_its_problem() -> None:
    refusal = REFUSAL | {"status": 503, "retry_after": 2, "field": "y"}
    with client(lambda _: httpx.Response(503, json=refusal)) as one:
        for ask in (lambda: one.observe("s", {"a": 1}), lambda: list(one.observe_many("s", [Event(y={"a": 1})]))):
            with pytest.raises(ApiError) as raised:
                ask()
            assert (raised.value.status, raised.value.retry_after) == (503, 2)
            assert raised.value.problem.detail == "not this one"
            assert str(raised.value) == "No: not this one"
        assert not one.ready()


def test_a_refusal_by_something_in_between() -> None:
    with client(lambda _: httpx.Response(502, text="<html>")) as one, pytest.raises(ApiError) as raised:
        one.streams()
    assert raised.value.status == 502
    assert str(raised.value) == "Bad Gateway: HTTP status 502"


def test_no_answer() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with client(refuse) as one:
        assert not one.ready()
        with pytest.raises(Unreachable, match="no answer from http://service: refused"):
            one.status("s")
        with pytest.raises(Unreachable):
            list(one.observe_many("s", [Event(y={"a": 1})]))


def test_an_answer_of_something_else() -> None:
    with client(lambda _: httpx.Response(200, text="hi")) as one, pytest.raises(Unreachable, match="is the URL right"):
        one.status("s")


def test_a_url_that_is_none() -> None:
    with pytest.raises(Unreachable, match="is not a URL"):
        Client("http://service:port")


@pytest.mark.parametrize(("key", "sent"), [("nbt_a_b", "Bearer nbt_a_b"), (None, None)])
def test_a_key_is_sent_with_every_request(key: str | None, sent: str | None) -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"streams": []})

    with Client("http://service", key=key, transport=httpx.MockTransport(answer)) as one:
        one.streams()
        one.ready()
    assert seen == [sent, sent]


def test_what_is_sent() -> None:
    sent: list[tuple[str, str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.raw_path.decode(), json.loads(request.content or "null")))
        match request.method, request.url.path.rpartition("/")[2]:
            case "PUT", _:
                return httpx.Response(201, json=stream_status(0, {}))
            case _, "forecast":
                return httpx.Response(200, json={"version": 1, "steps": []})
            case _, "events":
                return httpx.Response(200, json=outcome(1))
            case _:
                return httpx.Response(204)

    with client(answer) as one:
        one.create("s", {"units": 8}, targets=["a"])
        one.observe("s", {"a": 1, "b": None}, {"promo": 1.0}, id="x")
        one.forecast("s", 3)
        one.forecast("s", x=[{"promo": 0.0}])
        one.delete("a/../b")
    assert sent == [
        ("PUT", "/v1/streams/s", {"units": 8, "targets": ["a"]}),
        ("POST", "/v1/streams/s/events", {"id": "x", "y": {"a": 1.0, "b": None}, "x": {"promo": 1.0}}),
        ("GET", "/v1/streams/s/forecast?horizon=3", None),
        ("POST", "/v1/streams/s/forecast", {"x": [{"promo": 0.0}]}),
        ("DELETE", "/v1/streams/a%2F..%2Fb", None),
    ]
