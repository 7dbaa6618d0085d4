"""Refusing a request or a WebSocket before anything else has looked at it."""

from collections.abc import Mapping

from starlette.types import Receive, Scope, Send

from service.api import problem_response
from service.errors import ServiceError
from service.metrics import Metrics

DENIAL = "websocket.http.response"
"""The extension of ASGI with which a handshake gets an answer of more than a bare 403."""


async def refuse(
    error: ServiceError,
    metrics: Metrics,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with the problem; a WebSocket is refused before it is accepted, with the same status and body."""
    response = problem_response(error, metrics, headers)
    if scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": error.close_code})
        return
    await response(scope, receive, send)
