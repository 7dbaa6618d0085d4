"""When a client asks again: the same request, after a pause, as long as that is safe and may help."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from .errors import ApiError, Unreachable

FIRST_PAUSE = 0.2
"""Longest pause before the second attempt, in seconds; each further one is twice as long,"""
LONGEST_PAUSE = 5.0
"""up to this."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how long a client asks for one thing."""

    url: str
    """Of the service, for messages."""
    retries: int = 5
    """Attempts after the first; 0 asks once."""
    deadline: float = 15.0
    """Seconds from the first attempt after which no further one begins. Those that did begin end soon after."""
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.SystemRandom().random
    """From 0 to 1: what keeps clients that failed together from coming back together."""

    def attempts(self, *, repeatable: bool = True) -> "Attempts":
        """For one thing that is asked for; what must not be repeated has one attempt."""
        return Attempts(self, self.retries if repeatable else 0)


class Attempts:
    """Attempts at one thing. `with` surrounds each: it swallows a failure that is worth a further attempt.

        while not done:
            with attempts:
                ...            # ask; done = True
            sleep(attempts.pause)

    Every failure of httpx leaves as Unreachable.
    """

    def __init__(self, policy: Policy, retries: int) -> None:
        self._policy = policy
        self._retries = retries
        self._failed = 0
        self._due = policy.clock() + policy.deadline
        self.pause = 0.0
        """Seconds to wait before the next attempt."""

    def progress(self) -> None:
        """Something was answered: what fails after it is a new failure."""
        self._failed = 0
        self._due = self._policy.clock() + self._policy.deadline

    def timeout(self, usual: float) -> float:
        """Seconds that a step of the next attempt may take: of the first, `usual`; later not beyond the deadline."""
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
        """Whether there is to be a further attempt; `pause` is before it."""
        if not failure.passing or self._failed >= self._retries:
            return False
        longest = min(FIRST_PAUSE * 2**self._failed, LONGEST_PAUSE)
        # At least half: a server that restarts needs the whole time. What the service asks for comes first.
        pause = longest * (1 + self._policy.chance()) / 2
        if isinstance(failure, ApiError) and failure.retry_after is not None:
            pause += failure.retry_after
        if self._policy.clock() + pause >= self._due:
            return False
        self._failed += 1
        self.pause = pause
        return True
