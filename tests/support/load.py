"""Load for the tests of faults: events with ids, sent until they are acknowledged, and a ledger of every answer.

The number of an event is its id, and its time in seconds since the epoch, so that the store's log tells which event it
holds without asking the service. Its value follows from the number: whoever knows the order of the numbers can compute
the digest.
"""

import asyncio
import contextlib
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from nobacktrack import model
from nobacktrack.service.client.sync import Client
from nobacktrack.service.codec import segments
from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import LogPosition, Store
from nobacktrack.service.store.redis.store import RedisStore
from nobacktrack.service.streams.service import Streams
from tests.support.processes import wait_until

CONFIG: dict[str, Any] = {"targets": ["y"], "units": 4}
GIVE_UP_SECONDS = 60.0
"""How long one event is sent again and again before the load has failed."""
ANSWER_SECONDS = 20.0
"""How long one request may take; far more than any may."""
PAUSE = 0.02
"""Between a refusal and the next attempt."""
LATER = {503, 507}
"""Statuses that ask to come again."""


class Gone(Exception):
    """No answer, or half of one."""


class Reply(NamedTuple):
    """A whole HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Line:
    """One connection to a service, made again when it breaks. One request at a time."""

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Reply:
        """The response. Raises Gone."""
        start = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, headers, answer = await self._ask(method, path, body, kind)
        except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Gone(str(error)) from error
        except BaseException:
            self.close()
            raise
        return Reply(status, headers, answer, time.monotonic() - start)

    async def _ask(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, dict[str, str], bytes]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # an idle connection that the service has closed
        if self._streams is None:
            host, _, port = self._address.partition(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
        if "content-length" in headers:
            answer = await reader.readexactly(int(headers["content-length"]))
        else:
            answer = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                answer += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers, answer

    async def end(self) -> None:
        """The same, and wait until it is gone."""
        streams = self._streams
        self.close()
        if streams is not None:
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Acknowledged(NamedTuple):
    """An event that was answered with an outcome."""

    number: int
    version: int
    outcome: bytes
    at: float
    """When, on the monotonic clock."""


@dataclass
class Load:
    """Senders for each stream in a thread of their own, from `start` to `finish`, as often as wanted.

    Every event is sent until a replica acknowledges it: at the end nothing is in between. `failures` says what must
    never happen: an answer that is neither an outcome nor asks to come again, or two that differ for one id.
    """

    urls: Sequence[str]
    streams: Sequence[str]
    lanes: int = 1
    """Senders of a stream; each waits for its answer before it sends the next event."""
    batch: int = 1
    """Events of one request."""
    twice: float = 0.0
    """Share of the requests that are sent twice at the same time, to two replicas where there are two."""
    seed: int = 0
    pause: float = 0.0
    """Seconds between the answer and the next event of a sender."""
    most: int | None = None
    """Events of a stream after which its senders stop by themselves."""
    acknowledged: dict[str, list[Acknowledged]] = field(default_factory=dict, repr=False)
    refusals: Counter[int] = field(default_factory=Counter)
    """Answers that asked to come again, by status; 0 counts those that did not come."""
    requests: int = 0
    repeated: int = 0
    """Requests that were sent twice."""
    slowest_refusal: float = 0.0
    slowest_success: float = 0.0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._numbers = {stream: itertools.count(1) for stream in self.streams}
        self.acknowledged = {stream: [] for stream in self.streams}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._free: dict[str, list[Line]] = {}

    @property
    def total(self) -> int:
        """Events that were acknowledged."""
        return sum(map(len, self.acknowledged.values()))

    @property
    def refused(self) -> str:
        """How many answers asked to come again, in words."""
        said = ", ".join(f"{count:,} with {status}" for status, count in sorted(self.refusals.items()) if status)
        return f"refused: {said}, the slowest after {self.slowest_refusal:.2f} s" if said else "none refused"

    def create(self) -> None:
        """Make the streams."""
        with Client(self.urls[0]) as client:
            for stream in self.streams:
                client.create(stream, CONFIG)

    def start(self) -> None:
        """Begin to send, and return."""
        assert self._thread is None, "started twice"
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, events: int) -> None:
        """Return when so many more events are acknowledged."""
        wanted = self.total + events
        wait_until(lambda: self.total >= wanted or self.failures, lambda: f"{self.total} of {wanted} acknowledged")
        assert not self.failures, self.failures

    def until_all_go_on(self) -> float:
        """Seconds until every stream has acknowledged another event."""
        start, before = time.monotonic(), {stream: len(acks) for stream, acks in self.acknowledged.items()}
        wait_until(
            lambda: self.failures or all(len(self.acknowledged[stream]) > count for stream, count in before.items()),
            lambda: "a stream does not go on",
        )
        return time.monotonic() - start

    def finish(self) -> None:
        """Send nothing new, and return when all that was sent is acknowledged."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Return when the senders have stopped by themselves."""
        assert self._thread is not None, "not started"
        self._thread.join()
        self._thread = None
        assert not self.failures, self.failures

    def repeat(self, most: int = 300) -> int:
        """Send the newest events of each stream again, anywhere: each answer is the first one. How many were sent."""
        wanted = [(stream, one) for stream, acks in self.acknowledged.items() for one in acks[-most:]]

        async def all_of_them() -> None:
            for stream, one in wanted:
                place = self._random.randrange(len(self.urls))
                answers = await self._until_acknowledged(stream, [one.number], place)
                self._compare(stream, one.number, one.outcome, answers[one.number])

        asyncio.run(self._then_close(all_of_them()))
        assert not self.failures, self.failures
        return len(wanted)

    def _run(self) -> None:
        async def senders() -> None:
            await asyncio.gather(*(self._lane(stream) for stream in self.streams for _ in range(self.lanes)))

        try:
            asyncio.run(self._then_close(senders()))
        except Exception as error:
            self.failures.append(repr(error))

    async def _then_close(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            await asyncio.gather(*(line.end() for line in itertools.chain(*self._free.values())))
            self._free.clear()

    async def _lane(self, stream: str) -> None:
        while not (self._stopping.is_set() or self.failures):
            numbers = list(itertools.islice(self._numbers[stream], self.batch))
            if self.most is not None and numbers[0] > self.most:
                return
            await self._send(stream, numbers)
            await asyncio.sleep(self.pause)

    async def _send(self, stream: str, numbers: list[int]) -> None:
        places = [self._random.randrange(len(self.urls))]
        if self._random.random() < self.twice:
            places.append((places[0] + 1) % len(self.urls))
            self.repeated += 1
        answers = await asyncio.gather(*(self._until_acknowledged(stream, numbers, place) for place in places))
        at = time.monotonic()
        for number in numbers:
            outcome = answers[0][number]
            for other in answers[1:]:
                self._compare(stream, number, outcome, other[number])
            self.acknowledged[stream].append(Acknowledged(number, json.loads(outcome)["version"], outcome, at))

    def _compare(self, stream: str, number: int, first: bytes, second: bytes) -> None:
        if first != second:
            self.failures.append(f"event {number} of {stream} has two outcomes: {first!r} and {second!r}")

    async def _until_acknowledged(self, stream: str, numbers: Iterable[int], place: int) -> dict[int, bytes]:
        """The outcome of each, from whichever replica gives it."""
        done: dict[int, bytes] = {}
        left = list(numbers)
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"events {left[0]} to {left[-1]} of {stream} were never acknowledged")
            url = self.urls[place % len(self.urls)]
            place += 1
            try:
                done |= await self._request(stream, left, url)
            except Gone:
                self.refusals[0] += 1
            left = [number for number in left if number not in done]
            if left:
                await asyncio.sleep(PAUSE)
        return done

    async def _request(self, stream: str, numbers: list[int], url: str) -> dict[int, bytes]:
        """The outcomes that one request brought."""
        lines = self._free.setdefault(url, [])
        line = lines.pop() if lines else Line(url)
        bulk = self.batch > 1
        body = b"\n".join(encoded(number) for number in numbers)
        kind = "application/x-ndjson" if bulk else "application/json"
        try:
            reply = await line.ask("POST", f"/v1/streams/{stream}/events", body, kind)
        finally:
            lines.append(line)
        self.requests += 1
        if reply.status == 200 and bulk:
            return self._outcomes(numbers, reply)
        if reply.status == 200:
            self.slowest_success = max(self.slowest_success, reply.seconds)
            return {numbers[0]: reply.body}
        self._refused(reply.status, reply.headers.get("retry-after"), reply.body)
        self.slowest_refusal = max(self.slowest_refusal, reply.seconds)
        return {}

    def _outcomes(self, numbers: list[int], reply: Reply) -> dict[int, bytes]:
        answers = reply.body.splitlines()
        if len(answers) != len(numbers):
            self.failures.append(f"{len(answers)} answers to {len(numbers)} events")
        outcomes = {}
        for number, answer in zip(numbers, answers, strict=False):
            fields = json.loads(answer)
            if "version" in fields:
                outcomes[number] = answer
            else:
                self._refused(fields["status"], fields.get("retry_after"), answer)
        return outcomes

    def _refused(self, status: int, retry_after: object, body: bytes) -> None:
        self.refusals[status] += 1
        if status not in LATER or retry_after is None:
            self.failures.append(f"status {status}, Retry-After {retry_after}: {body[:300]!r}")


def value(number: int) -> float:
    """The target of an event."""
    return float(number * number % 17)


def encoded(number: int) -> bytes:
    """An event as JSON."""
    at = datetime.fromtimestamp(number, UTC).isoformat()
    return json.dumps({"id": str(number), "time": at, "y": {"y": value(number)}}).encode()


def replayed(numbers: Sequence[int]) -> str:
    """Digest of a learner that saw these events in this order, and no service."""
    learner = model.Learner(model.Config.from_dict(CONFIG))
    if numbers:
        learner.observe_many([[value(number)] for number in numbers], None, [float(number) for number in numbers])
    return learner.digest()


class Reader(RedisStore):
    """A store for somebody who looks and leaves nothing behind."""

    async def write_checkpoint(self, stream: str, token: LogPosition, blob: bytes) -> bool:
        """Nothing is written."""
        return False


class Stored(NamedTuple):
    """A stream as somebody finds it who has nothing but the store."""

    version: int
    digest: str
    numbers: list[int]
    """Events of the log that is left, oldest first."""


def stored(store_url: str, streams: Iterable[str]) -> dict[str, Stored]:
    """What the store holds, read afresh."""

    async def read() -> dict[str, Stored]:
        store = Reader(store_url, 5.0)
        try:
            return {stream: await _stored(store, stream) for stream in streams}
        finally:
            await store.close()

    return asyncio.run(read())


async def _stored(store: Store, stream: str) -> Stored:
    status = await Streams(Settings(), store, Metrics(1)).status(stream)
    times = [t for segment in await store.segments(stream, 0) for t in segments.decode(segment).times]
    return Stored(status.version, status.digest, [int(t) for t in times])


class Verdict(NamedTuple):
    """What was lost and what is there twice, over all streams."""

    events: int
    lost: int
    twice: int


def verdict(load: Load, store_url: str) -> Verdict:
    """Hold the ledger against the store, exactly; asserts that digests, replicas and log agree with it."""
    found = stored(store_url, load.streams)
    lost = twice = 0
    for stream, acks in load.acknowledged.items():
        store = found[stream]
        by_version = sorted(acks, key=lambda one: one.version)
        numbers = [one.number for one in by_version]
        versions = {one.version for one in acks}
        lost += len(acks) - len(versions) + sum(version > store.version for version in versions)
        twice += store.version - len(versions)
        twice += len(store.numbers) - len(set(store.numbers))
        # A checkpoint takes the oldest part of the log away.
        assert store.numbers == numbers[len(numbers) - len(store.numbers) :], f"the log of {stream} is another one"
        assert store.digest == replayed(numbers), f"{stream} in the store has learnt something else"
        for url in load.urls:
            with Client(url) as client:
                status = client.status(stream)
            assert (status.version, status.digest) == (store.version, store.digest), f"{stream} at {url}"
    return Verdict(load.total, lost, twice)


def metric(url: str, name: str) -> float:
    """The sum of a metric over its labels."""
    with Client(url) as client:
        lines = client.metrics().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def measured(action: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    action()
    return time.monotonic() - start
