"""Events whose labels come later: predicted at once, learnt in order when the labels are there.

An event without `y` is answered by its prediction and deferred: the store keeps it. Everything of its stream that
comes later, complete or not, waits behind it, so that the order of learning is the order of the events; the
predictions run ahead, on a copy of the learner that is thrown away. A label completes an event, and those at the front
that are complete are learnt, in one commit that takes them from the waiting ones.

What waits is bounded in number, and in time: an event whose label does not come within `pending_ttl` is learnt as one
whose measurement is missing, so that it holds up nothing for ever.
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
from ..learners.cache import CachedLearner, LearnerCache
from ..observability.metrics import Metrics
from ..schemas import Label
from ..settings import Settings
from ..store.base import Committed, Full, PendingAdded, Store
from .learning import Learning, following, observed
from .queue import PendingEvent, StreamState


@dataclass(frozen=True, slots=True)
class Entry:
    """A deferred event, as the store keeps it: JSON."""

    arrival: EncodedEvent
    """With y = NaN where there is no label yet."""
    labelled: bool
    since: float
    """When it was deferred, in seconds since the epoch."""
    answer: str
    """Its prediction, as it was answered."""

    @property
    def id(self) -> str:
        """Every deferred event has one."""
        assert self.arrival.id is not None
        return self.arrival.id

    @classmethod
    def read(cls, event: str, record: bytes) -> Self:
        """The inverse of `record`."""
        values = json.loads(record)
        time_, y, x = (tuple(math.nan if one is None else one for one in values[name]) for name in ("time", "y", "x"))
        return cls(EncodedEvent(event, time_[0], y, x), values["labelled"], values["since"], values["answer"])

    def record(self) -> bytes:
        """Its bytes: the same for the same entry."""
        numbers = {"time": (self.arrival.time,), "y": self.arrival.y, "x": self.arrival.x}
        written = {name: [None if math.isnan(one) else one for one in values] for name, values in numbers.items()}
        values = {**written, "labelled": self.labelled, "since": self.since, "answer": self.answer}
        return json.dumps(values, separators=(",", ":")).encode()

    def with_label(self, y: tuple[float, ...]) -> Self:
        """The same event, complete."""
        return replace(self, arrival=self.arrival._replace(y=y), labelled=True)


class LateLabels:
    """Answers batches of streams in which events wait for their labels."""

    def __init__(
        self, settings: Settings, store: Store, hot: LearnerCache, learning: Learning, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._store = store
        self._hot = hot
        self._learning = learning
        self._metrics = metrics

    async def answer(self, stream: StreamState, batch: list[PendingEvent]) -> list[PendingEvent]:
        """Answer a batch; what is left is to be tried again, as another replica was first. Raises ServiceError."""
        hot = await self._hot.refresh(stream.name)
        entries = [Entry.read(*one) for one in await self._store.pending(stream.name)]
        entries = await self._expired(stream, entries)
        for labels, group in itertools.groupby(batch, lambda waiting: isinstance(waiting.event, Label)):
            step = self._label if labels else self._defer
            found = await step(stream, hot, entries, list(group))
            if found is None:
                return batch
            entries = found
        answers = {entry.id: entry.answer.encode() for entry in entries}
        while settled := self._complete(entries):
            learnt = await self._learning.learn(
                stream, hot, [entry.arrival for entry in settled], tuple(entry.id for entry in settled)
            )
            if not isinstance(await self._learning.commit(stream, learnt), Committed):
                self._metrics.conflicts.inc()
                return batch
            answers |= {entry.id: answer for entry, answer in zip(settled, learnt.answers.lines, strict=True)}
            hot, entries = learnt.copy, entries[len(settled) :]
        stream.deferring = bool(entries)
        for waiting in batch:
            if waiting.id is not None and waiting.id in answers:
                waiting.keep(answers[waiting.id])
        return []

    def _complete(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those at the front that can be learnt now."""
        return list(itertools.takewhile(lambda entry: entry.labelled, entries[: self._settings.max_batch]))

    async def _expired(self, stream: StreamState, entries: list[Entry]) -> list[Entry]:
        """The entries, of which those that have waited too long count as complete: their measurements are missing."""
        now, kept = time.time(), []
        for entry in entries:
            if entry.labelled or entry.since + self._settings.pending_ttl > now:
                kept.append(entry)
                continue
            given_up = entry.with_label(entry.arrival.y)
            if not await self._store.label(stream.name, entry.id, entry.record(), given_up.record()):
                return [Entry.read(*one) for one in await self._store.pending(stream.name)]
            self._metrics.of(stream.name).expired.inc()
            kept.append(given_up)
        return kept

    async def _label(
        self, stream: StreamState, hot: CachedLearner, entries: list[Entry], batch: list[PendingEvent]
    ) -> list[Entry] | None:
        """Complete events; the entries afterwards, or None where another replica was first."""
        for waiting in batch:
            place = next((i for i, entry in enumerate(entries) if entry.id == waiting.id), None)
            if place is None:
                waiting.keep(UnknownEvent("no event with this id waits for a label, and none was learnt", field="id"))
                continue
            entry = entries[place]
            complete = entry.with_label(waiting.arrival.y)
            if entry.labelled:
                if entry.arrival.label() != waiting.arrival.label():
                    waiting.keep(IdReused("the event has another label already", field="y"))
            elif await self._store.label(stream.name, entry.id, entry.record(), complete.record()):
                entries[place] = complete
            else:
                return None
        return entries

    async def _defer(
        self, stream: StreamState, hot: CachedLearner, entries: list[Entry], batch: list[PendingEvent]
    ) -> list[Entry] | None:
        """Let events wait; the entries afterwards, or None where another replica was first."""
        known = {entry.id: entry for entry in entries}
        new: list[PendingEvent] = []
        for waiting in batch:
            if waiting.id is None:  # a complete event, which waits behind another
                waiting.arrival = waiting.arrival._replace(id=secrets.token_hex(8))
            entry = known.get(waiting.id) if waiting.id is not None else None
            if entry is None:
                new.append(waiting)
            elif not waiting.repeats(entry.arrival.fingerprint()):
                waiting.keep(IdReused("an event with this id and other values waits already", field="id"))
        if not new:
            return entries
        made = await self._predicted(stream, hot, entries, new)
        written = tuple((entry.id, entry.record()) for entry in made)
        result = await self._store.add_pending(stream.name, hot.position.epoch, written, self._settings.max_pending)
        if isinstance(result, Full):
            for waiting in new:
                waiting.keep(
                    LimitReached(
                        f"more than {self._settings.max_pending} events of this stream would wait for labels; send "
                        "labels first",
                        retry_after=1,
                    )
                )
            return entries
        if not isinstance(result, PendingAdded):
            return None
        self._metrics.of(stream.name).deferred.inc(len(made))
        return entries + made

    async def _predicted(
        self, stream: StreamState, hot: CachedLearner, entries: list[Entry], new: list[PendingEvent]
    ) -> list[Entry]:
        """Entries for new events: a copy of the learner runs through all that waits, and then through them."""
        writer = stream.shape.writer
        arrivals = [*(entry.arrival for entry in entries), *(waiting.arrival for waiting in new)]
        _, outcomes, _ = await observed(stream, hot, following(hot, arrivals))
        # Nothing of it is learnt: the version is the learner's own.
        outcomes.version[:] = hot.position.version
        answers = writer.write([arrival.id for arrival in arrivals], outcomes)[len(entries) :]
        now = time.time()
        return [
            Entry(waiting.arrival, not waiting.late, now, answer[:-1].decode() + ',"pending":true}')
            for waiting, answer in zip(new, answers, strict=True)
        ]
