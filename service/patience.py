"""How long a store may go on failing while something waits for it."""

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self


class Patience:
    """A deadline for a store that fails, and only for that: `async with` raises TimeoutError when it has passed.

    The clock runs from the moment when the command that failed first was sent, for `limit` seconds, until the store
    takes a write; it stands still while something else than the store takes time. `command` is the number of seconds
    that a command may take at most, so that nothing before it is counted.
    """

    def __init__(self, limit: float, command: float) -> None:
        self._limit = limit
        self._command = command
        self._bound = asyncio.timeout(None)
        self._asked = 0.0

    async def __aenter__(self) -> Self:
        await self._bound.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bound.__aexit__(kind, error, trace)

    def ask(self) -> None:
        """The store is asked from now on."""
        self._asked = asyncio.get_running_loop().time()

    def failed(self) -> None:
        """It has failed; the clock runs. Raises TimeoutError where the deadline has passed unnoticed (`_set`)."""
        if self._bound.expired():
            raise TimeoutError
        if self._bound.when() is None:
            now = asyncio.get_running_loop().time()
            self._set(max(self._asked, now - self._command) + self._limit)

    def answered(self) -> None:
        """It has taken a write, or said why not; the clock is reset."""
        self._set(None)

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """The clock stands still; afterwards the store is asked again."""
        due = self._bound.when()
        self._set(None)
        self.ask()
        began = self._asked
        yield
        self.ask()
        if due is not None:
            self._set(due + self._asked - began)

    def _set(self, when: float | None) -> None:
        """Move the deadline, unless it has passed: then the waiting ends, or has ended without this task's notice.

        (asyncio.wait_for of Python 3.11, in which redis-py sends, swallows a cancellation that comes in the moment when
        the command has been sent.)
        """
        if not self._bound.expired():
            self._bound.reschedule(when)
