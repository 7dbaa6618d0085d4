"""Events that are pending in the queue of a stream: each with the answer that its sender waits for."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Self, TypeAlias

from ... import model
from ..codec.events import FINGERPRINT, EncodedEvent, encode_event
from ..codec.outcomes import OutcomeWriter
from ..errors import BadEvent, IdReused, ServiceError
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
    def of(cls, cached: CachedLearner) -> Self:
        """The codec of a learner's stream."""
        config = cached.learner.config
        return cls(cached.position.epoch, config, OutcomeWriter(config))


@dataclass(slots=True)
class PendingEvent:
    """An event in the queue, and the future of its answer."""

    event: Event | Label
    codec: StreamCodec
    encoded: EncodedEvent
    """The event as `codec` reads it."""
    answer: asyncio.Future[Answer]
    arrived: float = 0.0
    """When the event was put into the queue, by the clock of the event loop."""
    store_seconds: float = 0.0
    """How long the stream had waited for the store, in all, when the event was put into the queue."""
    origin: Context | None = None
    """The context in which the event was put into the queue: that of its request."""

    @classmethod
    def read(cls, codec: StreamCodec, event: Event | Label) -> Self:
        """The event, not in a queue yet. Raises BadEvent where it does not fit the stream."""
        encoded = encode_event(codec.config, event)
        return cls(event, codec, encoded, asyncio.get_running_loop().create_future())

    @property
    def id(self) -> str | None:
        """Id of the event, or of the event that a label is for."""
        return self.encoded.id

    @property
    def label_pending(self) -> bool:
        """Whether this is an event without its label, or such a label."""
        return isinstance(self.event, Label) or self.event.y is None

    def is_same_event(self, fingerprint: bytes) -> bool:
        """Whether a known event of this id is the same, in all that this one says of it."""
        mine, half = self.encoded.fingerprint(), FINGERPRINT // 2
        if isinstance(self.event, Label):
            return fingerprint[half:FINGERPRINT] == mine[half:]
        length = half if self.label_pending else FINGERPRINT
        return fingerprint[:length] == mine[:length]

    def resolve(self, answer: Answer) -> None:
        """Answer the event, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def resolve_known(self, record: bytes) -> bool:
        """Answer with what the store has recorded for the id; whether that was the same event."""
        same = self.is_same_event(record)
        reused = IdReused("an event with this id and other values was learnt before", field="id")
        self.resolve(record[FINGERPRINT:] if same else reused)
        return same

    def reparse(self, codec: StreamCodec) -> bool:
        """Read the event again if its stream was created anew; whether it can still be learnt."""
        if not self.answer.done() and self.codec is not codec:
            try:
                self.codec, self.encoded = codec, encode_event(codec.config, self.event)
            except BadEvent as error:
                self.resolve(error)
        return not self.answer.done()


class EventQueue:
    """The pending events of one stream, in order."""

    def __init__(self) -> None:
        self._events: deque[PendingEvent] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[PendingEvent]:
        return iter(self._events)

    def add(self, events: Iterable[PendingEvent], store_seconds: float) -> None:
        """Add events; `store_seconds` is how long the stream has waited for the store so far."""
        now, origin = asyncio.get_running_loop().time(), copy_context()
        for event in events:
            event.arrived, event.store_seconds, event.origin = now, store_seconds, origin
            self._events.append(event)

    def take(self, most: int, *, mixed: bool) -> list[PendingEvent]:
        """Remove and return the next batch: at most `most` events, no id twice, none for which nobody waits.

        With `mixed`, events that wait for a label may stand beside others in a batch; else all of it does or none.
        """
        batch: list[PendingEvent] = []
        ids: set[str] = set()
        while self._events and len(batch) < most:
            event = self._events[0]
            other = not mixed and batch and event.label_pending != batch[0].label_pending
            if event.id in ids or other:
                break
            self._events.popleft()
            if event.answer.done():
                continue
            if event.id is not None:
                ids.add(event.id)
            batch.append(event)
        return batch


def refuse(events: Iterable[PendingEvent], error: ServiceError) -> None:
    """Answer all events with an error: none of them will be learnt, unless its commit is on its way already."""
    for event in events:
        event.resolve(error)
