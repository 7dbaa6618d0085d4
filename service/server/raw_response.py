"""Answers to bytes that never reach the application: they are not HTTP, or a handshake that cannot be read."""

from http import HTTPStatus

import pydantic_core
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import ServiceError

KIND = "application/problem+json"


def response_bytes(error: ServiceError) -> bytes:
    """The problem as a complete HTTP response that closes its connection."""
    body = pydantic_core.to_json(error.problem())
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"content-type: {KIND}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def problem_app(error: ServiceError) -> ASGIApp:
    """An ASGI application that answers with the problem."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        body = pydantic_core.to_json(error.problem())
        headers = [(b"content-type", KIND.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return refuse
