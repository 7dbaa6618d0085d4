"""An answer that comes in pieces, and that is requested again from where it broke off. No input or output.

while not exchange.done:
    send exchange.request(), and when its response is a success:
        exchange.opened(status)
        for each piece of its body: yield from exchange.read(piece)
        exchange.ended()
"""

from collections.abc import Iterator
from typing import Protocol, TypeVar

from .calls import Request

T_co = TypeVar("T_co", covariant=True)


class Exchange(Protocol[T_co]):
    """Requests and answers as `Client` and `AsyncClient` send and read them, whatever they are about."""

    idle: float | None
    """Seconds without a byte after which the connection counts as lost; None for the timeout of other requests."""

    @property
    def done(self) -> bool:
        """Whether everything is answered."""

    def request(self) -> Request:
        """The request for what is still missing."""

    def opened(self, status: int) -> bool:
        """Take the status of a successful response. Returns whether that alone is progress."""

    def read(self, part: bytes) -> Iterator[T_co]:
        """The answers that a piece of the body completes. Raises Unreachable for a body that makes no sense."""

    def ended(self) -> None:
        """Take the end of the body. Raises ApiError or Unreachable when answers are missing."""
