"""Says how far the compilation of the kernels has come: in the log, and to the process that started the service."""

import asyncio
import contextlib
import logging
import socket
import time

from ..learners.kernels import Kernels

logger = logging.getLogger(__name__)

TELL_SECONDS = 1.0
"""Between two messages to the parent process."""
LOG_EVERY = 10
"""Messages to the parent for each line in the log."""


async def report(kernels: Kernels, parent: socket.socket | None) -> None:
    """Report until the kernels are ready. Where the cache has all of them, nothing is said."""
    began, told = time.monotonic(), 0
    while not kernels.ready.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kernels.ready.wait(), TELL_SECONDS)
        compiled, count = kernels.progress
        if count == 0 or kernels.ready.is_set():
            continue
        text = f"compiling kernel {min(compiled + 1, count)} of {count}, {time.monotonic() - began:.0f} s so far"
        if told % LOG_EVERY == 0:
            logger.info(text)
        told += 1
        if parent is not None:
            # A parent that has gone is noticed elsewhere, and ends the service.
            with contextlib.suppress(OSError):
                parent.sendall(f"{text}\n".encode())
