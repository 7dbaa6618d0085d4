"""Errors as responses: RFC 9457 problem objects, for requests and for WebSockets that are not accepted yet."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ..errors import ServiceError
from ..observability import logs
from ..observability.metrics import Metrics

PROBLEM = "application/problem+json"
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


def problem_response(error: ServiceError, metrics: Metrics, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as a response of its own."""
    metrics.refused.labels(error.slug).inc()
    logs.add(problem=error.slug)
    retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse(error.problem(), error.status, {**(headers or {}), **retry}, media_type=PROBLEM)


def problems(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Errors of a route for the OpenAPI document, with examples; `service/api/openapi.py` adds those of all routes."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        response = responses.setdefault(error.status, {"content": {PROBLEM: {"examples": {}}}})
        shown = {"summary": error.title(), "value": error.example().problem()}
        response["content"][PROBLEM]["examples"][error.slug] = shown
    return responses
