"""uvicorn's WebSocket connection with what it lacks: bounds on what a client can make it keep without a message, and
on how long it reads at a time. What arrives at once can be 40,000 frames.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from ..errors import HeadTooLarge
from ..timeslice import TimeSlice
from .raw_response import answer

MAX_PARTS = 1024
"""Frames of one message. Empty ones are within any limit on its bytes."""
PIECE = 64
"""Bytes that are read before the clock is looked at, ten empty frames; twice as many each time that there is time left.
What takes long is a frame, and not a byte."""


class Frames(WebSocketsSansIOProtocol):
    """One connection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._unread = bytearray()
        """What has arrived and waits for its turn; nothing more is read from the client meanwhile."""
        self._next: asyncio.Handle | None = None
        self._held = False
        """Whether it is for that that nothing more is read."""

    def data_received(self, data: bytes) -> None:
        """Read as much as there is time for."""
        self._unread += data
        if self._next is None:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing waits any more."""
        self._unread.clear()
        super().connection_lost(exc)

    async def receive(self) -> Any:
        """A message for the application; when it has had all of them, the next ones are read."""
        message = await super().receive()
        self._soon()
        return message

    async def send(self, message: Any) -> None:
        """A message of the application; after one that closes, reading goes on until the client closes as well.

        A refusal that is whole ends the handshake; uvicorn would log it as an error of the service.
        """
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
        self._soon()

    def _soon(self) -> None:
        if self._unread and self._next is None and not self.read_paused:
            self._held = True
            self.transport.pause_reading()
            self._next = self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._next, turn, size = None, TimeSlice(), PIECE
        while self._unread and not self.read_paused:
            piece = bytes(self._unread[:size])
            del self._unread[:size]
            size *= 2
            super().data_received(piece)
            if self.conn.handshake_exc is not None and not self.handshake_initiated:
                # uvicorn does not look at it, and would leave the connection open for good.
                self.transport.write(answer(HeadTooLarge("the headers of the handshake are too many or too long")))
                self.transport.close()
            if self.transport.is_closing():
                self._unread.clear()
                return
            if turn.over():
                break
        self._soon()
        if self._held and not (self._unread or self.read_paused):
            self._held = False
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """One more frame of a message; too many of them end the connection."""
        if self.close_sent:
            return
        if len(self.frames) >= MAX_PARTS:
            self.frames = []
            self._end(CloseCode.MESSAGE_TOO_BIG)
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless the client leaves unread what was sent to it before (RFC 6455, 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def send_receive_event_to_app(self) -> None:
        """Hand on a message; one that is not UTF-8 ends the connection, and is no fault of the service."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self._end(CloseCode.INVALID_DATA)
                return
        super().send_receive_event_to_app()

    def _end(self, code: CloseCode) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
