"""`observe_many` of both clients through outages: every event answered once, in order, under one id."""

import json
from collections.abc import Iterator

import httpx
import pytest

from nobacktrack.service.client.sync import CHUNK_EVENTS, ApiError, Unreachable
from nobacktrack.service.schemas import Event, Outcome, Problem
from tests.unit.service.client.faces import Face, Pieces, faces, outcome, refusal


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Face:
    return faces(monkeypatch, request.param)


class Service:
    """Learns each id once. `plan` has a number for each request: how many events it learns before it is away.

    What it learnt and did not answer, `lost` of them, it answers when they come again. After the plan all goes well.
    """

    def __init__(self, *plan: int, lost: int = 0, ending: str = "refuse") -> None:
        self._plan = list(plan)
        self._lost = lost
        self._ending = ending
        self.learnt: dict[str, int] = {}
        self.values: list[float] = []
        self.requests: list[list[str]] = []
        """Ids of each request."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["content-type"] == "application/x-ndjson"
        events = [json.loads(line) for line in request.content.splitlines()]
        self.requests.append([event["id"] for event in events])
        able = self._plan.pop(0) if self._plan else len(events)
        answers: list[object] = [self._learn(event) for event in events[:able]]
        if able >= len(events):
            return httpx.Response(200, content=_lines(answers))
        if self._lost:
            answers = answers[: -self._lost]
        if self._ending == "break":
            return httpx.Response(200, stream=Pieces(_broken(answers)))
        if self._ending == "refuse":
            answers += [refusal(503, retry_after=1, line=n) for n in range(len(answers) + 1, len(events) + 1)]
        elif self._ending == "cut":
            answers.append(refusal(408))
        return httpx.Response(200, content=_lines(answers))

    def _learn(self, event: dict[str, object]) -> dict[str, object]:
        name = str(event["id"])
        if name not in self.learnt:
            self.learnt[name] = len(self.learnt) + 1
            self.values.append(event["y"]["a"])  # type: ignore[index]
        return outcome(self.learnt[name], id=name)


def _lines(answers: list[object]) -> bytes:
    return b"".join(json.dumps(answer).encode() + b"\n" for answer in answers)


def _broken(answers: list[object]) -> Iterator[bytes]:
    """The last line is cut in half, then the connection goes."""
    body = _lines(answers)
    yield body + b'{"id": "ha'
    raise httpx.ReadError("connection reset")


def events(count: int) -> list[Event]:
    return [Event(y={"a": float(n)}) for n in range(count)]


@pytest.mark.parametrize("ending", ["refuse", "break", "silence", "cut"])
@pytest.mark.parametrize("lost", [0, 2])
def test_it_goes_on_with_the_first_event_that_has_no_answer(face: Face, ending: str, lost: int) -> None:
    service = Service(7, 4, 0, ending=ending, lost=lost)
    answers = face(service, "observe_many", "s", events(20))
    assert [answer.version for answer in answers] == list(range(1, 21))
    assert service.values == [float(n) for n in range(20)]
    first, *later = service.requests
    assert len(set(first)) == 20
    assert [answer.id for answer in answers] == first
    answered = 7 - lost
    assert later[0] == first[answered:]
    assert all(request == first[-len(request) :] for request in later)
    assert len(face.clock.pauses) == 3


def test_ids_that_there_are_stay(face: Face) -> None:
    service = Service(2)
    given = [Event(id=f"e{n}", y={"a": float(n)}) for n in range(4)]
    face(service, "observe_many", "s", given)
    assert service.requests == [["e0", "e1", "e2", "e3"], ["e2", "e3"]]


@pytest.mark.parametrize("ending", ["refuse", "break", "silence", "cut"])
def test_it_gives_up_when_nothing_more_is_answered(face: Face, ending: str) -> None:
    service = Service(3, *[0] * 100, ending=ending)
    with pytest.raises((ApiError, Unreachable)) as raised:
        face(service, "observe_many", "s", events(5), retries=4)
    # One that answers three, then one and four more that answer nothing.
    assert len(service.requests) == 5
    if ending == "silence":
        assert "answered 3 of 5 events" in str(raised.value)


def test_each_answer_starts_the_patience_anew(face: Face) -> None:
    """A long run through many outages, none of them long, takes longer than the deadline of one."""
    service = Service(*[3] * 40)
    answers = face(service, "observe_many", "s", events(120), deadline=5.0)
    assert len(answers) == 120
    assert face.clock.now > 3 * 5.0


def test_without_retries_each_event_has_its_problem(face: Face) -> None:
    given = [Event(id=f"e{n}", y={"a": float(n)}) for n in range(4)]
    answers = face(Service(2), "observe_many", "s", given, retries=0)
    assert [type(answer) for answer in answers] == [Outcome, Outcome, Problem, Problem]
    assert [answer.model_dump()["line"] for answer in answers[2:]] == [3, 4]


def test_a_bad_event_is_answered_and_not_sent_again(face: Face) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        lines = request.content.splitlines()
        requests.append(len(lines))
        bad = len(requests) == 1
        answers: list[object] = [refusal(422, line=1) if bad else outcome(1)]
        answers += [refusal(503, line=2)] * (len(lines) - 1) if bad else [outcome(2)] * (len(lines) - 1)
        return httpx.Response(200, content=_lines(answers))

    requests: list[int] = []
    answers = face(service, "observe_many", "s", events(3))
    assert requests == [3, 2]
    assert [answer.status if isinstance(answer, Problem) else answer.version for answer in answers] == [422, 1, 2]


def test_numbers_of_lines_count_all_events(face: Face) -> None:
    """Also after a request that was sent again in part."""
    tried = 0

    def service(request: httpx.Request) -> httpx.Response:
        nonlocal tried
        tried += 1
        lines = request.content.splitlines()
        answers: list[object] = [outcome(1)] * len(lines)
        if tried == 1:
            answers[10:] = [refusal(503, line=n) for n in range(11, len(lines) + 1)]
        elif tried == 2:
            answers[4] = refusal(422, line=5)
        return httpx.Response(200, content=_lines(answers))

    answers = face(service, "observe_many", "s", events(CHUNK_EVENTS + 5))
    problems = [answer.model_dump()["line"] for answer in answers if isinstance(answer, Problem)]
    assert (problems, len(answers), tried) == ([15], CHUNK_EVENTS + 5, 3)


def test_a_refusal_of_the_whole_request_that_stays_is_raised(face: Face) -> None:
    service = Service()

    def refuse(request: httpx.Request) -> httpx.Response:
        service.requests.append([])
        return httpx.Response(404, json=refusal(404))

    with pytest.raises(ApiError):
        face(refuse, "observe_many", "s", events(3))
    assert len(service.requests) == 1


def test_more_answers_than_events(face: Face) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=_lines([outcome(n) for n in range(1, 5)]))

    with pytest.raises(Unreachable, match="more answers than"):
        face(service, "observe_many", "s", events(3))


def test_a_caller_who_has_enough_sends_no_more(face: Face) -> None:
    service = Service()
    assert len(face(service, "observe_many", "s", events(3 * CHUNK_EVENTS), most=5)) == 5
    assert len(service.requests) == 1
