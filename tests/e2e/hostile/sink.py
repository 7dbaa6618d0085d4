"""Somebody who can be attacked and does next to nothing: the control of the measurements.

It tells its port, takes WebSockets, reads whatever comes and throws it away. A request is refused when it has come
whole, or goes on for too long; lines and frames may go on until they say that they end; who says nothing is left.
"""

import asyncio
import contextlib
import re
import sys

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
MOST = 128 * 1024
"""Bytes of a request without an end."""
ENDS = (b"0\r\n\r\n", b"\x88\x80\0\0\0\0")
"""Of lines that came in chunks, and of a WebSocket."""
SILENCE_SECONDS = 5.0


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._wanted: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it for a while."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._patience = asyncio.get_running_loop().call_later(SILENCE_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._patience.cancel()

    def data_received(self, data: bytes) -> None:
        """Look at the first bytes, throw away the rest."""
        if self._wanted is None:
            self._patience.cancel()
            self._wanted = self._begin(data)
        self._wanted -= len(data)
        if (self._wanted <= 0 or data.endswith(ENDS)) and not self._transport.is_closing():
            self._transport.write(REFUSED)
            self._transport.close()

    def _begin(self, data: bytes) -> int:
        """Bytes of it all; very many where nobody can say."""
        whole = re.match(rb"(?s:.*?)\r\n\r\n", data)
        if whole is None:
            return MOST
        if b"Upgrade: websocket" in data:
            self._transport.write(ACCEPTED)
            return sys.maxsize
        if b"chunked" in whole[0]:
            return sys.maxsize if b"x-ndjson" in whole[0] else MOST
        length = re.search(rb"Content-Length: (\d{1,9})\r", whole[0])
        return whole.end() + int(length[1] if length else 0)


async def main() -> None:
    """Serve until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
