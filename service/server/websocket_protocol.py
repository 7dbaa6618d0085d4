"""uvicorn's WebSocket connection with the limits that it lacks: on the frames of an unfinished message, and on the time
that one connection may keep the event loop (40,000 frames can arrive at once).
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from ..errors import HeadTooLarge
from ..timeslice import TimeSlice
from .raw_response import response_bytes

MAX_PARTS = 1024
"""Frames of one message. A limit on bytes does not bound them: frames may be empty."""
PIECE = 64
"""Bytes that are parsed before the first look at the clock (ten empty frames); each next piece is twice as long. The
cost is in the frames, not in the bytes."""


class Frames(WebSocketsSansIOProtocol):
    """One connection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._unread = bytearray()
        """Bytes that have arrived and are not parsed yet; reading from the client is paused meanwhile."""
        self._next: asyncio.Handle | None = None
        self._held = False
        """Whether reading is paused because of `_unread`."""

    def data_received(self, data: bytes) -> None:
        """Parse as much as fits into a time slice; the rest waits."""
        self._unread += data
        if self._next is None:
            self._read_slice()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop unread bytes."""
        self._unread.clear()
        super().connection_lost(exc)

    async def receive(self) -> Any:
        """A message for the application; once it has taken all of them, parsing goes on."""
        message = await super().receive()
        self._schedule_read()
        return message

    async def send(self, message: Any) -> None:
        """Send a message of the application; after a close, reading goes on until the client closes as well.

        A complete refusal ends the handshake; uvicorn would log it as an error of the service.
        """
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
        self._schedule_read()

    def _schedule_read(self) -> None:
        if self._unread and self._next is None and not self.read_paused:
            self._held = True
            self.transport.pause_reading()
            self._next = self.loop.call_soon(self._read_slice)

    def _read_slice(self) -> None:
        self._next, time_slice, size = None, TimeSlice(), PIECE
        while self._unread and not self.read_paused:
            piece = bytes(self._unread[:size])
            del self._unread[:size]
            size *= 2
            super().data_received(piece)
            if self.conn.handshake_exc is not None and not self.handshake_initiated:
                # uvicorn ignores this error and would never close the connection.
                self.transport.write(
                    response_bytes(HeadTooLarge("the headers of the handshake are too many or too long"))
                )
                self.transport.close()
            if self.transport.is_closing():
                self._unread.clear()
                return
            if time_slice.expired():
                break
        self._schedule_read()
        if self._held and not (self._unread or self.read_paused):
            self._held = False
            self.transport.resume_reading()

    def handle_cont(self, event: Frame) -> None:
        """Take a continuation frame; too many frames end the connection."""
        if self.close_sent:
            return
        if len(self.frames) >= MAX_PARTS:
            self.frames = []
            self._end(CloseCode.MESSAGE_TOO_BIG)
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless the client has not read what was sent before (RFC 6455, 5.5.3)."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def send_receive_event_to_app(self) -> None:
        """Pass on a message. Text that is not UTF-8 ends the connection; the client is at fault, not the service."""
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
