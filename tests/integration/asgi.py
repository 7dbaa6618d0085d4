"""WebSockets and streamed bodies without a network: the messages of ASGI, one by one."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Scope


@dataclass
class WebSocketTalk:
    """What a WebSocket handshake, and what followed, was answered."""

    sent: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        """101 when it was accepted, else that of the refusal."""
        first = self.sent[0]
        return 101 if first["type"] == "websocket.accept" else int(first.get("status", 403))

    @property
    def body(self) -> bytes:
        """The refusal's body."""
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def subprotocol(self) -> str | None:
        """The one that was accepted."""
        return self.sent[0].get("subprotocol")

    @property
    def texts(self) -> list[str]:
        """The messages that came back."""
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]


def websocket_scope(
    path: str, headers: Mapping[str, str] = {}, subprotocols: Iterable[str] = (), *, denial: bool = True, **more: Any
) -> Scope:
    """The scope of a handshake."""
    return {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}} if denial else {},
        "client": ("127.0.0.1", 1),
    } | more


def request_scope(method: str, path: str, headers: Mapping[str, str] = {}, **more: Any) -> Scope:
    """The scope of a request."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1),
    } | more


async def converse(app: ASGIApp, scope: Scope, messages: Iterable[Message]) -> list[Message]:
    """What an application sends to someone who sends these messages and then waits."""
    left, sent = list(messages), []

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(20):
        await app(scope, receive, send)
    return sent


async def shake_hands(
    app: ASGIApp, path: str, headers: Mapping[str, str] = {}, subprotocols: Iterable[str] = (), *, denial: bool = True
) -> WebSocketTalk:
    """Open a WebSocket and go."""
    scope = websocket_scope(path, headers, subprotocols, denial=denial)
    messages: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    return WebSocketTalk(await converse(app, scope, messages))
