"""uvicorn's WebSocket connection with what it lacks: bounds on what a client can make it keep without a message."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

MAX_PARTS = 1024
"""Frames of one message. Empty ones are within any limit on its bytes."""


class Frames(WebSocketsSansIOProtocol):
    """One connection."""

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
