"""The file that a child service prints to, in bounded space: `service.log`, and what came before it as `service.log.1`.

The service prints through its standard output and standard error, not through a handler of its own, so that the file
also has what an interpreter says when it dies. The files are exchanged below those two descriptors.
"""

import asyncio
import os
from pathlib import Path

LARGEST_BYTES = 10_000_000
"""Size at which a new file begins. Two files are kept, so both take at most about twice this."""
CHECK_SECONDS = 5.0


def rotate(path: Path) -> bool:
    """Rename the file when it is larger than LARGEST_BYTES, in place of an older one. Returns whether it was."""
    if not path.exists() or path.stat().st_size <= LARGEST_BYTES:
        return False
    path.replace(path.with_name(f"{path.name}.1"))
    return True


def reopen(path: Path) -> None:
    """Let standard output and standard error of this process go to the end of `path`."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for descriptor in (1, 2):
            os.dup2(opened, descriptor)
    finally:
        os.close(opened)


async def keep_small(path: Path) -> None:
    """Rotate the file that this process prints to whenever it has become too large, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        if rotate(path):
            reopen(path)
