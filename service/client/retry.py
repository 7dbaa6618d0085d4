"""When a client sends a request again: after a pause, as long as that is safe and may help."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from .errors import ApiError, Unreachable

FIRST_PAUSE = 0.2
"""Seconds: the longest pause before the second attempt. Each further pause may be twice as long."""
LONGEST_PAUSE = 5.0
"""Seconds: the longest pause before any attempt, beside what the service asks for."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how long a client sends one request."""

    url: str
    """The address of the service, for messages."""
    retries: int = 5
    """Further attempts after the first; with 0, a request is sent once."""
    deadline: float = 15.0
    """Seconds from the first attempt after which no other begins. An attempt under way ends soon after."""
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.SystemRandom().random
    """A random number from 0 to 1, so that clients that failed together do not come back together."""

    def attempts(self, *, repeatable: bool = True) -> "Attempts":
        """The attempts at one request. A request that must not be repeated has one attempt."""
        return Attempts(self, self.retries if repeatable else 0)


class Attempts:
    """The attempts at one request. Each runs in `with`, which swallows a failure that is worth another attempt.

        while not done:
            with attempts:
                ...            # send and read; done = True
            sleep(attempts.pause)

    Every error of httpx becomes Unreachable.
    """

    def __init__(self, policy: Policy, retries: int) -> None:
        self._policy = policy
        self._retries = retries
        self._failed = 0
        self._due = policy.clock() + policy.deadline
        self.pause = 0.0
        """Seconds to wait before the next attempt."""

    def progress(self) -> None:
        """Take note that a part was answered: a failure after that is counted from the start."""
        self._failed = 0
        self._due = self._policy.clock() + self._policy.deadline

    def timeout(self, usual: float) -> float:
        """Seconds for a step of the next attempt: `usual` for the first, later no longer than until the deadline."""
        return usual if self._failed == 0 else min(usual, max(self._due - self._policy.clock(), FIRST_PAUSE))

    def __enter__(self) -> Self:
        self.pause = 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, httpx.RequestError):
            failure: Unreachable | ApiError = Unreachable(
                f"no answer from {self._policy.url}: {error}",
                passing=not isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError),
            )
        elif isinstance(error, Unreachable | ApiError):
            failure = error
        else:
            return False
        if self._again(failure):
            return True
        if failure is error:
            return False
        raise failure from error

    def _again(self, failure: Unreachable | ApiError) -> bool:
        """Whether another attempt follows; sets the `pause` before it."""
        if not failure.passing or self._failed >= self._retries:
            return False
        longest = min(FIRST_PAUSE * 2**self._failed, LONGEST_PAUSE)
        # At least half of the longest pause: a server that restarts needs time. What the service asks for is added.
        pause = longest * (1 + self._policy.chance()) / 2
        if isinstance(failure, ApiError) and failure.retry_after is not None:
            pause += failure.retry_after
        if self._policy.clock() + pause >= self._due:
            return False
        self._failed += 1
        self.pause = pause
        return True
