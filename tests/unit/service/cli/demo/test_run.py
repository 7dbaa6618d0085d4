"""What the demo sends, and what it does when the service does not answer."""

import json
import time
from collections.abc import Callable
from itertools import islice

import httpx
import pytest

from nobacktrack.service.cli.demo.history import History
from nobacktrack.service.cli.demo.run import PATIENCE_SECONDS, feed, mean_update_seconds
from nobacktrack.service.cli.demo.sources import UNITS, Machine
from nobacktrack.service.client.sync import ApiError, Client, Unreachable
from nobacktrack.service.errors import CommandError
from tests.unit.service.client.faces import stream_status


class Service:
    """A service of one stream that fails as often as it is told."""

    def __init__(self, targets: list[str] | None = None) -> None:
        self.targets = targets
        """Of the stream; None while there is none."""
        self.failures: list[httpx.Response | httpx.TransportError] = []
        self.events: list[dict[str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path:
            case _, "/metrics":
                name = "nobacktrack_update_seconds"
                return httpx.Response(200, text=f"{name}_sum 0.5\n{name}_count 4\n")
            case "PUT", "/v1/streams/machine":
                self.targets = json.loads(request.content)["targets"]
            case "POST", "/v1/streams/machine/events":
                return self._learn(json.loads(request.content))
        if self.targets is None:
            return problem(404)
        return httpx.Response(200, json=stream_status(40, {"targets": self.targets}))

    def _learn(self, event: dict[str, object]) -> httpx.Response:
        self.events.append(event)
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, httpx.TransportError):
                raise failure
            return failure
        values = dict.fromkeys(UNITS, 1.0)
        rest = dict.fromkeys(("loss", "baseline_loss", "anomaly", "next"))
        version = 40 + len({event["id"] for event in self.events})
        return httpx.Response(200, json={"version": version, "prediction": values, "lower": {}, "upper": {}, **rest})


def problem(status: int) -> httpx.Response:
    return httpx.Response(status, json={"type": "t", "title": "T", "status": status, "detail": "d"})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock, in seconds, that runs only while somebody sleeps."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def run(service: Service, events: int, check: Callable[[], None] = lambda: None) -> History:
    history = History(UNITS)
    with Client("http://service", retries=0, transport=httpx.MockTransport(service)) as client:
        fed = feed(client, history, Machine(), interval=1.0, check=check)
        assert len(list(islice(fed, events))) == events
    return history


def test_a_new_stream_has_the_machines_targets(clock: list[float]) -> None:
    service = Service()
    history = run(service, 3)
    assert service.targets == list(UNITS)
    assert [set(event) for event in service.events] == [{"id", "time", "y"}] * 3
    assert len({event["id"] for event in service.events}) == 3
    assert (history.events, history.version, clock[0]) == (3, 43, 3.0)
    assert history.update_seconds == 0.125


def test_an_event_without_an_answer_is_sent_again_as_it_was(clock: list[float]) -> None:
    service = Service(list(UNITS))
    service.failures = [httpx.ReadTimeout("slow"), httpx.ConnectError("refused"), problem(503)]
    history = run(service, 2)
    assert service.events[0] == service.events[1] == service.events[2] == service.events[3]
    assert (len(service.events), history.version) == (5, 42)


def test_a_service_that_never_comes_back_ends_the_demo(clock: list[float]) -> None:
    service = Service(list(UNITS))
    service.failures = [httpx.ConnectError("refused")] * 1000
    with pytest.raises(Unreachable):
        run(service, 1)
    assert PATIENCE_SECONDS < clock[0] < PATIENCE_SECONDS + 3


def test_a_service_that_ended_is_not_waited_for(clock: list[float]) -> None:
    def ended() -> None:
        raise CommandError("it said why")

    service = Service(list(UNITS))
    service.failures = [httpx.ConnectError("refused")] * 1000
    with pytest.raises(CommandError, match="it said why"):
        run(service, 1, ended)
    assert len(service.events) == 1


def test_a_refusal_is_not_repeated(clock: list[float]) -> None:
    service = Service(list(UNITS))
    service.failures = [problem(422)]
    with pytest.raises(ApiError):
        run(service, 1)
    assert len(service.events) == 1


def test_a_stream_of_something_else_is_left_alone(clock: list[float]) -> None:
    service = Service(["taxis"])
    with pytest.raises(CommandError, match="has other targets"):
        run(service, 1)
    assert service.events == []


@pytest.mark.parametrize("text", ["", "hello {", "nobacktrack_update_seconds_count 0\n"])
def test_a_latency_that_nobody_knows(text: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=text))
    with Client("http://service", transport=transport) as client:
        assert mean_update_seconds(client) is None
