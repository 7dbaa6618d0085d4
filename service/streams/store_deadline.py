"""How long a store may go on failing while something waits for it."""

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self


class StoreDeadline:
    """A deadline for a store that fails or is slow, and only for that: `async with` raises TimeoutError when it passed.

    Where the store fails, the clock runs from the moment when the command that failed first was sent, for `limit`
    seconds, until the store takes a write. It stands still while something else than the store takes time. `command` is
    the number of seconds that a command may take at most, so that nothing before it is counted. `left`, where it is
    given, is what the store may take in all, also where it answers.
    """

    def __init__(self, limit: float, command: float, left: float | None = None) -> None:
        self._limit = limit
        self._command = command
        self._left = left
        self._bound = asyncio.timeout(None)
        self._asked = self._began = 0.0
        self._stood = 0.0
        self._due: float | None = None
        self._latest: float | None = None

    async def __aenter__(self) -> Self:
        await self._bound.__aenter__()
        self._began = asyncio.get_running_loop().time()
        if self._left is not None:
            self._latest = self._began + self._left
            self._apply()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bound.__aexit__(kind, error, trace)

    @property
    def spent(self) -> float:
        """Seconds that the store has taken since the beginning."""
        return asyncio.get_running_loop().time() - self._began - self._stood

    def ask(self) -> None:
        """The store is asked from now on."""
        self._asked = asyncio.get_running_loop().time()

    def failed(self) -> None:
        """It has failed; the clock runs. Raises TimeoutError where the deadline has passed unnoticed (`_apply`)."""
        if self._bound.expired():
            raise TimeoutError
        if self._due is None:
            now = asyncio.get_running_loop().time()
            self._due = max(self._asked, now - self._command) + self._limit
            self._apply()

    def answered(self) -> None:
        """It has taken a write, or said why not; the clocks are reset."""
        self._due = self._latest = None
        self._apply()

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """The clocks stand still; afterwards the store is asked again."""
        self._apply(still=True)
        self.ask()
        began = self._asked
        yield
        self.ask()
        stood = self._asked - began
        self._stood += stood
        self._due = None if self._due is None else self._due + stood
        self._latest = None if self._latest is None else self._latest + stood
        self._apply()

    def _apply(self, *, still: bool = False) -> None:
        """Move the deadline, unless it has passed: then the waiting ends, or has ended without this task's notice.

        (asyncio.wait_for of Python 3.11, in which redis-py sends, swallows a cancellation that comes in the moment when
        the command has been sent.)
        """
        if not self._bound.expired():
            due = [when for when in (self._due, self._latest) if when is not None and not still]
            self._bound.reschedule(min(due, default=None))
