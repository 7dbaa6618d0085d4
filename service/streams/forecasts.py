"""Forecasts: they begin after all events of a stream, the pending ones included.

A copy of the learner runs through the pending events, as it does to predict one event more
(`service/streams/late_labels.py`), and looks ahead from there. Only the copy changes, and it is thrown away.
"""

import asyncio

import numpy as np
import numpy.typing as npt

from ... import model
from ..codec.events import EncodedEvent, future
from ..codec.outcomes import steps
from ..errors import BadEvent, TooLarge, Unavailable
from ..learners.cache import CachedLearner, LearnerCache
from ..schemas import Forecast, ForecastRequest, Step
from ..settings import Settings
from ..store.base import Store
from .late_labels import Entry
from .learning import following, run

ATTEMPTS = 20
"""How often the pending events are read anew, because some of them were learnt meanwhile."""


class Forecasts:
    """Forecasts of the streams of a store."""

    def __init__(self, settings: Settings, store: Store, learners: LearnerCache) -> None:
        self._settings = settings
        self._store = store
        self._learners = learners

    async def ask(self, name: str, horizon: int, request: ForecastRequest | None) -> Forecast:
        """The next `horizon` steps, given their inputs where the stream has some. See `Streams.forecast`."""
        if horizon > self._settings.max_horizon:
            raise TooLarge(f"at most {self._settings.max_horizon} steps can be asked for", field="horizon")
        stale = False
        try:
            cached, pending = await self._told(name)
        except Unavailable:
            newest = self._learners.cached(name)
            if newest is None:
                raise
            cached, pending, stale = newest, [], True
        config = cached.learner.config
        if request is None and config.inputs:
            raise BadEvent(f"this stream has inputs; POST their future values: {', '.join(config.inputs)}", field="x")
        inputs = None if request is None else future(config, request)
        ahead = await asyncio.to_thread(_ahead, cached, pending, horizon, inputs)
        return Forecast(
            version=cached.position.version,
            pending=len(pending),
            steps=[Step.model_validate(step) for step in steps(config, ahead)],
            stale=stale,
        )

    async def _told(self, stream: str) -> tuple[CachedLearner, list[EncodedEvent]]:
        """The learner, and the events that were pending while it was the newest. Raises UnknownStream, Unavailable.

        If the head is the same before and after the pending events are read, none of them was learnt in between.
        """
        before = None
        for _ in range(ATTEMPTS):
            records = await self._store.pending(stream)
            cached = await self._learners.refresh(stream)
            if not records or cached.position == before:
                return cached, [Entry.read(*one).encoded for one in records]
            before = cached.position
        raise Unavailable("what waits for labels is learnt faster than it can be read; ask again", retry_after=1)


def _ahead(
    cached: CachedLearner, pending: list[EncodedEvent], horizon: int, inputs: npt.NDArray[np.float64] | None
) -> model.Forecast:
    learner = run(cached.learner, following(cached, pending))[0] if pending else cached.learner
    return learner.forecast(horizon, inputs)
