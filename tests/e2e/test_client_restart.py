"""The client against a service that is killed and comes back: nothing lost, nothing twice, nothing shown twice."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from nobacktrack import model
from nobacktrack.service.client.sync import AsyncClient, Client
from nobacktrack.service.schemas import Event, Outcome
from tests.support.processes import RunningService

COUNT = 3000
KILLED_AT = (700, 1900)
"""Answers after which the service is killed: in the middle of a request."""
CONFIG = {"targets": ["y"], "units": 8}


def value(number: int) -> float:
    return float((number * number) % 17)


def watched(url: str) -> list[int]:
    """Versions of the outcomes of the stream, up to the last."""
    versions: list[int] = []
    with Client(url, retries=1000, deadline=120.0) as client:
        for outcome in client.watch("s", after=0):
            versions.append(outcome.version)
            if outcome.version == COUNT:
                break
    return versions


# A socket that an earlier test of this process left open, when it failed, may be collected during this one.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_upload_and_a_watcher_go_on_through_kills(service: RunningService) -> None:
    seen: list[int] = []
    shown: list[int] = []
    restarts: list[threading.Thread] = []

    async def events() -> AsyncIterator[Event]:
        for number in range(COUNT):
            yield Event(y={"y": value(number)})

    async def upload() -> None:
        async with AsyncClient(service.url, retries=1000, deadline=120.0) as client:
            async for answer in client.observe_many("s", events()):
                assert isinstance(answer, Outcome)
                seen.append(answer.version)
                if len(seen) in KILLED_AT:
                    service.kill()
                    restarts.append(threading.Thread(target=service.restart))
                    restarts[-1].start()

    with Client(service.url) as client:
        client.create("s", CONFIG)
    watcher = threading.Thread(target=lambda: shown.extend(watched(service.url)))
    watcher.start()
    asyncio.run(upload())
    for restart in restarts:
        restart.join()
    watcher.join(timeout=60.0)
    assert not watcher.is_alive()
    assert len(restarts) == len(KILLED_AT)
    assert seen == shown == list(range(1, COUNT + 1))
    learner = model.Learner(model.Config.from_dict(dict(CONFIG)))
    learner.observe_many([[value(number)] for number in range(COUNT)])
    with Client(service.url) as client:
        assert client.status("s").digest == learner.digest()
