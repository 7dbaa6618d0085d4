"""The two clients behind one interface, so that a test says once what both do; and a clock that sleeping moves."""

import asyncio
import dataclasses
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

from nobacktrack.service.client.sync import AsyncClient, Client
from nobacktrack.service.schemas import RecentStatus, StreamStatus

OPTIONS = frozenset({"retries", "deadline", "key"})
"""Of a client, not of a method."""

Handler = Callable[[httpx.Request], httpx.Response]


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """What `time.sleep` is replaced by; a pause of nothing is none."""
        if seconds:
            self.pauses.append(seconds)
            self.now += seconds


@dataclasses.dataclass
class Face:
    """Calls methods of a client of one kind: `face(handler, "observe", "s", {"a": 1})`."""

    kind: str
    clock: Clock

    def __call__(self, handler: Handler, method: str, *arguments: Any, most: int | None = None, **fields: Any) -> Any:
        """The answer; a list, of `most` at the most, where the method is a generator.

        Keywords in OPTIONS go to the client, the others to the method.
        """
        options: dict[str, Any] = {name: fields.pop(name) for name in OPTIONS & fields.keys()}
        if self.kind == "sync":
            with Client("http://service", transport=httpx.MockTransport(handler), **options) as client:
                self._still(client)
                return self._take(getattr(client, method)(*arguments, **fields), most)
        return asyncio.run(self._call(handler, options, method, arguments, fields, most))

    async def _call(
        self,
        handler: Handler,
        options: dict[str, Any],
        method: str,
        arguments: tuple[Any, ...],
        fields: dict[str, Any],
        most: int | None,
    ) -> Any:
        async with AsyncClient("http://service", transport=httpx.MockTransport(handler), **options) as client:
            self._still(client)
            if method == "observe_many":
                stream, events = arguments
                arguments = (stream, _generated(events))
            result = getattr(client, method)(*arguments, **fields)
            if inspect.isawaitable(result):
                return await result
            taken: list[Any] = []
            async for one in result:
                taken.append(one)
                if len(taken) == most:
                    await result.aclose()
                    break
            return taken

    def _still(self, client: Client | AsyncClient) -> None:
        client._policy = dataclasses.replace(client._policy, clock=lambda: self.clock.now, chance=lambda: 1.0)

    @staticmethod
    def _take(result: Any, most: int | None) -> Any:
        if not inspect.isgenerator(result):
            return result
        taken: list[Any] = []
        for one in result:
            taken.append(one)
            if len(taken) == most:
                result.close()
                break
        return taken


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes piece by piece, to either client, and may break off."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def _generated(events: Iterable[Any]) -> AsyncIterator[Any]:
    for event in events:
        yield event


def faces(monkeypatch: pytest.MonkeyPatch, kind: str) -> Face:
    """The face of this kind; nothing sleeps for long while the test runs."""
    clock = Clock()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return Face(kind, clock)


def outcome(version: int, **fields: object) -> dict[str, object]:
    """An outcome as the service writes it."""
    values = {"a": 1.0}
    return {
        "id": None, "version": version, "prediction": values, "lower": values, "upper": values, "loss": 0.25,
        "baseline_loss": None, "anomaly": 0.5, "next": None, **fields,
    }  # fmt: skip


def stream_status(version: int, config: dict[str, Any]) -> dict[str, Any]:
    """The status of a stream as the service writes it; from the schema, so that a new field is noticed here."""
    recent = RecentStatus(events=0, loss=None, baseline_loss=None, skill=None, coverage=None, drift=False)
    return StreamStatus(
        name="", version=version, config=config, fingerprint="", digest="", parameters=1, state_bytes=1, pending=0,
        checkpoint=0, update_seconds=None, recent=recent,
    ).model_dump()  # fmt: skip


def refusal(status: int, **fields: object) -> dict[str, object]:
    """A problem as the service writes it."""
    return {"type": "urn:nobacktrack:problem:x", "title": "No", "status": status, "detail": "not now", **fields}
