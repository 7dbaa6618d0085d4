"""The errors that a client raises.

ClientError
├── ApiError      the service refused: `problem` is its answer
└── Unreachable   no answer, half an answer, or an answer that is not of this service
"""

from http import HTTPStatus

from pydantic import ValidationError

from ..schemas import Problem

PASSING = frozenset({
    HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
})  # fmt: skip
"""Refusals that may pass by themselves. A full store (507) does not: somebody has to make room."""


class ClientError(Exception):
    """The base of all errors of the clients."""


class Unreachable(ClientError):
    """The service gave no answer, or none that makes sense. Whether it did what was asked is unknown."""

    def __init__(self, message: str, *, passing: bool = True) -> None:
        super().__init__(message)
        self.passing = passing
        """Whether sending the request again may help."""


class ApiError(ClientError):
    """The service refused: `problem` is its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait before the next attempt; None where it does not say."""
        seconds = (self.problem.model_extra or {}).get("retry_after")
        return seconds if isinstance(seconds, int | float) else None

    @property
    def passing(self) -> bool:
        """Whether sending the request again may help."""
        return self.status in PASSING


def read_problem(status: int, content: bytes, retry_after: str | None = None) -> Problem:
    """The problem in a refusal; also where a proxy refused in its own words.

    `retry_after` is the header of that name; of its two forms only the number of seconds is read.
    """
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
        problem = Problem(type="about:blank", title=title, status=status, detail=f"HTTP status {status}")
    if retry_after is not None and retry_after.isdecimal() and "retry_after" not in (problem.model_extra or {}):
        return problem.model_copy(update={"retry_after": int(retry_after)})
    return problem
