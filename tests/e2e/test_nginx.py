"""Three replicas behind the nginx of `docker compose --profile replicas`: everything passes as it would without it."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from nobacktrack.service.client.sync import ApiError, Client
from nobacktrack.service.errors import NotFound
from nobacktrack.service.schemas import Outcome, Problem
from tests.support.deployed import Nginx, Store
from tests.support.needs import needs
from tests.support.processes import DEADLINE_SECONDS, wait_until
from tests.support.servers import HOST, Replicas, free_port

pytestmark = needs("nginx")

BURST = 100_000
"""Events that each client address has to spend; one more comes back a second."""


class Site:
    """A store, replicas, and nginx in front of them."""

    def __init__(self, directory: Path, replicas: Replicas, direct: httpx.Client) -> None:
        self.replicas = replicas
        self.nginx = Nginx(directory / "nginx", [url.removeprefix("http://") for url in replicas.urls])
        self.url = self.nginx.url
        self._direct = direct

    def learnt(self) -> list[Counter[str]]:
        """How many events of which stream each replica has learnt, by its own count; one that is down, none."""
        return [self._count(url) for url in self.replicas.urls]

    def _count(self, url: str) -> Counter[str]:
        try:
            text = self._direct.get(f"{url}/metrics").text
        except httpx.TransportError:
            return Counter()
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        events = (sample for sample in samples if sample.name == "nobacktrack_events_total")
        return Counter({sample.labels["stream"]: int(sample.value) for sample in events})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with (
        Store(directory / "store") as store,
        Replicas(directory, store.url, 3, rate=1, rate_burst=BURST) as replicas,
        httpx.Client(timeout=5) as direct,
    ):
        site = Site(directory, replicas, direct)
        with site.nginx:
            yield site


def create(site: Site, stream: str) -> str:
    with Client(site.url) as client:
        client.create(stream, targets=["y"], units=4)
    return stream


def test_a_stream_stays_at_one_replica_and_streams_are_spread(site: Site) -> None:
    streams = [f"spread-{number}" for number in range(12)]
    # A connection for each request: what keeps them together is the name.
    with httpx.Client(base_url=f"{site.url}/v1/streams", headers={"Connection": "close"}) as client:
        for stream in streams:
            client.put(stream, json={"targets": ["y"], "units": 4}).raise_for_status()
        for value in range(3):
            for stream in streams:
                client.post(f"{stream}/events", json={"y": {"y": value}}).raise_for_status()
    counts = site.learnt()
    assert all(sorted(count[stream] for count in counts) == [0, 0, 3] for stream in streams)
    # The ports are others in each run. The chance that one of three replicas has all twelve is 1 in 177,147.
    assert sum(any(count[stream] for stream in streams) for count in counts) >= 2


def test_bulk_is_answered_while_it_is_sent(site: Site) -> None:
    """The request is not ended before answers have come, and is longer than any limit of nginx's own."""
    stream = create(site, "bulk")
    line = b'{"y": {"y": %d}}' + b" " * 300 + b"\n"
    first, last = b"".join(line % (number % 7) for number in range(6000)), line % 1
    assert len(first) > 1024 * 1024
    with closing(HTTPConnection(HOST, site.nginx.port, timeout=DEADLINE_SECONDS)) as connection:
        connection.putrequest("POST", f"/v1/streams/{stream}/events")
        connection.putheader("Content-Type", "application/x-ndjson")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        sending = threading.Thread(target=connection.send, args=(b"%x\r\n%b\r\n" % (len(first), first),))
        sending.start()
        answer = connection.getresponse()
        versions = [json.loads(answer.readline())["version"] for _ in range(1000)]
        sending.join()
        connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))
        versions += [json.loads(line)["version"] for line in answer]
    assert versions == list(range(1, 6002))


def test_a_websocket_passes(site: Site) -> None:
    stream = create(site, "socket")
    address = site.url.replace("http", "ws", 1) + f"/v1/streams/{stream}/ws"

    async def main() -> list[int]:
        async with asyncio.timeout(20), open_websocket(address, proxy=None, origin=Origin(site.url)) as socket:
            for number in range(100):
                await socket.send(json.dumps({"y": {"y": number % 7}}))
            return [json.loads(await socket.recv())["version"] for _ in range(100)]

    assert asyncio.run(main()) == list(range(1, 101))


def test_pages_of_other_sites_are_still_refused(site: Site) -> None:
    address = site.url.replace("http", "ws", 1) + f"/v1/streams/{create(site, 'page')}/ws"

    async def main() -> None:
        async with open_websocket(address, proxy=None, origin=Origin("https://elsewhere.example")):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(main())
    assert refused.value.response.status_code == 403


def test_events_are_seen_live(site: Site) -> None:
    """Within a second of their answer, and long before anything would fill a buffer."""
    stream = create(site, "live")
    with Client(site.url) as client, Client(site.url) as watcher, closing(watcher.watch(stream, after=0)) as shown:
        client.observe(stream, {"y": 1.0})
        assert next(shown).version == 1
        for version in range(2, 6):
            client.observe(stream, {"y": 1.0})
            answered = time.monotonic()
            assert next(shown).version == version
            assert time.monotonic() - answered < 1.0


def test_a_body_that_is_too_large_is_a_problem(site: Site) -> None:
    stream = create(site, "large")
    for body in (b" " * 70_000, b" " * 3_000_000):
        answer = httpx.post(f"{site.url}/v1/streams/{stream}/events", content=body, timeout=20)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:nobacktrack:problem:too-large"
    with Client(site.url) as client:
        assert client.status(stream).version == 0


def test_the_replica_knows_the_clients_address_whatever_the_client_says(site: Site) -> None:
    path = f"{site.url}/v1/streams/{create(site, 'address')}"

    def left(source: str, said: str) -> int:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
            answer = client.get(path, headers={"X-Forwarded-For": said})
        return int(answer.headers["RateLimit"].split(";r=")[1].split(";")[0])

    start = time.monotonic()
    counts = [left("127.0.0.2", f"10.0.0.{number}") for number in range(10)]
    assert counts[0] == BURST - 1
    # Nine more, less what came back meanwhile.
    assert BURST - 10 <= counts[-1] <= BURST - 10 + (time.monotonic() - start) + 1
    assert left("127.0.0.3", "127.0.0.2") == BURST - 1


def test_metrics_stay_inside(site: Site) -> None:
    with httpx.Client() as client:
        for path in ("/metrics", "//metrics", "/metrics/", "/docs/../metrics", "/%6detrics"):
            answer = client.send(httpx.Request("GET", site.url, extensions={"target": path.encode()}))
            assert answer.status_code == 404, path
            problem = Problem.model_validate(answer.json())
            assert (problem.type, problem.title) == (f"urn:nobacktrack:problem:{NotFound.slug}", NotFound.__doc__)
        assert client.get(f"{site.url}/docs").status_code == 200


def test_a_replica_that_dies_loses_nothing_and_gets_its_streams_back(site: Site) -> None:
    stream = create(site, "survivor")
    answered: dict[str, Outcome] = {}

    def send(count: int) -> None:
        with Client(site.url, deadline=DEADLINE_SECONDS) as client:
            for _ in range(count):
                name = f"e{len(answered)}"
                answered[name] = client.observe(stream, {"y": float(len(answered) % 5)}, id=name)

    send(20)
    owner = [count[stream] for count in site.learnt()].index(20)
    sender = threading.Thread(target=send, args=(100,))
    sender.start()
    wait_until(lambda: len(answered) > 40, lambda: f"{len(answered)} answers")
    site.replicas.kill(owner)
    sender.join(DEADLINE_SECONDS)
    assert [outcome.version for outcome in answered.values()] == list(range(1, 121))
    with Client(site.url) as client:
        assert client.status(stream).version == 120
        for name in ("e0", "e60", "e119"):
            again = client.observe(stream, {"y": float(int(name[1:]) % 5)}, id=name)
            assert again == answered[name]
        site.replicas.start(owner)

        def back() -> bool:
            client.observe(stream, {"y": 1.0})
            return site.learnt()[owner][stream] > 0

        wait_until(back, lambda: f"{site.learnt()}")


def test_without_a_replica_there_is_a_problem_that_says_come_back(tmp_path: Path) -> None:
    nobody = [f"{HOST}:{free_port()}" for _ in range(3)]
    with (
        Nginx(tmp_path, nobody) as nginx,
        Client(nginx.url, retries=0) as client,
        pytest.raises(ApiError) as refused,
    ):
        client.observe("s", {"y": 1.0})
    assert (refused.value.status, refused.value.retry_after, refused.value.passing) == (503, 1, True)
    assert refused.value.problem.type == "urn:nobacktrack:problem:no-replica"
