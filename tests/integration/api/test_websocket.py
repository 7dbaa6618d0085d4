"""How WebSockets end when the service does: what was read is answered, and a client that has gone is no error."""

import asyncio
import json

import pytest
from fastapi import FastAPI
from starlette.types import Message

from nobacktrack.service.api.app import create_app
from nobacktrack.service.api.routes import websocket
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.base import Commit, CommitResult
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.asgi import websocket_scope
from tests.integration.replicas import CONFIG

pytestmark = pytest.mark.anyio

IN_FLIGHT = 8


class HeldStore(MemoryStore):
    """Commits when told."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def commit(self, stream: str, commit: Commit) -> CommitResult:
        """See `Store.commit`."""
        await self.go_on.wait()
        return await super().commit(stream, commit)


class Client:
    """A client that sends events as fast as they are read, and may be gone."""

    def __init__(self, app: FastAPI) -> None:
        self.read = 0
        self.sent: list[Message] = []
        self.gone = False
        self.more = True
        self.task = asyncio.create_task(app(websocket_scope("/v1/streams/s/ws"), self._receive, self._send))

    async def _receive(self) -> Message:
        if self.read == 0:
            self.read = 1
            return {"type": "websocket.connect"}
        if not self.more:
            await asyncio.Event().wait()
        self.read += 1
        return {"type": "websocket.receive", "text": json.dumps({"y": {"y": 1.0}})}

    async def _send(self, message: Message) -> None:
        if self.gone:
            raise OSError("the client has gone")
        self.sent.append(message)

    @property
    def answers(self) -> list[int]:
        """The versions that were answered."""
        return [json.loads(message["text"])["version"] for message in self.sent if message["type"] == "websocket.send"]


@pytest.fixture
def held() -> HeldStore:
    return HeldStore()


@pytest.fixture
async def app(held: HeldStore, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(websocket, "IN_FLIGHT", IN_FLIGHT)
    app = create_app(Settings(), held)
    for kernel in ("float32", "float64"):
        app.state.kernels.flag(kernel).set()
    await app.state.streams.create("s", CONFIG)
    return app


async def full(client: Client) -> None:
    """Return when nothing more is read."""
    async with asyncio.timeout(10):
        while client.read < 1 + IN_FLIGHT:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    for _ in range(20):
        await asyncio.sleep(0)


async def test_all_that_is_learnt_is_answered_when_the_service_ends(app: FastAPI, held: HeldStore) -> None:
    """With as many messages unanswered as there may be, and more that the client would send."""
    client = Client(app)
    await full(client)
    assert client.read == 1 + IN_FLIGHT  # the handshake and the messages
    closing = asyncio.create_task(app.state.sockets.close(10))
    await asyncio.sleep(0)
    held.go_on.set()
    await closing
    await client.task
    assert client.answers == [*range(1, IN_FLIGHT + 1)]
    assert await app.state.streams.version("s") == IN_FLIGHT
    assert client.sent[-1] == {"type": "websocket.close", "code": websocket.RESTARTING, "reason": ""}
    await app.state.streams.close()


@pytest.mark.parametrize("unanswered", [True, False])
async def test_a_client_that_has_gone_when_the_service_ends_is_no_error(
    app: FastAPI, held: HeldStore, unanswered: bool
) -> None:
    client = Client(app)
    if unanswered:
        await full(client)
    else:
        client.more = False
        await asyncio.sleep(0.01)
    client.gone = True
    held.go_on.set()
    await app.state.sockets.close(10)
    async with asyncio.timeout(10):
        await client.task  # raises nothing, which the server would log as a traceback
    await app.state.streams.close()


async def test_a_client_that_goes_before_it_is_refused_is_no_error(app: FastAPI) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] != "websocket.accept":
            raise OSError("the client has gone")

    await app(websocket_scope("/v1/streams/nobody/ws"), receive, send)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send"]
    await app.state.streams.close()
