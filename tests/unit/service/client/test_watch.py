"""`watch` of both clients: server-sent events, cut anywhere, and resumed after the last one."""

import json
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nobacktrack.service.client.sync import ApiError, Unreachable
from nobacktrack.service.client.watch import IDLE_SECONDS, ServerEvent, ServerEvents
from tests.unit.service.client.faces import Face, Pieces, faces, outcome, refusal


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Face:
    return faces(monkeypatch, request.param)


class Live:
    """A stream of `newest` outcomes, which breaks off after `at_once` of them, or ends where `ending` is "close"."""

    def __init__(self, newest: int, at_once: int, ending: str = "break") -> None:
        self._newest = newest
        self._at_once = at_once
        self._ending = ending
        self.asked: list[str | None] = []
        """Last-Event-ID of each request."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("GET", "/v1/streams/s/live")
        assert request.headers["accept"] == "text/event-stream"
        last = request.headers.get("last-event-id")
        self.asked.append(last)
        first = int(last or 0) + 1
        if first > self._newest:
            return httpx.Response(204)
        return httpx.Response(200, stream=Pieces(self._body(first)), headers={"content-type": "text/event-stream"})

    def _body(self, first: int) -> Iterator[bytes]:
        yield b": hello\n\n"
        for version in range(first, min(first + self._at_once, self._newest + 1)):
            yield f"id: {version}\ndata: {json.dumps(outcome(version))}\n\n".encode()
        if self._ending == "break":
            yield b"id: 999\ndata: {"
            raise httpx.ReadError("connection reset")


@pytest.mark.parametrize("ending", ["break", "close"])
def test_it_resumes_after_the_last_event_until_the_service_ends_it(face: Face, ending: str) -> None:
    live = Live(newest=10, at_once=3, ending=ending)
    assert [one.version for one in face(live, "watch", "s")] == list(range(1, 11))
    assert live.asked == [None, "3", "6", "9", "10"]
    assert len(face.clock.pauses) == 4


def test_it_can_begin_after_a_version(face: Face) -> None:
    live = Live(newest=10, at_once=100)
    assert [one.version for one in face(live, "watch", "s", after=7, most=2)] == [8, 9]
    assert live.asked == ["7"]
    assert [one.version for one in face(Live(newest=2, at_once=9), "watch", "s", after=0)] == [1, 2]


def test_without_retries_it_ends_with_the_connection(face: Face) -> None:
    assert len(face(Live(10, 3, ending="close"), "watch", "s", retries=0)) == 3
    with pytest.raises(Unreachable, match="connection reset"):
        face(Live(10, 3), "watch", "s", retries=0)


def test_a_service_that_is_away_is_waited_for_and_given_up(face: Face) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        if 1 < len(tried) <= 1 + away:
            return httpx.Response(503, json=refusal(503, retry_after=1))
        return live(request)

    live, away = Live(newest=10, at_once=4), 3
    tried: list[httpx.Request] = []
    assert len(face(service, "watch", "s")) == 10
    away = 100
    tried.clear()
    with pytest.raises(ApiError):
        face(service, "watch", "s")
    assert len(tried) == 1 + 5, "the connection that broke, and five retries"


def test_a_quiet_stream_is_asked_again_for_ever(face: Face) -> None:
    """Silence is no failure: more connections without an event than there are retries."""
    tried = 0

    def service(request: httpx.Request) -> httpx.Response:
        nonlocal tried
        tried += 1
        assert request.extensions["timeout"]["read"] == IDLE_SECONDS
        return httpx.Response(204) if tried == 30 else httpx.Response(200, stream=Pieces(_silent()))

    def _silent() -> Iterator[bytes]:
        yield b":\n\n"
        raise httpx.ReadTimeout("nothing for a minute")

    assert face(service, "watch", "s") == []
    assert tried == 30


@pytest.mark.parametrize("status", [404, 422])
def test_a_problem_instead_of_an_outcome(face: Face, status: int) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"event: problem\ndata: " + json.dumps(refusal(status)).encode() + b"\n\n")

    with pytest.raises(ApiError) as raised:
        face(service, "watch", "s")
    assert raised.value.status == status


def test_kinds_that_nobody_knows_are_passed_over(face: Face) -> None:
    def service(request: httpx.Request) -> httpx.Response:
        line = json.dumps(outcome(3))
        return httpx.Response(200, content=f"event: weather\ndata: rain\n\nid: 3\nevent: learn\ndata: {line}\n\n")

    assert [one.version for one in face(service, "watch", "s", retries=0)] == [3]
    with pytest.raises(Unreachable, match="is the URL right"):
        face(lambda _: httpx.Response(200, content=b"data: rain\n\n"), "watch", "s")


# The parser, by the examples of the standard (WHATWG HTML, 9.2.6)

EXAMPLES = [
    ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", None)]),
    (
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
        [("message", "first event", "1"), ("message", "second event", "")],
    ),
    ("data\n\ndata\ndata\n\ndata:", [("message", "", None), ("message", "\n", None)]),
    ("data:test\n\ndata: test\n\n", [("message", "test", None)] * 2),
    ("event: add\ndata: 1\n\nevent: gone\n\ndata: 2\n\n", [("add", "1", None), ("message", "2", None)]),
    ("\ufeffid: é\ndata: ü\u2028\n\n", [("message", "ü\u2028", "é")]),
    ("id: a\0b\ndata: x\nretry: 10\nother: y\n\n", [("message", "x", None)]),
]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_examples(text: str, expected: list[tuple[str, str, str | None]], end: str) -> None:
    body = text.replace("\n", end).encode()
    assert list(ServerEvents().read(body)) == [ServerEvent(*event) for event in expected]


@given(example=st.sampled_from(EXAMPLES), end=st.sampled_from(["\n", "\r\n", "\r"]), cuts=st.lists(st.integers(0, 90)))
def test_it_does_not_matter_where_the_network_cuts(
    example: tuple[str, list[tuple[str, str, str | None]]], end: str, cuts: list[int]
) -> None:
    body = (example[0].replace("\n", end) + ("x" if end == "\r" else "")).encode()
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    events = ServerEvents()
    found = [event for start, stop in pairwise(bounds) for event in events.read(body[start:stop])]
    assert found == [ServerEvent(*event) for event in example[1]]
