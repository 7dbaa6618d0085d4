"""Many events in one request, one a line (NDJSON). Each line is answered by a line while the request is still read."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import pydantic_core
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from ..errors import BadRequest, ServiceError, TooLarge
from ..observability.metrics import Metrics
from ..schemas import Event, Label
from ..streams.queue import Answer
from ..streams.service import Streams
from ..timeslice import TimeSlice
from .parsing import parse_message

LINES_AT_ONCE = 512
"""Lines of a bulk request that are submitted at once."""
AHEAD = 7
"""How many groups of lines may be read ahead of the answers."""


class DuplexResponse(StreamingResponse):
    """A response that is written while the request is still read.

    Starlette's StreamingResponse waits for a disconnect at the same time and would consume the request's messages.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write only: reading the request tells when the client has gone."""
        try:
            await self.stream_response(send)
        except (ClientDisconnect, OSError):
            return


async def learnt(request: Request, name: str, streams: Streams, metrics: Metrics, limit: int) -> AsyncIterator[bytes]:
    """Yield answers, one line each. While some lines are learnt, the next ones are read; one may have `limit` bytes.

    After an outage nothing more is learnt, so that the order of events has no hole.
    """
    outage: ServiceError | None = None
    ahead: deque[Lines] = deque()
    last: asyncio.Future[Answer] | None = None
    time_slice = TimeSlice()
    async for lines in _lines(request, limit):
        parsed = []
        for number, line in lines:
            parsed.append((number, _message(line)))
            await time_slice.yield_if_expired()
        promises: list[asyncio.Future[Answer]] = []
        if outage is None:
            try:
                promises = await streams.submit(
                    name, [one for _, one in parsed if not isinstance(one, ServiceError)], behind=last
                )
            except ServiceError as error:
                outage = error
        last = newest(promises, last)
        ahead.append(Lines(parsed, promises, outage))
        if len(ahead) > AHEAD:
            yield await _answered(ahead.popleft(), metrics)
    while ahead:
        yield await _answered(ahead.popleft(), metrics)


def newest(
    promises: Sequence[asyncio.Future[Answer]], before: asyncio.Future[Answer] | None
) -> asyncio.Future[Answer] | None:
    """The answer that the next events must wait behind: the last of the new ones that is still pending.

    An answer that is there at once is an event that was refused by itself, and tells nothing of the store.
    """
    return next((promise for promise in reversed(promises) if not promise.done()), before)


class Lines(NamedTuple):
    """Lines that are being learnt."""

    parsed: list[tuple[int, Event | Label | ServiceError]]
    promises: list[asyncio.Future[Answer]]
    """The pending answers of the lines that could be parsed; none after an outage."""
    outage: ServiceError | None


async def _answered(lines: Lines, metrics: Metrics) -> bytes:
    promises = iter(lines.promises)
    written: list[bytes] = []
    time_slice = TimeSlice()
    for number, one in lines.parsed:
        await time_slice.yield_if_expired()
        if isinstance(one, ServiceError):
            answer: Answer = one
        elif lines.outage is not None and not lines.promises:
            answer = lines.outage
        else:
            answer = await next(promises)
        written.append(answer if isinstance(answer, bytes) else encode(answer, metrics, line=number))
    return b"\n".join([*written, b""])


def _message(line: bytes | ServiceError) -> Event | Label | ServiceError:
    if isinstance(line, ServiceError):
        return line
    try:
        return parse_message(line)
    except BadRequest as error:
        return error


async def _lines(request: Request, limit: int) -> AsyncIterator[list[tuple[int, bytes | ServiceError]]]:
    """Numbered lines of a body as they come in, blank ones left out; a line above the limit becomes an error."""
    rest, too_long, number = b"", False, 0
    lines: list[tuple[int, bytes | ServiceError]] = []
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if too_long or len(line) > limit:
                lines.append((number, TooLarge(f"a line may have at most {limit} bytes")))
                too_long = False
            elif line.strip():
                lines.append((number, line))
            if len(lines) == LINES_AT_ONCE:
                yield lines
                lines = []
        if len(rest) > limit:
            rest, too_long = b"", True
        if lines:
            yield lines
            lines = []
    if too_long or rest.strip():
        yield [(number + 1, TooLarge(f"a line may have at most {limit} bytes") if too_long else rest)]


def encode(answer: Answer, metrics: Metrics, **more: object) -> bytes:
    """An answer as JSON; a problem also gets the fields of `more`."""
    if isinstance(answer, bytes):
        return answer
    metrics.refused.labels(answer.slug).inc()
    return pydantic_core.to_json(answer.problem() | more)
