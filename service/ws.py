"""The WebSocket: events in, outcomes out, in order, pipelined. Translates only.

A reader puts each message into the stream's queue at once; a writer sends the answers in the order of the messages.
At most `IN_FLIGHT` messages are unanswered: a client that does not read is not read from.
"""

import asyncio
import re

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from service.api import encode
from service.errors import BadRequest, NotFound, ServiceError, Unavailable
from service.metrics import Metrics
from service.parsing import parse_message
from service.queues import Answer
from service.schemas import STREAM_NAME
from service.streams import Streams

IN_FLIGHT = 256
"""Messages of one connection that may be unanswered."""

router = APIRouter()


@router.websocket("/v1/streams/{stream}/ws")
async def observe(socket: WebSocket, stream: str) -> None:
    """Each text message an event, or the label of one; each answer an outcome or a problem object."""
    state = socket.app.state
    streams: Streams = state.streams
    metrics: Metrics = state.metrics
    await socket.accept()
    try:
        state.kernels.check()
        await streams.open(_checked(stream))
    except ServiceError as error:
        await socket.send_text(encode(error, metrics).decode())
        await socket.close(error.close_code)
        return
    with metrics.websockets.track_inprogress():
        await _converse(socket, streams, stream, metrics)


async def _converse(socket: WebSocket, streams: Streams, stream: str, metrics: Metrics) -> None:
    promises: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue(IN_FLIGHT)
    writer = asyncio.create_task(_write(socket, promises, metrics))
    reader = asyncio.create_task(_read(socket, streams, stream, promises))
    try:
        await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and not writer.done():
            await writer
    finally:
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)


async def _read(
    socket: WebSocket, streams: Streams, stream: str, promises: asyncio.Queue[asyncio.Future[Answer] | None]
) -> None:
    """Until the client goes: every message into the queue, its promise to the writer."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            await promises.put(None)
            return
        try:
            text = message.get("text")
            if text is None:
                raise BadRequest("send text messages, one JSON object each")
            [promise] = await streams.submit(stream, [parse_message(text.encode("utf-8", "surrogatepass"))])
        except ServiceError as error:
            promise = asyncio.get_running_loop().create_future()
            promise.set_result(error)
        await promises.put(promise)


async def _write(
    socket: WebSocket, promises: asyncio.Queue[asyncio.Future[Answer] | None], metrics: Metrics
) -> None:
    """Every answer in order. After an outage the connection ends, so that the order of events has no hole."""
    try:
        while (promise := await promises.get()) is not None:
            answer = await promise
            await socket.send_text(encode(answer, metrics).decode())
            if isinstance(answer, (Unavailable, NotFound)):
                await socket.close(answer.close_code)
                return
    except (WebSocketDisconnect, RuntimeError, OSError):
        return  # the client has gone; what it sent is learnt all the same


def _checked(name: str) -> str:
    if not re.fullmatch(STREAM_NAME, name):
        raise NotFound("a stream's name is 1 to 64 letters, digits, _ or -")
    return name
