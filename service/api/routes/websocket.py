"""The WebSocket: events in, outcomes out, in order, pipelined. Translates only.

A reader puts each message into the stream's queue at once; a writer sends the answers in the order of the messages.
At most `IN_FLIGHT` messages are unanswered: a client that does not read is not read from, and one that does not read
for `socket_seconds` is dropped, with code 1013. When the service ends, what was read is answered, and the connection
closed with code 1012: connect again, somewhere else.
"""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from ...errors import BadRequest, NotFound, ServiceError, Unavailable
from ...observability.metrics import Metrics
from ...schemas import STREAM_NAME, Question
from ...streams.queue import Answer
from ...streams.service import Streams
from ...timeslice import TimeSlice
from ..ndjson import encode, newest
from ..parsing import parse_question

IN_FLIGHT = 256
"""Messages of one connection that may be unanswered."""
RESTARTING, TRY_LATER = 1012, 1013
"""Codes of closing (RFC 6455 and its registry)."""

GONE = (WebSocketDisconnect, RuntimeError, OSError)
"""What sending raises when the client has gone."""

PendingAnswer: TypeAlias = asyncio.Future[Answer] | Question
"""A pending answer; or a question, which is answered after everything before it."""

router = APIRouter()


@dataclass
class OpenSockets:
    """The open WebSockets of one process, so that it can end them in order."""

    seconds: float
    """How long a client may leave an answer unread."""
    open: set[asyncio.Task[None]] = field(default_factory=set)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self, seconds: float) -> None:
        """Let all of them answer the messages that they have read, and end; give up on slow ones."""
        self.closing.set()
        if self.open:
            await asyncio.wait(self.open, timeout=seconds)


@router.websocket("/v1/streams/{stream}/ws")
async def observe(socket: WebSocket, stream: str) -> None:
    """Each text message an event, the label of one, or a question; each answer an outcome or a problem object."""
    state = socket.app.state
    streams: Streams = state.streams
    metrics: Metrics = state.metrics
    sockets: OpenSockets = state.sockets
    await socket.accept()
    try:
        if socket.scope["query_string"]:
            raise BadRequest("the query parameters of this address are: none")
        state.kernels.check()
        await streams.open(_checked(stream))
    except ServiceError as error:
        with contextlib.suppress(*GONE):
            await socket.send_text(encode(error, metrics).decode())
            await socket.close(error.close_code)
        return
    task = asyncio.ensure_future(_converse(socket, streams, stream, metrics, sockets))
    sockets.open.add(task)
    task.add_done_callback(sockets.open.discard)
    with metrics.websockets.track_inprogress():
        await task


async def _converse(socket: WebSocket, streams: Streams, stream: str, metrics: Metrics, sockets: OpenSockets) -> None:
    answers: asyncio.Queue[PendingAnswer | None] = asyncio.Queue()
    free = asyncio.Semaphore(IN_FLIGHT)
    writer = asyncio.create_task(_write(socket, streams, stream, answers, free, metrics, sockets))
    reader = asyncio.create_task(_read(socket, streams, stream, answers, free))
    closing = asyncio.create_task(sockets.closing.wait())
    try:
        await asyncio.wait((reader, writer, closing), return_when=asyncio.FIRST_COMPLETED)
        if not writer.done():
            reader.cancel()
            await asyncio.wait((reader,))
            answers.put_nowait(None)
            await writer
    finally:
        for task in (reader, writer, closing):
            task.cancel()
        await asyncio.gather(reader, writer, closing, return_exceptions=True)


async def _read(
    socket: WebSocket,
    streams: Streams,
    stream: str,
    answers: asyncio.Queue[PendingAnswer | None],
    free: asyncio.Semaphore,
) -> None:
    """Put every message into the stream's queue, and its answer into `answers`, until the client goes.

    A message is read when one of the places of unanswered messages is free, so that none is read whose answer has no
    place. After an outage nothing more is learnt, also while the connection is still open.
    """
    last: asyncio.Future[Answer] | None = None
    time_slice = TimeSlice()
    while True:
        await time_slice.yield_if_expired()
        await free.acquire()
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        answer: PendingAnswer
        try:
            text = message.get("text")
            if text is None:
                raise BadRequest("send text messages, one JSON object each")
            asked = parse_question(text.encode("utf-8", "surrogatepass"))
            if isinstance(asked, Question):
                answer = asked
            else:
                [answer] = await streams.submit(stream, [asked], behind=last)
                last = newest([answer], last)
        except ServiceError as error:
            answer = asyncio.get_running_loop().create_future()
            answer.set_result(error)
        answers.put_nowait(answer)


async def _write(
    socket: WebSocket,
    streams: Streams,
    stream: str,
    answers: asyncio.Queue[PendingAnswer | None],
    free: asyncio.Semaphore,
    metrics: Metrics,
    sockets: OpenSockets,
) -> None:
    """Send every answer in order. After an outage the connection ends, so that the order of events has no hole."""
    code, time_slice = None, TimeSlice()
    try:
        while (pending := await answers.get()) is not None:
            answer = await _version(streams, stream) if isinstance(pending, Question) else await pending
            async with asyncio.timeout(sockets.seconds):
                await socket.send_text(encode(answer, metrics).decode())
            free.release()
            await time_slice.yield_if_expired()
            if isinstance(answer, (Unavailable, NotFound)):
                code = answer.close_code
                break
        else:
            code = RESTARTING if sockets.closing.is_set() else None
    except TimeoutError:
        code = TRY_LATER  # the client does not read: nothing more is kept for it
    except GONE:
        return  # what the client sent is learnt all the same
    if code is not None:
        with contextlib.suppress(TimeoutError, *GONE):
            async with asyncio.timeout(sockets.seconds):
                await socket.close(code)


async def _version(streams: Streams, stream: str) -> Answer:
    """The answer to a question: the version, all that was sent before it on this connection included."""
    try:
        return b'{"version":%d}' % await streams.version(stream)
    except ServiceError as error:
        return error


def _checked(name: str) -> str:
    if not re.fullmatch(STREAM_NAME, name):
        raise NotFound("a stream's name is 1 to 64 letters, digits, _ or -")
    return name
