"""A learner rebuilt from the log of its stream: the proof that the log is the learner, and a way to try settings."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ... import model
from ..codec import segments as log
from ..codec.checkpoints import unpack
from ..errors import CommandError
from ..learners.cache import config_of
from ..store.base import Head, LogPosition, Store

AT_ONCE = 4096
"""The most events learnt in one call."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay."""

    stream: str
    begins: int
    """The version at which the replay began."""
    version: int
    """The version at which the replay ended."""
    digest: str
    """The digest of the learner at the end."""
    stored: dict[int, bool]
    """The stored checkpoints that were passed on the way: whether their learner is the replayed one, bit for bit."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Mean losses of a learner over the same events as another."""

    settings: dict[str, object]
    """The settings that differ from those of the stream."""
    events: int
    loss: float
    baseline: float

    @property
    def ratio(self) -> float:
        """The root of loss over baseline. Below 1 the learner is better than its baseline."""
        return math.sqrt(self.loss / self.baseline) if self.baseline > 0.0 else math.nan


@dataclass(frozen=True, slots=True)
class _Log:
    head: Head
    segments: list[bytes]

    @property
    def begins(self) -> int:
        return log.bounds(self.segments[0])[0] - 1 if self.segments else self.head.position.version


async def rebuild(store: Store, stream: str, first: int | None = None, last: int | None = None) -> Replayed:
    """Replay from version `first`, 0 or that of a checkpoint, by default the earliest there is, to `last`.

    Raises CommandError where the log does not reach so far, is damaged, or is not what its hashes say.
    """
    entire = await _read(store, stream)
    learners = await _learners(store, stream, entire)
    if not learners:
        raise CommandError(f"the log of {stream} reaches back to no learner that can be read")
    begins = min(learners) if first is None else first
    if begins not in learners:
        raise CommandError(f"a replay of {stream} can begin at version {_list(learners)}, not at {begins}")
    version = entire.head.position.version if last is None else last
    if not begins <= version <= entire.head.position.version:
        raise CommandError(
            f"a replay that begins at version {begins} can end at {begins} to {entire.head.position.version}"
        )
    learner, chain = learners[begins]
    learner = learner.copy()
    stored: dict[int, bool] = {}
    stops = sorted({one for one in learners if begins < one <= version} | {begins, version})
    for start, stop in pairwise(stops):
        for segment in entire.segments:
            low, high = log.bounds(segment)
            if high <= start or low > stop:
                continue
            events = _decoded(stream, segment)
            part = slice(max(start + 1, low) - low, min(stop, high) - low + 1)
            for at in range(part.start, part.stop, AT_ONCE):
                some = slice(at, min(at + AT_ONCE, part.stop))
                learner.observe_many(events.Y[some], events.X[some], events.times[some])
            if high <= stop:
                chain = log.link(chain, segment)
        if learner.version != stop:
            raise CommandError(f"the log of {stream} has a hole before version {stop}")
        if stop in learners:
            stored[stop] = learners[stop][0].digest() == learner.digest()
            if learners[stop][1] != chain:
                raise CommandError(
                    f"the log of {stream} up to version {stop} is not the one its checkpoint was made from"
                )
    if version == entire.head.position.version and chain != entire.head.position.chain:
        raise CommandError(f"the log of {stream} does not lead to its head")
    return Replayed(stream, begins, version, learner.digest(), stored)


async def compare(
    store: Store, stream: str, changes: Mapping[str, object], first: int | None = None, last: int | None = None
) -> tuple[Losses, Losses]:
    """Losses of a new learner as the stream's is, and of one with `changes`, over the log's events after `first`.

    Raises CommandError as `rebuild` does, and for a setting that does not exist or cannot have that value.
    """
    entire = await _read(store, stream)
    config = config_of(entire.head)
    try:
        other = model.Config.from_dict({**config.to_dict(), **changes})
    except model.ConfigError as error:
        raise CommandError(f"--set: {error}") from error
    if (other.targets, other.inputs, other.alphabet) != (config.targets, config.inputs, config.alphabet):
        raise CommandError("--set: targets, inputs and alphabet are those of the log")
    begins = max(entire.begins, first or 0)
    end = entire.head.position.version if last is None else last
    learners = (model.Learner(config), model.Learner(other))
    totals = [[0.0, 0.0], [0.0, 0.0]]
    count = 0
    for segment in entire.segments:
        low, high = log.bounds(segment)
        if high <= begins or low > end:
            continue
        events = _decoded(stream, segment)
        part = slice(max(begins + 1, low) - low, min(end, high) - low + 1)
        count += part.stop - part.start
        for learner, total in zip(learners, totals, strict=True):
            said = learner.observe_many(events.Y[part], events.X[part], events.times[part])
            total[0] += float(np.nansum(said.loss))
            total[1] += float(np.nansum(said.baseline_loss))
    if count == 0:
        raise CommandError(f"the log of {stream} has no events after version {begins}")
    mine, others = (
        Losses(dict(settings), count, total[0] / count, total[1] / count)
        for settings, total in zip(({}, changes), totals, strict=True)
    )
    return mine, others


def setting(text: str) -> tuple[str, object]:
    """`learning_rate=0.01` → ("learning_rate", 0.01); a value that is not JSON is text. Raises CommandError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--set takes name=value, such as learning_rate=0.01; got {text}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


async def _read(store: Store, stream: str) -> _Log:
    head = await store.head(stream)
    if head is None:
        raise CommandError(f"there is no stream {stream}")
    segments = await store.segments(stream, 0)
    return _Log(head, [segment for segment in segments if log.bounds(segment)[1] <= head.position.version])


async def _learners(store: Store, stream: str, entire: _Log) -> dict[int, tuple[model.Learner, bytes]]:
    """Version → (learner, chain) wherever a replay can begin or be compared."""
    found: dict[int, tuple[model.Learner, bytes]] = {}
    if entire.begins == 0:
        config = config_of(entire.head)
        found[0] = (model.Learner(config), LogPosition.first(entire.head.position.epoch).chain)
    for version in entire.head.checkpoints:
        blob = await store.read_checkpoint(stream, version) or b""
        if version < entire.begins:
            continue
        try:
            chain, learner = unpack(blob)
        except (model.DamagedState, model.OtherFormat):
            continue
        found[version] = (learner, chain)
    return found


def _decoded(stream: str, segment: bytes) -> log.Events:
    try:
        return log.decode(segment)
    except log.DamagedLog as damage:
        raise CommandError(f"the log of {stream} is damaged: {damage}") from damage


def _list(versions: Mapping[int, object]) -> str:
    return " or ".join(str(version) for version in sorted(versions))
