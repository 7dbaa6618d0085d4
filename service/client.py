"""A typed client: `Client` for HTTP, `connect` for the WebSocket of one stream.

    with Client("http://127.0.0.1:8000") as client:
        client.create("taxi", targets=["rides"])
        print(client.observe("taxi", {"rides": 10844}).next)

What it raises:

    ClientError
    ├── ApiError      the service said no: `problem` has what it said
    └── Unreachable   no answer, half an answer, or one that is not of this service
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Annotated, Any, Self, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from service.schemas import (
    Event,
    Forecast,
    ForecastRequest,
    Outcome,
    Problem,
    StreamHead,
    StreamList,
    StreamStatus,
    Value,
)  # fmt: skip

DEFAULT_URL = "http://127.0.0.1:8000"
CHUNK_EVENTS = 1000
CHUNK_BYTES = 64 * 1024
"""Bounds of one NDJSON request. It is sent whole before the answer is read, so it has to fit into the buffers on the
way: a service whose answers nobody reads yet stops reading."""

Answer: TypeAlias = Outcome | Problem
"""What comes back for one event of many."""

_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Outcome | Problem, Field(union_mode="left_to_right")])
_Model = TypeVar("_Model", bound=BaseModel)


class ClientError(Exception):
    """The base of everything that this module raises."""


class Unreachable(ClientError):
    """The service gave no answer, or none that makes sense; what it did is unknown."""


class ApiError(ClientError):
    """The service refused: `problem` is its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def retry_after(self) -> float | None:
        """Seconds after which it makes sense to come again, where the service said so."""
        return (self.problem.model_extra or {}).get("retry_after")


class Client:
    """A connection to a running service. Close it, or use it in a `with` statement."""

    def __init__(
        self, url: str = DEFAULT_URL, *, key: str | None = None, timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        """`timeout` in seconds is for each step of a request: connecting, sending, waiting for the next bytes."""
        self.url = url.rstrip("/")
        options: dict[str, Any] = {"timeout": timeout, "transport": transport, "headers": _authorization(key)}
        try:
            # The environment's proxies are not meant for a service that is usually on this machine.
            self._http = httpx.Client(base_url=self.url, trust_env=False, **options)
        except httpx.InvalidURL as error:
            raise Unreachable(f"{url} is not a URL: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def create(self, stream: str, config: Mapping[str, Any] | None = None, **fields: Any) -> StreamStatus:
        """Make a stream, or find the same one there. The configuration as a mapping, as keywords, or both."""
        return self._ask(StreamStatus, "PUT", _path(stream), json={**(config or {}), **fields})

    def status(self, stream: str) -> StreamStatus:
        """The stream as it is now."""
        return self._ask(StreamStatus, "GET", _path(stream))

    def streams(self) -> list[str]:
        """Names of all streams."""
        return self._ask(StreamList, "GET", "/v1/streams").streams

    def heads(self) -> list[StreamHead]:
        """All streams with their versions and targets."""
        return self._ask(StreamList, "GET", "/v1/streams", params={"detail": True}).heads or []

    def delete(self, stream: str) -> None:
        """Remove a stream and everything that it has learnt."""
        self._request("DELETE", _path(stream))

    def observe(
        self,
        stream: str,
        y: Mapping[str, float | str | None],
        x: Mapping[str, float | None] | None = None,
        time: datetime | None = None,
        id: str | None = None,  # noqa: A002 - the name it has on the wire
    ) -> Outcome:
        """Learn one event, and get what the learner thought of it beforehand. With an `id` it is safe to repeat."""
        event = Event(id=id, time=time, y=dict(y), x=None if x is None else dict(x))
        return self._ask(Outcome, "POST", _path(stream, "events"), content=_encode(event), headers=_JSON)

    def observe_many(self, stream: str, events: Iterable[Event]) -> Iterator[Answer]:
        """Learn events in order and yield one answer for each: an outcome, or the problem with that event.

        Takes events as they are needed, a bounded number ahead, so that neither side has to fit into memory. The
        `line` of a problem counts the events from 1.
        """
        done = 0
        for count, body in _chunks(events):
            answered = 0
            request = self._http.stream("POST", _path(stream, "events"), content=body, headers=_NDJSON)
            with self._translated(), request as response:
                if response.status_code != HTTPStatus.OK:
                    response.read()
                    raise ApiError(_problem(response.status_code, response.content))
                for line in _lines(response.iter_bytes()):
                    answered += 1
                    yield _numbered(_parse(_ANSWER, line), done + answered)
            if answered != count:
                raise Unreachable(f"{self.url} answered {done + answered} of {done + count} events")
            done += count

    def forecast(self, stream: str, horizon: int = 1, *, x: Sequence[Mapping[str, Value]] | None = None) -> Forecast:
        """The steps to come: `horizon` of them, or one for each of the future inputs `x`."""
        if x is None:
            return self._ask(Forecast, "GET", _path(stream, "forecast"), params={"horizon": horizon})
        request = ForecastRequest(x=[dict(step) for step in x])
        content = request.model_dump_json().encode()
        return self._ask(Forecast, "POST", _path(stream, "forecast"), content=content, headers=_JSON)

    def ready(self) -> bool:
        """Whether the service is there and takes events."""
        try:
            return self._http.get("/readyz").status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def metrics(self) -> str:
        """The service's metrics, in Prometheus' text format."""
        return self._request("GET", "/metrics").text

    def _ask(self, model: type[_Model], method: str, path: str, **options: Any) -> _Model:
        return _parse(TypeAdapter(model), self._request(method, path, **options).content)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._translated():
            response = self._http.request(method, path, **options)
        if not response.is_success:
            raise ApiError(_problem(response.status_code, response.content))
        return response

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise Unreachable(f"no answer from {self.url}: {error}") from error


class Connection:
    """A WebSocket to one stream: events out, answers in, in the same order. Send ahead as far as you like."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def send(self, event: Event) -> None:
        """Send one event; its answer comes from `receive`. Waits when the service is behind."""
        with _open():
            await self._websocket.send(_encode(event).decode())

    async def receive(self) -> Answer:
        """The next answer: an outcome, or the problem with that event."""
        with _open():
            message = await self._websocket.recv()
        return _parse(_ANSWER, message)


@asynccontextmanager
async def connect(url: str, stream: str, *, key: str | None = None) -> AsyncIterator[Connection]:
    """Open the WebSocket of a stream; `url` is the service's, as for `Client`."""
    address = "ws" + url.rstrip("/").removeprefix("http") + _path(stream, "ws")
    try:
        websocket = await open_websocket(
            address, proxy=None, compression=None, additional_headers=_authorization(key)
        )
    except InvalidStatus as error:
        raise ApiError(_problem(error.response.status_code, bytes(error.response.body or b""))) from error
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise Unreachable(f"no answer from {url}: {error}") from error
    async with websocket:
        yield Connection(websocket)


_JSON = {"content-type": "application/json"}
_NDJSON = {"content-type": "application/x-ndjson"}


def _authorization(key: str | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}


def _path(stream: str, *rest: str) -> str:
    return "/".join(("/v1/streams", quote(stream, safe=""), *rest))


def _encode(event: Event) -> bytes:
    return event.model_dump_json(exclude_defaults=True).encode()


def _chunks(events: Iterable[Event]) -> Iterator[tuple[int, bytes]]:
    """(number, body) of requests within the bounds; a single event may be larger than the bound on bytes."""
    lines: list[bytes] = []
    size = 0
    for event in events:
        line = _encode(event) + b"\n"
        if lines and (len(lines) == CHUNK_EVENTS or size + len(line) > CHUNK_BYTES):
            yield len(lines), b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield len(lines), b"".join(lines)


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Lines that end in a line feed. (httpx's own `iter_lines` also splits at U+2028, which JSON may contain.)"""
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from (line for line in lines if line)
    if rest:
        yield rest


def _numbered(answer: Answer, line: int) -> Answer:
    return answer.model_copy(update={"line": line}) if isinstance(answer, Problem) else answer


_Parsed = TypeVar("_Parsed")


def _parse(adapter: TypeAdapter[_Parsed], content: str | bytes) -> _Parsed:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise Unreachable("the answer is not one of this service; is the URL right?") from error


def _problem(status: int, content: bytes) -> Problem:
    """The problem in a refusal, also where something in between refused in its own words."""
    try:
        return Problem.model_validate_json(content)
    except ValidationError:
        title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
        return Problem(type="about:blank", title=title, status=status, detail=f"HTTP status {status}")


@contextmanager
def _open() -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as error:
        raise Unreachable(f"the WebSocket was closed: {error}") from error
