"""Each request that a client can send, and what its answer means. No input or output."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
from pydantic import AwareDatetime, BaseModel, ValidationError

from ..schemas import (  # fmt: skip
    Channels,
    Event,
    EventId,
    Forecast,
    ForecastRequest,
    Outcome,
    Problem,
    StreamList,
    StreamStatus,
    Targets,
    Value,
    Wire,
)
from .errors import ApiError, Unreachable, read_problem

Answer: TypeAlias = Outcome | Problem
"""The answer to one event of many."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that does not belong to a connection yet."""

    method: str
    path: str
    params: Mapping[str, str | int | bool] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] | None = None

    def build(self, http: httpx.Client | httpx.AsyncClient, timeout: float | httpx.Timeout) -> httpx.Request:
        """The request as `http` sends it. `timeout` is in seconds, for each step."""
        return http.build_request(
            self.method, self.path, params=self.params, content=self.content, headers=self.headers, timeout=timeout
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Request, Generic[T]):
    """A request with one answer."""

    read: Callable[[bytes], T]
    """Turns the body of a successful answer into its value."""
    repeatable: bool = True
    """Whether sending it twice does the same as sending it once."""

    def answer(self, response: httpx.Response) -> T:
        """The value of a response. Raises ApiError for a refusal, Unreachable for a body that makes no sense."""
        check(response)
        return self.read(response.content)


class Question(Wire):
    """An event without its targets, to be predicted."""

    id: EventId
    time: AwareDatetime | None = None
    x: Channels | None = None


class Label(Wire):
    """The targets of an event that was sent without them."""

    y: Targets


def check(response: httpx.Response) -> None:
    """Raise ApiError unless the response, whose body has been read, is a success."""
    if not response.is_success:
        problem = read_problem(response.status_code, response.content, response.headers.get("retry-after"))
        raise ApiError(problem)


def new_id() -> str:
    """A new id: 32 random hex digits."""
    return uuid.uuid4().hex


def path(stream: str, *rest: str) -> str:
    """The path of a stream, or of a resource below it. Parts are quoted, so no name leads to another path."""
    return "/".join(("/v1/streams", *(quote(part, safe="") for part in (stream, *rest))))


def encode(event: BaseModel) -> bytes:
    """An event as JSON, without the fields that have their defaults."""
    return event.model_dump_json(exclude_defaults=True).encode()


def read(model: type[M], content: str | bytes) -> M:
    """Parse a body. Fields that only a newer service knows are ignored. Raises Unreachable for any other body."""
    try:
        return model.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        raise Unreachable("the answer is not one of this service; is the URL right?", passing=False) from error


def read_answer(content: str | bytes) -> Answer:
    """Parse one answer of many. Raises Unreachable when it is neither an Outcome nor a Problem."""
    try:
        return Outcome.model_validate_json(content, extra="ignore")
    except ValidationError:
        try:
            return Problem.model_validate_json(content)
        except ValidationError:
            return read(Outcome, content)


def create(stream: str, config: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> Call[StreamStatus]:
    """Create a stream. Repeating the request changes nothing."""
    # Not a pydantic model: the service decides which configurations are possible, and explains a refusal.
    content = json.dumps({**(config or {}), **fields}, allow_nan=False).encode()
    return Call(
        method="PUT", path=path(stream), content=content, headers=JSON, read=lambda body: read(StreamStatus, body)
    )


def status(stream: str) -> Call[StreamStatus]:
    """The status of a stream."""
    return Call(method="GET", path=path(stream), read=lambda body: read(StreamStatus, body))


def page(after: str | None, *, detail: bool) -> Call[StreamList]:
    """A page of the list of streams: those after the name `after`; with versions and targets if `detail`."""
    params: dict[str, str | int | bool] = {"detail": True} if detail else {}
    if after is not None:
        params["after"] = after
    return Call(method="GET", path="/v1/streams", params=params, read=lambda body: read(StreamList, body))


def delete(stream: str) -> Call[None]:
    """Delete a stream. Not repeatable: another stream of that name may have been created meanwhile."""
    return Call(method="DELETE", path=path(stream), repeatable=False, read=lambda _: None)


def observe(
    stream: str,
    y: Mapping[str, float | str | None],
    x: Mapping[str, float | None] | None,
    time: datetime | None,
    event_id: str | None,
    *,
    make_id: bool,
) -> Call[Outcome]:
    """Learn one event. An event without an id cannot be repeated: with `make_id` it gets one."""
    if event_id is None and make_id:
        event_id = new_id()
    event = Event(id=event_id, time=time, y=dict(y), x=None if x is None else dict(x))
    return _about_event("POST", path(stream, "events"), event, repeatable=event_id is not None)


def predict(
    stream: str, x: Mapping[str, float | None] | None, time: datetime | None, event_id: str | None
) -> Call[Outcome]:
    """Predict an event. Its targets follow under its id, so an event without an id gets one."""
    question = Question(id=event_id or new_id(), time=time, x=None if x is None else dict(x))
    return _about_event("POST", path(stream, "events"), question, repeatable=True)


def label(stream: str, event_id: str, y: Mapping[str, float | str | None]) -> Call[Outcome]:
    """Send the targets of an event that was predicted."""
    return _about_event("PUT", path(stream, "events", event_id, "label"), Label(y=dict(y)), repeatable=True)


def forecast(stream: str, horizon: int, x: Sequence[Mapping[str, Value]] | None) -> Call[Forecast]:
    """Forecast `horizon` steps, or one step for each of the future inputs `x`. Changes nothing."""
    if x is None:
        return Call(
            method="GET",
            path=path(stream, "forecast"),
            params={"horizon": horizon},
            read=lambda body: read(Forecast, body),
        )
    return Call(
        method="POST",
        path=path(stream, "forecast"),
        content=encode(ForecastRequest(x=[dict(step) for step in x])),
        headers=JSON,
        read=lambda body: read(Forecast, body),
    )


def metrics() -> Call[str]:
    """The metrics of the service, in Prometheus' text format."""
    return Call(method="GET", path="/metrics", read=lambda body: body.decode(errors="replace"))


READY = Request(method="GET", path="/readyz")


def is_ready(response: httpx.Response) -> bool:
    """Whether this answer to READY means that the service takes events."""
    return response.status_code == HTTPStatus.OK


def authorization(key: str | None) -> dict[str, str]:
    """The header that sends a key. Raises ValueError, without repeating the key, for text that cannot be a key."""
    if key is None:
        return {}
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # httpx would say so too, with the key in the message.
        raise ValueError("a key is printable ASCII without spaces")
    return {"authorization": f"Bearer {key}"}


def _about_event(method: str, address: str, body: BaseModel, *, repeatable: bool) -> Call[Outcome]:
    return Call(
        method=method,
        path=address,
        content=encode(body),
        headers=JSON,
        repeatable=repeatable,
        read=lambda content: read(Outcome, content),
    )
