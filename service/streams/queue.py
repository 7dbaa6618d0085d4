"""What waits for a stream in this process: the events as they came, and the promises of their answers."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from ... import model
from ..codec.events import FINGERPRINT, EncodedEvent, encode_event
from ..codec.outcomes import OutcomeWriter
from ..errors import BadEvent, ServiceError
from ..learners.cache import CachedLearner
from ..schemas import Event, Label

Answer: TypeAlias = bytes | ServiceError
"""An outcome as JSON, or why there is none."""


@dataclass(frozen=True, slots=True)
class StreamCodec:
    """How the events of a stream are read and its outcomes written, until it is deleted and created anew."""

    epoch: str
    config: model.Config
    writer: OutcomeWriter

    @classmethod
    def of(cls, copy: CachedLearner) -> Self:
        """That of a learner."""
        config = copy.learner.config
        return cls(copy.position.epoch, config, OutcomeWriter(config))


@dataclass(slots=True)
class PendingEvent:
    """An event in the queue and the promise of its answer."""

    event: Event | Label
    shape: StreamCodec
    arrival: EncodedEvent
    """The event as `shape` reads it."""
    answer: asyncio.Future[Answer]
    arrived: float = 0.0
    """When it was put into the queue, by the clock of the event loop;"""
    store_seconds: float = 0.0
    """and what the stream had waited for the store until then."""
    origin: Context | None = None
    """Where it was put there: in the path of which request."""

    @property
    def id(self) -> str | None:
        """Of the event, or of the one that a label is for."""
        return self.arrival.id

    @property
    def late(self) -> bool:
        """Whether it is a label, or waits for one."""
        return isinstance(self.event, Label) or self.event.y is None

    def repeats(self, fingerprint: bytes) -> bool:
        """Whether a known event of this id is the same: in all that this one says of it."""
        mine, half = self.arrival.fingerprint(), FINGERPRINT // 2
        if isinstance(self.event, Label):
            return fingerprint[half:FINGERPRINT] == mine[half:]
        return fingerprint[: half if self.late else FINGERPRINT] == mine[: half if self.late else FINGERPRINT]

    def keep(self, answer: Answer) -> None:
        """Keep the promise, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fits(self, shape: StreamCodec) -> bool:
        """Whether the event can still be learnt; it is read again where the stream is another one by now."""
        if not self.answer.done() and self.shape is not shape:
            try:
                self.shape, self.arrival = shape, encode_event(shape.config, self.event)
            except BadEvent as error:
                self.keep(error)
        return not self.answer.done()


@dataclass(slots=True)
class StreamState:
    """What this process holds of a stream beside the hot copy."""

    name: str
    shape: StreamCodec
    queue: deque[PendingEvent] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    working: int = 0
    """Events of the batch that is under way."""
    event_seconds: float | None = None
    """Running mean of the time that learning one event takes; None before the first."""

    store_seconds: float = 0.0
    """What its batches have waited for the store, in all."""
    deferring: bool = False
    """Whether events wait for their labels, as far as this process knows: all that come later wait behind them."""

    def become(self, copy: CachedLearner) -> None:
        """Go on as the stream of this name that there is now."""
        self.shape, self.event_seconds, self.deferring = StreamCodec.of(copy), None, False


def refuse(waiting: Iterable[PendingEvent], error: ServiceError) -> None:
    """Answer all of them with an error: none of them will be learnt, unless its commit is on its way already."""
    for one in waiting:
        one.keep(error)
