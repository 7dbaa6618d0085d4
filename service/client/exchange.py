"""An answer that comes in pieces, and may have to be asked for again where it broke off. No input or output.

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
    """What `Client` and `AsyncClient` send and read, without knowing what it is about."""

    idle: float | None
    """Seconds without a byte after which the connection counts as lost; None: as for every other request."""

    @property
    def done(self) -> bool:
        """Whether there is nothing to ask for any more."""

    def request(self) -> Request:
        """What is to be sent now: what is still missing."""

    def opened(self, status: int) -> bool:
        """The response is a success. Returns whether that alone is progress."""

    def read(self, part: bytes) -> Iterator[T_co]:
        """The answers that a piece of the body completes. Raises Unreachable."""

    def ended(self) -> None:
        """The body has ended. Raises ApiError or Unreachable where something is missing."""
