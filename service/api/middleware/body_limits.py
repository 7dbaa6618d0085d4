"""Limits on the size of a request's body and on the time in which it arrives."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import RequestTimeout, TooLarge
from ...observability.metrics import Metrics
from ..scope import NDJSON, is_bulk
from .interruptible import Exchange


class BodyLimit:
    """Refuses a body of more than `limit` bytes while it arrives, whatever its headers say.

    A bulk request has no limit, because it is read line by line; each of its lines has one.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_bulk(scope):
            await self._app(scope, receive, send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                raise TooLarge(f"a body may have at most {self._limit} bytes; send many events as {NDJSON}")
            return message

        await self._app(scope, limited, send)


class BodyTime:
    """Answers 408 to a body that has not arrived after `seconds`. Only time spent waiting for the client counts.

    A bulk request may last for ever: the limit is on each pause, and lines that had arrived are answered first.
    """

    def __init__(self, app: ASGIApp, seconds: float, metrics: Metrics) -> None:
        self._app = app
        self._seconds = seconds
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        clock = asyncio.get_running_loop().time
        left, complete, bulk = self._seconds, False, is_bulk(scope)

        async def read() -> Message:
            nonlocal left, complete
            if complete:  # the only message left is that the client has gone
                return await exchange.receive()
            start = clock()
            try:
                async with asyncio.timeout(left):
                    message = await exchange.receive()
            except TimeoutError:
                exchange.cut(RequestTimeout(f"the rest of the body did not come within {self._seconds:g} s"))
                return await exchange.receive()
            left = self._seconds if bulk else left - (clock() - start)
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, read, exchange.send)
        await exchange.finish(self._metrics)
