"""Answers to bytes that never reach the application: they are not HTTP, or a handshake that cannot be read."""

from http import HTTPStatus

import pydantic_core
from starlette.types import ASGIApp, Receive, Scope, Send

from ..api.problems import PROBLEM, in_protocol
from ..api.scope import is_inference
from ..errors import ServiceError


def _body(error: ServiceError, path: str) -> tuple[bytes, str]:
    """The body and its media type."""
    if is_inference({"path": path}):
        return pydantic_core.to_json(in_protocol(error.problem())), "application/json"
    return pydantic_core.to_json(error.problem()), PROBLEM


def response_bytes(error: ServiceError, path: str = "") -> bytes:
    """The problem as a complete HTTP response that closes its connection; `path` is the request's, if known."""
    body, kind = _body(error, path)
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"content-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def problem_app(error: ServiceError, path: str = "") -> ASGIApp:
    """An ASGI application that answers with the problem."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        body, kind = _body(error, path)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse
