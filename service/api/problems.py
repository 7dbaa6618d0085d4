"""Errors as responses: RFC 9457 problem objects, for requests and for WebSockets that are not accepted yet."""

from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ..errors import ServiceError
from ..observability import logs
from ..observability.metrics import Metrics
from .scope import is_inference

PROBLEM = "application/problem+json"
DENIAL = "websocket.http.response"
"""The ASGI extension that lets a refused WebSocket handshake have a body; without it the answer is a bare 403."""


async def refuse(
    error: ServiceError,
    metrics: Metrics,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer a request with a problem. A WebSocket handshake is refused with the same status and body."""
    response = problem_response(error, metrics, scope, headers)
    if scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": error.close_code})
        return
    await response(scope, receive, send)


def problem_response(
    error: ServiceError, metrics: Metrics, scope: Scope, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error as the response to a request; under /v2 in the form of the Open Inference Protocol."""
    metrics.refused.labels(error.slug).inc()
    logs.add(problem=error.slug)
    retry = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    problem, media_type = error.problem(), PROBLEM
    if is_inference(scope):
        problem, media_type = in_protocol(problem), "application/json"
    return JSONResponse(problem, error.status, {**(headers or {}), **retry}, media_type=media_type)


def in_protocol(problem: Mapping[str, object]) -> dict[str, object]:
    """A problem with the member `error`, which clients of the Open Inference Protocol read."""
    return {"error": f"{problem['title']}: {problem['detail']}", **problem}


def problems(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Errors of a route for the OpenAPI document, with examples; `service/api/openapi.py` adds those of all routes."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        response = responses.setdefault(error.status, {"content": {PROBLEM: {"examples": {}}}})
        shown = {"summary": error.title(), "value": error.example().problem()}
        response["content"][PROBLEM]["examples"][error.slug] = shown
    return responses
