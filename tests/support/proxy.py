"""A TCP proxy on loopback that answers late, loses answers, or breaks off in the middle of one."""

import asyncio
import contextlib
import threading
from typing import Literal, Self

HOST = "127.0.0.1"
PART = 64 * 1024

Cut = Literal["lost", "half"]
"""What happens to an answer before its connection is closed: nobody gets it, or only its first half."""


class Proxy:
    """Between a service and the server on `port`, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.cuts = 0
        """Connections cut so far."""
        self._target = port
        self._port = 0
        self._delay = 0.0
        self._cut: Cut | None = None
        self._marker = b""
        self._every = 1
        self._matched = 0
        self._loop = asyncio.new_event_loop()
        self._healed = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        return f"redis://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, HOST, 0), self._loop).result()
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def delay(self, seconds: float) -> None:
        """Every answer comes so much later, until `heal`."""
        self._loop.call_soon_threadsafe(self._fault, seconds, None, b"", 1)

    def cut(self, how: Cut, marker: bytes = b"", every: int = 2) -> None:
        """Cut the connection at every `every`-th answer that holds `marker`, once the server has given it whole."""
        self._loop.call_soon_threadsafe(self._fault, 0.0, how, marker, every)

    def heal(self) -> None:
        """From now on it is a wire; what was held back goes on at once."""
        self._loop.call_soon_threadsafe(self._fault, 0.0, None, b"", 1)

    def _fault(self, delay: float, cut: Cut | None, marker: bytes, every: int) -> None:
        self._healed.set()
        self._healed = asyncio.Event()
        self._delay, self._cut, self._marker, self._every = delay, cut, marker, every

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            theirs, to_server = await asyncio.open_connection(HOST, self._target)
            writers.append(to_server)
            # Whichever side closes first: the other is closed as well.
            pumps = [asyncio.create_task(pump) for pump in (_pump(reader, to_server), self._answers(theirs, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        except asyncio.CancelledError:  # the end; asyncio would log a task that was cancelled
            pass
        finally:
            for one in writers:
                one.close()
            with contextlib.suppress(OSError):
                await asyncio.gather(*(one.wait_closed() for one in writers))
            self._tasks.discard(task)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PART):
            if self._delay:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._healed.wait(), self._delay)
            if self._cut is not None and self._marker in data:
                self._matched += 1
                if self._matched % self._every == 0:
                    self.cuts += 1
                    if self._cut == "half":
                        writer.write(data[: len(data) // 2])
                        await writer.drain()
                    return
            writer.write(data)
            await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PART):
        writer.write(data)
        await writer.drain()
