"""The WebSocket of one stream: events are sent ahead, answers come in the same order."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ..schemas import Event
from .calls import Answer, authorization, encode, path, read_answer
from .errors import ApiError, Unreachable, read_problem


class Connection:
    """A WebSocket to one stream. Answers come in the order of the events, and events may be sent far ahead of them."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def send(self, event: Event) -> None:
        """Send one event; `receive` returns its answer. Waits while the service is behind. Raises Unreachable."""
        with _open():
            await self._websocket.send(encode(event).decode())

    async def receive(self) -> Answer:
        """The next answer: an Outcome, or the Problem with that event. Raises Unreachable after a close."""
        with _open():
            message = await self._websocket.recv()
        return read_answer(message)


@asynccontextmanager
async def connect(url: str, stream: str, *, key: str | None = None) -> AsyncIterator[Connection]:
    """Open the WebSocket of a stream; `url` and `key` are as for `Client`.

    Raises ApiError when the service refuses the connection, Unreachable when it does not answer.
    """
    address = "ws" + url.rstrip("/").removeprefix("http") + path(stream, "ws")
    try:
        websocket = await open_websocket(address, proxy=None, compression=None, additional_headers=authorization(key))
    except InvalidStatus as error:
        response = error.response
        problem = read_problem(response.status_code, bytes(response.body or b""), response.headers.get("Retry-After"))
        raise ApiError(problem) from error
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise Unreachable(f"no answer from {url}: {error}") from error
    async with websocket:
        yield Connection(websocket)


@contextmanager
def _open() -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as error:
        raise Unreachable(f"the WebSocket was closed: {error}") from error
