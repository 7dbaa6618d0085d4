"""How long a store may go on failing while events wait for it."""

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

RESOLUTION = 0.001
"""Seconds by which the event loop may call too early."""


class StoreDeadline:
    """A deadline for a store that fails or is slow: `async with` raises TimeoutError when the deadline has passed.

    The store has failed when a command failed and no write was confirmed for `limit` seconds since that command was
    sent. A command takes at most `command` seconds, so time before that is not counted. `left` is the time that the
    store may take in all, even if its commands succeed; None for no such bound. The clock is paused while we wait for
    anything but the store.
    """

    def __init__(self, limit: float, command: float, left: float | None = None) -> None:
        self._limit = limit
        self._command = command
        self._left = left
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._sent = self._began = 0.0
        self._paused_seconds = 0.0
        self._paused = False
        self._failing_until: float | None = None
        """When the store has failed for too long; None while it does not fail."""
        self._slow_until: float | None = None
        """When the store has taken too long in all; None for no bound."""

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._began = asyncio.get_running_loop().time()
        if self._left is not None:
            self._slow_until = self._began + self._left
            self._apply()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    @property
    def spent(self) -> float:
        """Seconds that the store has taken since the beginning."""
        return asyncio.get_running_loop().time() - self._began - self._paused_seconds

    def command_sent(self) -> None:
        """Note that a command is sent to the store now."""
        self._sent = asyncio.get_running_loop().time()

    def command_failed(self) -> None:
        """Start the clock of a failing store, unless it runs already.

        Raises TimeoutError where the deadline has passed and this task was not cancelled: `asyncio.wait_for` of Python
        3.11, in which redis-py sends, swallows a cancellation that comes just when the command has been sent.
        """
        if self._timeout.expired():
            raise TimeoutError
        if self._failing_until is None:
            now = asyncio.get_running_loop().time()
            self._failing_until = max(self._sent, now - self._command) + self._limit
            self._apply()

    def write_confirmed(self) -> None:
        """The store has taken a write, or said why it did not: no deadline is left."""
        self._failing_until = self._slow_until = None
        self._apply()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the clock; afterwards the next command counts as sent."""
        self._paused = True
        self._apply()
        self.command_sent()
        began = self._sent
        yield
        self.command_sent()
        seconds = self._sent - began
        self._paused = False
        self._paused_seconds += seconds
        self._failing_until = None if self._failing_until is None else self._failing_until + seconds
        self._slow_until = None if self._slow_until is None else self._slow_until + seconds
        self._apply()

    @property
    def _deadline(self) -> float | None:
        """When the waiting ends, by the clock of the event loop; None for never, as things are."""
        bounds = [when for when in (self._failing_until, self._slow_until) if when is not None]
        return None if self._paused else min(bounds, default=None)

    def _apply(self) -> None:
        """Have a timer for the deadline, if there is one.

        A timer that is too early is left alone: when it is due, it looks at the deadline again. So an event of a
        healthy store needs one timer, however often its clock is paused.
        """
        deadline = self._deadline
        if self._timeout.expired():
            return  # too late to move anything
        if self._timeout.when() is not None:
            self._timeout.reschedule(deadline)
        elif deadline is not None and (self._timer is None or deadline < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(deadline, self._due)

    def _due(self) -> None:
        """End the waiting if the deadline has come; else go on waiting."""
        self._timer = None
        deadline = self._deadline
        if deadline is None or deadline > asyncio.get_running_loop().time() + RESOLUTION:
            self._apply()
        else:
            self._timeout.reschedule(deadline)
