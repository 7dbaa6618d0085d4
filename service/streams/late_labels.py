"""Events whose labels come later: predicted at once, learnt in order when the labels are there.

An event without `y` is answered with its prediction, and the store keeps it as pending. Every later event of its
stream is pending behind it, complete or not, so that the order of learning is the order of the events. The predictions
run ahead on a copy of the learner, which is thrown away. A label completes a pending event, and complete events at the
front are learnt, in one commit that takes them from the pending ones.

The number of pending events is bounded, and so is their time: an event whose label does not come within `pending_ttl`
is learnt with its measurement missing, so that it holds up nothing for ever.
"""

import itertools
import json
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from ..codec.events import EncodedEvent
from ..errors import IdReused, LimitReached, UnknownEvent
from ..learners.cache import CachedLearner
from ..observability.metrics import Metrics
from ..schemas import Label
from ..settings import Settings
from ..store.base import Full, PendingAdded, Store
from .learning import following, observed
from .queue import PendingEvent, StreamCodec


@dataclass(frozen=True, slots=True)
class Entry:
    """A pending event, as the store keeps it: JSON."""

    encoded: EncodedEvent
    """The event, with y = NaN where there is no label yet."""
    labelled: bool
    since: float
    """When the event became pending, in seconds since the epoch."""
    answer: str
    """The prediction with which the event was answered."""

    @property
    def id(self) -> str:
        """Id of the event; every pending event has one."""
        assert self.encoded.id is not None
        return self.encoded.id

    @classmethod
    def read(cls, event: str, record: bytes) -> Self:
        """The inverse of `record`."""
        values = json.loads(record)
        time_, y, x = (tuple(math.nan if one is None else one for one in values[name]) for name in ("time", "y", "x"))
        return cls(EncodedEvent(event, time_[0], y, x), values["labelled"], values["since"], values["answer"])

    def record(self) -> bytes:
        """The entry as bytes: the same for the same entry."""
        numbers = {"time": (self.encoded.time,), "y": self.encoded.y, "x": self.encoded.x}
        written = {name: [None if math.isnan(one) else one for one in values] for name, values in numbers.items()}
        values = {**written, "labelled": self.labelled, "since": self.since, "answer": self.answer}
        return json.dumps(values, separators=(",", ":")).encode()

    def with_label(self, y: tuple[float, ...]) -> Self:
        """The same event, complete."""
        return replace(self, encoded=self.encoded._replace(y=y), labelled=True)


class LateLabels:
    """The pending events of streams, in the store. Learns nothing and changes no stream."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics

    async def apply(
        self,
        stream: str,
        codec: StreamCodec,
        cached: CachedLearner,
        batch: Sequence[PendingEvent],
        event_seconds: float | None,
    ) -> list[Entry] | None:
        """Write the events and labels of a batch to the store.

        Events that cannot be accepted are answered here. The result is the pending events afterwards, in order; None
        where another replica was first and the batch has to be tried again. Raises ServiceError.
        """
        entries = await self._give_up_old(stream, await self._entries(stream))
        for labels, group in itertools.groupby(batch, lambda event: isinstance(event.event, Label)):
            if labels:
                changed = await self._label(stream, entries, list(group))
            else:
                changed = await self._add(stream, codec, cached, entries, list(group), event_seconds)
            if changed is None:
                return None
            entries = changed
        return entries

    def complete(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries at the front that can be learnt now, at most one batch of them."""
        return list(itertools.takewhile(lambda entry: entry.labelled, entries[: self._settings.max_batch]))

    async def _entries(self, stream: str) -> list[Entry]:
        return [Entry.read(*one) for one in await self._store.pending(stream)]

    async def _give_up_old(self, stream: str, entries: list[Entry]) -> list[Entry]:
        """The entries, of which those that are too old count as complete: their measurements are missing."""
        now, kept = time.time(), []
        for entry in entries:
            if entry.labelled or entry.since + self._settings.pending_ttl > now:
                kept.append(entry)
                continue
            given_up = entry.with_label(entry.encoded.y)
            if not await self._store.label(stream, entry.id, entry.record(), given_up.record()):
                return await self._entries(stream)
            self._metrics.of(stream).expired.inc()
            kept.append(given_up)
        return kept

    async def _label(self, stream: str, entries: list[Entry], batch: list[PendingEvent]) -> list[Entry] | None:
        """Complete events; the entries afterwards, or None where another replica was first."""
        entries = list(entries)
        for event in batch:
            place = next((i for i, entry in enumerate(entries) if entry.id == event.id), None)
            if place is None:
                event.resolve(UnknownEvent("no event with this id waits for a label, and none was learnt", field="id"))
                continue
            entry = entries[place]
            complete = entry.with_label(event.encoded.y)
            if entry.labelled:
                if entry.encoded.label() != event.encoded.label():
                    event.resolve(IdReused("the event has another label already", field="y"))
            elif await self._store.label(stream, entry.id, entry.record(), complete.record()):
                entries[place] = complete
            else:
                return None
        return entries

    async def _add(
        self,
        stream: str,
        codec: StreamCodec,
        cached: CachedLearner,
        entries: list[Entry],
        batch: list[PendingEvent],
        event_seconds: float | None,
    ) -> list[Entry] | None:
        """Make events pending; the entries afterwards, or None where another replica was first."""
        known = {entry.id: entry for entry in entries}
        new: list[PendingEvent] = []
        for event in batch:
            if event.id is None:  # a complete event, which is pending behind another one
                event.encoded = event.encoded._replace(id=secrets.token_hex(8))
            entry = known.get(event.id) if event.id is not None else None
            if entry is None:
                new.append(event)
            elif not event.is_same_event(entry.encoded.fingerprint()):
                event.resolve(IdReused("an event with this id and other values waits already", field="id"))
        if not new:
            return entries
        made = await self._predicted(codec, cached, entries, new, event_seconds)
        written = tuple((entry.id, entry.record()) for entry in made)
        result = await self._store.add_pending(stream, cached.position.epoch, written, self._settings.max_pending)
        if isinstance(result, Full):
            for event in new:
                event.resolve(
                    LimitReached(
                        f"more than {self._settings.max_pending} events of this stream would wait for labels; send "
                        "labels first",
                        retry_after=1,
                    )
                )
            return entries
        if not isinstance(result, PendingAdded):
            return None
        self._metrics.of(stream).deferred.inc(len(made))
        return entries + made

    async def _predicted(
        self,
        codec: StreamCodec,
        cached: CachedLearner,
        entries: list[Entry],
        new: list[PendingEvent],
        event_seconds: float | None,
    ) -> list[Entry]:
        """Entries for new events: a copy of the learner runs through all pending events, and then through these."""
        encoded = [*(entry.encoded for entry in entries), *(event.encoded for event in new)]
        _, outcomes, _ = await observed(cached, following(cached, encoded), event_seconds)
        outcomes.version[:] = cached.position.version  # nothing of this is learnt
        answers = codec.writer.write([event.id for event in encoded], outcomes)[len(entries) :]
        now = time.time()
        return [
            Entry(event.encoded, not event.label_pending, now, answer[:-1].decode() + ',"pending":true}')
            for event, answer in zip(new, answers, strict=True)
        ]
