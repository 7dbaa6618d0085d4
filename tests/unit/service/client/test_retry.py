"""Both clients: what they ask again, how long they wait, and when they give up."""

import inspect
import json
from itertools import pairwise

import httpx
import pytest

from nobacktrack.service.client.retry import FIRST_PAUSE, LONGEST_PAUSE, Policy
from nobacktrack.service.client.sync import ApiError, AsyncClient, Client, Unreachable
from tests.unit.service.client.faces import Face, faces, outcome, refusal

FAILURES = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("half an answer"),
    httpx.Response(503, json=refusal(503)),
    httpx.Response(429, json=refusal(429)),
    httpx.Response(502, text="<html>"),
]


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Face:
    return faces(monkeypatch, request.param)


class Service:
    """Fails as it is told, then answers."""

    def __init__(self, *failures: httpx.Response | httpx.TransportError, answer: httpx.Response | None = None) -> None:
        self._failures = list(failures)
        self._answer = answer or httpx.Response(200, json=outcome(1))
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if not self._failures:
            return self._answer
        failure = self._failures.pop(0)
        if isinstance(failure, httpx.Response):
            return failure
        raise failure

    def bodies(self) -> list[object]:
        return [json.loads(request.content) for request in self.requests]


def copies(failure: httpx.Response | httpx.TransportError, count: int) -> list[httpx.Response | httpx.TransportError]:
    """A response can be read once."""
    if isinstance(failure, httpx.TransportError):
        return [failure] * count
    return [httpx.Response(failure.status_code, content=failure.content) for _ in range(count)]


@pytest.mark.parametrize("failure", FAILURES)
def test_what_passes_is_asked_again_as_it_was(face: Face, failure: httpx.Response | httpx.TransportError) -> None:
    service = Service(*copies(failure, 3))
    assert face(service, "observe", "s", {"a": 1.0}, id="x").version == 1
    assert service.bodies() == [{"id": "x", "y": {"a": 1.0}}] * 4
    # The clock's chance is 1: the longest pauses that there can be.
    assert face.clock.pauses == pytest.approx([FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE])


@pytest.mark.parametrize("failure", FAILURES)
def test_at_the_end_the_last_failure_is_raised(face: Face, failure: httpx.Response | httpx.TransportError) -> None:
    service = Service(*copies(failure, 100))
    with pytest.raises(ApiError if isinstance(failure, httpx.Response) else Unreachable):
        face(service, "status", "s", retries=3)
    assert len(service.requests) == 4
    once = Service(*copies(failure, 100))
    with pytest.raises(ApiError if isinstance(failure, httpx.Response) else Unreachable):
        face(once, "status", "s", retries=0)
    assert len(once.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 507])
def test_a_refusal_that_stays_is_not_asked_again(face: Face, status: int) -> None:
    service = Service(httpx.Response(status, json=refusal(status)))
    with pytest.raises(ApiError) as raised:
        face(service, "observe", "s", {"a": 1.0}, id="x")
    assert (raised.value.status, len(service.requests), face.clock.pauses) == (status, 1, [])


def test_an_event_gets_an_id_when_it_may_be_repeated(face: Face) -> None:
    service = Service(httpx.ReadTimeout("slow"))
    face(service, "observe", "s", {"a": 1.0})
    first, second = service.bodies()
    assert first == second
    assert isinstance(first, dict)
    assert len(first["id"]) >= 16
    other = Service()
    face(other, "observe", "s", {"a": 1.0})
    assert other.bodies() != [first]
    once = Service()
    face(once, "observe", "s", {"a": 1.0}, retries=0)
    assert once.bodies() == [{"y": {"a": 1.0}}]


def test_a_stream_is_deleted_once(face: Face) -> None:
    service = Service(httpx.ReadTimeout("slow"), answer=httpx.Response(204))
    with pytest.raises(Unreachable):
        face(service, "delete", "s")
    assert len(service.requests) == 1


@pytest.mark.parametrize("where", ["body", "header"])
def test_the_service_says_how_long_to_wait(face: Face, where: str) -> None:
    more = {"retry_after": 4} if where == "body" else {}
    headers = {"retry-after": "4"} if where == "header" else {}
    service = Service(httpx.Response(503, json=refusal(503, **more), headers=headers))
    face(service, "observe", "s", {"a": 1.0})
    assert face.clock.pauses == [pytest.approx(4 + FIRST_PAUSE)]


def test_a_wait_that_is_too_long_is_not_begun(face: Face) -> None:
    service = Service(httpx.Response(429, json=refusal(429, retry_after=60)))
    with pytest.raises(ApiError) as raised:
        face(service, "status", "s")
    assert (raised.value.retry_after, face.clock.pauses) == (60, [])


def test_no_attempt_begins_after_the_deadline(face: Face) -> None:
    service = Service(*[httpx.ConnectError("refused")] * 1000)
    with pytest.raises(Unreachable, match="no answer from http://service: refused"):
        face(service, "status", "s", retries=1000, deadline=30.0)
    assert 30.0 - LONGEST_PAUSE <= face.clock.now < 30.0
    assert max(face.clock.pauses) == LONGEST_PAUSE
    assert all(first <= second for first, second in pairwise(face.clock.pauses))


def test_later_attempts_do_not_outlive_the_deadline(face: Face) -> None:
    seen: list[float] = []

    def slow(request: httpx.Request) -> httpx.Response:
        limit = request.extensions["timeout"]["read"]
        seen.append(limit)
        face.clock.now += limit
        raise httpx.ReadTimeout("slow")

    with pytest.raises(Unreachable):
        face(slow, "status", "s", deadline=15.0)
    assert seen[0] == 10.0
    assert seen[1] == pytest.approx(15.0 - 10.0 - FIRST_PAUSE)
    assert face.clock.now == pytest.approx(15.0)


def test_an_answer_of_something_else_is_not_asked_for_again(face: Face) -> None:
    service = Service(answer=httpx.Response(200, text="hi"))
    with pytest.raises(Unreachable, match="is the URL right"):
        face(service, "status", "s")
    assert len(service.requests) == 1


def test_a_newer_service_may_say_more(face: Face) -> None:
    service = Service(answer=httpx.Response(200, json=outcome(7, mood="good")))
    assert face(service, "observe", "s", {"a": 1.0}).version == 7


def test_pauses_differ_by_chance() -> None:
    def pauses() -> list[float]:
        attempts = Policy("u", retries=5, clock=lambda: 0.0).attempts()
        found = []
        for _ in range(5):
            with attempts:
                raise Unreachable("x")
            found.append(attempts.pause)
        return found

    one, other = pauses(), pauses()
    assert one != other
    longest = [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(5)]
    assert all(most / 2 <= pause <= most for pause, most in zip(one, longest, strict=True))


def test_the_key_is_a_bearer_token_and_in_no_message(face: Face) -> None:
    service = Service(httpx.Response(401, json=refusal(401)))
    with pytest.raises(ApiError) as raised:
        face(service, "status", "s", key="s3cr3t")
    assert service.requests[0].headers["authorization"] == "Bearer s3cr3t"
    assert "s3cr3t" not in str(raised.value) + repr(raised.value.problem)
    bare = Service()
    face(bare, "observe", "s", {"a": 1.0})
    assert "authorization" not in bare.requests[0].headers


@pytest.mark.parametrize("key", ["", "s3cr3t\r\nX-Other: 1", "s3cr3t s3cr3t", "s3cr3té"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_cannot_be_a_key(kind: type[Client] | type[AsyncClient], key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as raised:
        kind("http://service", key=key)
    assert "s3cr3t" not in str(raised.value)


def test_predict_and_label(face: Face) -> None:
    pending = httpx.Response(200, json=outcome(4, id="e", pending=True, loss=None))
    service = Service(httpx.ReadTimeout("slow"), answer=pending)
    asked = face(service, "predict", "s", {"promo": 1.0}, id="e")
    assert (asked.id, asked.pending, asked.loss) == ("e", True, None)
    assert service.bodies() == [{"id": "e", "x": {"promo": 1.0}}] * 2
    named = Service(answer=httpx.Response(200, json=outcome(4, pending=True)))
    face(named, "predict", "s", retries=0)
    [body] = named.bodies()
    assert isinstance(body, dict)
    assert body.keys() == {"id"}, "without an id nobody could say later what it was"
    said = Service(httpx.ReadTimeout("slow"))
    known = face(said, "label", "s", "a/b", {"a": None})
    assert (known.version, known.pending) == (1, False)
    assert [request.url.raw_path for request in said.requests] == [b"/v1/streams/s/events/a%2Fb/label"] * 2
    assert [request.method for request in said.requests] == ["PUT"] * 2
    assert said.bodies() == [{"y": {"a": None}}] * 2


def test_lists_are_read_to_the_last_page(face: Face) -> None:
    asked: list[str] = []

    def service(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        number = len(asked)
        heads = [{"name": f"s{number}", "version": number, "targets": ["y"]}]
        more = {"next": f"s{number}"} if number < 3 else {}
        return httpx.Response(200, json={"streams": [f"s{number}"], "heads": heads, **more})

    assert face(service, "streams") == ["s1", "s2", "s3"]
    assert asked == ["", "after=s1", "after=s2"]
    asked.clear()
    assert [head.version for head in face(service, "heads")] == [1, 2, 3]
    assert asked == ["detail=true", "detail=true&after=s1", "detail=true&after=s2"]


def test_both_clients_have_the_same_methods() -> None:
    def signatures(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(kind).items()
            if inspect.isfunction(method) and not name.startswith("_")
        }

    assert signatures(Client) == signatures(AsyncClient)
