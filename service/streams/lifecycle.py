"""What can be done with a stream besides learning: snapshots, going back to one, clones, diagnoses."""

import asyncio
import contextlib
import dataclasses
import json
import secrets
import time

import numpy as np

from ... import model
from ..codec import segments as log
from ..codec.checkpoints import pack, unpack
from ..errors import BadConfig, BadRequest, ConcurrentChange, Internal, LimitReached, Taken, UnknownSnapshot
from ..learners.cache import CachedLearner, LearnerCache
from ..schemas import CloneRequest, Diagnostics, SnapshotStatus
from ..settings import Settings
from ..store.base import Conflict, Full, Kept, LogPosition, Snapshot, Store
from ..store.base import Taken as NameTaken

NOISELESS = 1e9
"""A bias of this many standard errors belongs to an estimate without noise: the error is rounding."""
DIAGNOSED = 32
"""How many of the newest events a gradient is judged by."""


class Lifecycle:
    """Acts on streams through the store. No event comes through here."""

    def __init__(self, settings: Settings, store: Store, learners: LearnerCache) -> None:
        self._settings = settings
        self._store = store
        self._learners = learners

    async def snapshot(self, stream: str, name: str | None) -> SnapshotStatus:
        """Keep the learner as it is now, under a name, by default `v<version>`. Raises Taken, LimitReached."""
        cached = await self._learners.refresh(stream)
        snapshot = Snapshot(name or f"v{cached.position.version}", cached.position.version, time.time())
        blob = await asyncio.to_thread(pack, cached.position.chain, cached.learner)
        most = self._settings.max_snapshots
        match await self._store.snapshot(stream, cached.position.epoch, snapshot, blob, most):
            case Kept():
                return _status(snapshot)
            case NameTaken():
                raise Taken("a snapshot of this stream has that name already; choose another", field="name")
            case Full():
                raise LimitReached(f"a stream may have {most} snapshots; delete one first", retry_after=60)
            case Conflict():
                raise ConcurrentChange("the stream was made anew meanwhile; try again")

    async def snapshots(self, stream: str) -> list[SnapshotStatus]:
        """The snapshots of a stream, the oldest first. Raises UnknownStream."""
        await self._learners.get(stream)
        return [_status(snapshot) for snapshot in await self._store.snapshots(stream)]

    async def drop(self, stream: str, name: str) -> None:
        """Delete a snapshot. Raises UnknownSnapshot."""
        await self._learners.get(stream)
        if not await self._store.drop_snapshot(stream, name):
            raise UnknownSnapshot("the stream has no snapshot of that name")

    async def restore(self, stream: str, name: str) -> None:
        """Let the stream go on from a snapshot, as a new history: the events after the snapshot are forgotten.

        Raises UnknownSnapshot, and ConcurrentChange where the stream is created anew at the same moment.
        """
        cached = await self._learners.refresh(stream)
        blob = await self._store.read_snapshot(stream, name)
        if blob is None:
            raise UnknownSnapshot("the stream has no snapshot of that name")
        try:
            _, learner = await asyncio.to_thread(unpack, blob)
        except (model.DamagedState, model.OtherFormat) as error:
            raise Internal(f"the snapshot cannot be read: {error}") from error
        start, packed = await self._begun(learner)
        config = learner.config
        if not await self._store.replace(
            stream, cached.position.epoch, start, json.dumps(config.to_dict()), config.fingerprint(), packed
        ):
            raise ConcurrentChange("the stream was made anew meanwhile; try again")
        self._learners.forget(stream)

    async def clone(self, stream: str, request: CloneRequest) -> None:
        """Make a stream that has learnt what this one has, perhaps with other settings.

        If the settings leave the shapes of the learner's arrays alone, the clone keeps all that was learnt. Otherwise a
        new learner learns the events that the log still has. Raises BadConfig, Taken, LimitReached.
        """
        cached = await self._learners.refresh(stream)
        try:
            config = model.Config.from_dict({**cached.learner.config.to_dict(), **request.config})
        except model.ConfigError as error:
            raise BadConfig(str(error), field="config") from error
        same = ("targets", "inputs", "alphabet")
        if any(getattr(config, name) != getattr(cached.learner.config, name) for name in same):
            raise BadConfig("targets, inputs and alphabet of a clone are those of the original", field="config")
        fresh = await check_size(config, self._settings.max_state_bytes)
        if _shapes(fresh) == _shapes(cached.learner):
            learner = model.Learner.from_state(config, cached.learner.copy().state)
        else:
            learner = await self._reread(stream, cached, fresh)
        start, packed = await self._begun(learner)
        made = await self._store.create(
            request.name, start, json.dumps(config.to_dict()), config.fingerprint(), self._settings.max_streams, packed
        )
        if made is None:
            raise LimitReached(
                f"the store holds {self._settings.max_streams} streams; delete one first", retry_after=60
            )
        if not made[1]:
            raise Taken("there is a stream of that name already; choose another", field="name")

    async def diagnose(self, stream: str, samples: int) -> Diagnostics:
        """How good the learner's gradient is on its newest events. Raises BadRequest where that cannot be told."""
        cached = await self._learners.refresh(stream)
        segments = await self._store.segments(stream, max(0, cached.position.version - DIAGNOSED))
        parts = [log.decode(segment) for segment in segments]
        if not parts:
            raise BadRequest("the stream has no events to judge by yet")
        targets = np.concatenate([part.Y for part in parts])[-DIAGNOSED:]
        inputs = np.concatenate([part.X for part in parts])[-DIAGNOSED:]
        try:
            found = await asyncio.to_thread(model.diagnose, cached.learner, targets, inputs, samples)
        except ValueError as error:
            raise BadRequest(f"the gradient cannot be judged: {error}") from error
        return Diagnostics(
            version=cached.position.version,
            events=len(targets),
            samples=found.samples,
            bias_z=found.bias_z if found.bias_z < NOISELESS else None,
            squared_error=found.squared_error,
            cosine=found.cosine,
        )

    async def _reread(self, stream: str, cached: CachedLearner, learner: model.Learner) -> model.Learner:
        """A new learner after the log's events up to the copy's version."""
        for segment in await self._store.segments(stream, 0):
            events = log.decode(segment)
            if events.last <= cached.position.version:
                await asyncio.to_thread(learner.observe_many, events.Y, events.X, events.times)
        return learner

    async def _begun(self, learner: model.Learner) -> tuple[LogPosition, bytes]:
        """The position at which a new history begins with a learner, and its checkpoint."""
        first = LogPosition.first(secrets.token_hex(8))
        start = dataclasses.replace(first, version=learner.version)
        return start, await asyncio.to_thread(pack, start.chain, learner)


async def check_size(config: model.Config, limit: int) -> model.Learner:
    """A new learner. Raises BadConfig for one that is larger than this service takes, before it takes the memory."""
    learner = None
    # The weights alone first: all other arrays take no memory until the first event.
    if config.parameters * (8 if config.dtype == "float64" else 4) <= limit:
        with contextlib.suppress(MemoryError):
            learner = await asyncio.to_thread(model.Learner, config)
    if learner is None or learner.nbytes > limit:
        raise BadConfig(
            f"units: a learner of {config.units} units keeps more than the {limit} bytes that it may have here; "
            "use fewer",
            field="units",
        )
    return learner


def _status(snapshot: Snapshot) -> SnapshotStatus:
    return SnapshotStatus(name=snapshot.name, version=snapshot.version, created=snapshot.created)


def _shapes(learner: model.Learner) -> list[tuple[tuple[int, ...], str]]:
    parts = [part if isinstance(part, tuple) else (part,) for part in learner.state]
    return [(array.shape, array.dtype.str) for part in parts for array in part]
