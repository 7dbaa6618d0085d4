"""The keys that a running service accepts: those of the keys file, which is read again when it changes."""

import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import CommandError
from . import keys
from .keys import Key

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""The shortest time between two looks at the file, which happen when a request brings a key. So a revoked key is
refused after a second at the latest."""

_NOBODY = "0" * 64


class Keyring:
    """Finds keys. While the file is damaged or gone, the service logs that and keeps the keys that it read last."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises CommandError when the file cannot be read. `clock` gives seconds."""
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._seen = self._look()
        self._keys = {key.id: key for key in keys.read(path)}

    def __len__(self) -> int:
        """How many keys are accepted."""
        return len(self._keys)

    def find(self, token: str) -> Key | None:
        """What the file holds of a key; None for a key that it does not list."""
        number = keys.identify(token)
        key = self._current().get(number or "")
        if key is None and number is not None:
            # The key may have been made a moment ago, and whoever made it wants to use it at once.
            self._renew()
            key = self._keys.get(number)
        # An unknown id is compared as well, so that the time of an answer tells nothing about ids.
        same = hmac.compare_digest(keys.digest(token), _NOBODY if key is None else key.sha256)
        return key if same else None

    def holds(self, key: Key) -> bool:
        """Whether a key that was found earlier is still accepted, with the same rights."""
        return self._current().get(key.id) == key

    def _current(self) -> dict[str, Key]:
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._renew()
        return self._keys

    def _renew(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        # Set before the file is read: when the file changes meanwhile, the next look finds another state again.
        self._seen = seen
        try:
            self._keys = {key.id: key for key in keys.read(self._path)}
        except CommandError as error:
            logger.error("%s; the keys that it held before are still accepted", error)  # noqa: TRY400 - one line
        else:
            logger.info("the keys file has changed: %d keys", len(self._keys))

    def _look(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino
