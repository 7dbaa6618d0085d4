"""The file that a child service prints to, in bounded space: `service.log`, and what came before it as `service.log.1`.

The service prints through its standard output and standard error, not through a handler of its own, so that the file
also has what an interpreter says when it dies.
"""

import asyncio
import logging
from pathlib import Path

from ..files import LOG_BYTES, rotate

logger = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
"""Between two looks at the size of the file."""


async def keep_small(path: Path, limit: int = LOG_BYTES) -> None:
    """Rotate the file that this process prints to whenever it has more than `limit` bytes, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            rotate(path, limit)
        except OSError as error:
            logger.debug("cannot rotate %s: %s", path, error.strerror)
