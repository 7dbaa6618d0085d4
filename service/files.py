"""Files that are replaced as a whole, and logs that do not grow for ever."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LOG_BYTES = 4 * 1024 * 1024
"""The size from which a log is rotated: with the one before it, a log takes little more than twice as much."""


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well; nobody ever reads half of it.

    The file has the permissions and the owner of the one before it; the first one has `mode` less the umask. The owner
    stays another one only where this process may not change it. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    before = path.stat() if path.exists() else None
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
            file.flush()
            if before is not None:
                os.fchmod(file.fileno(), before.st_mode & 0o777)
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def rotate(path: Path, limit: int = LOG_BYTES) -> bool:
    """Move a log with more than `limit` bytes to `<name>.1`, at most its last `limit`. Returns whether it did so.

    The log itself is emptied, not renamed, so that a process that appends to it (O_APPEND) goes on at its new end. What
    such a process writes between the copy and the emptying is lost. Raises OSError.
    """
    if not path.is_file() or path.stat().st_size <= limit:
        return False
    with path.open("rb") as log, replacing(path.with_name(f"{path.name}.1"), 0o600) as older:
        log.seek(-limit, os.SEEK_END)
        shutil.copyfileobj(log, older)
    os.truncate(path, 0)
    return True
