"""Forecasts: they begin after all that a stream has been told, the events that wait for their labels included.

A copy of the learner runs through what waits, as it does to predict one event more
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
"""How often what waits is read anew, because some of it was learnt meanwhile."""


class Forecasts:
    """Forecasts of the streams of a store."""

    def __init__(self, settings: Settings, store: Store, hot: LearnerCache) -> None:
        self._settings = settings
        self._store = store
        self._hot = hot

    async def ask(self, name: str, horizon: int, request: ForecastRequest | None) -> Forecast:
        """The next `horizon` steps, given their inputs where the stream has some. See `Streams.forecast`."""
        if horizon > self._settings.max_horizon:
            raise TooLarge(f"at most {self._settings.max_horizon} steps can be asked for", field="horizon")
        stale = False
        try:
            copy, waiting = await self._told(name)
        except Unavailable:
            peeked = self._hot.cached(name)
            if peeked is None:
                raise
            copy, waiting, stale = peeked, [], True
        config = copy.learner.config
        if request is None and config.inputs:
            raise BadEvent(f"this stream has inputs; POST their future values: {', '.join(config.inputs)}", field="x")
        inputs = None if request is None else future(config, request)
        ahead = await asyncio.to_thread(_ahead, copy, waiting, horizon, inputs)
        return Forecast(
            version=copy.position.version,
            pending=len(waiting),
            steps=[Step.model_validate(step) for step in steps(config, ahead)],
            stale=stale,
        )

    async def _told(self, stream: str) -> tuple[CachedLearner, list[EncodedEvent]]:
        """The learner, and the events that waited while it was the newest. Raises UnknownStream, Unavailable.

        Where the head is the same before and after what waits is read, none of it was learnt in between.
        """
        before = None
        for _ in range(ATTEMPTS):
            records = await self._store.pending(stream)
            copy = await self._hot.refresh(stream)
            if not records or copy.position == before:
                return copy, [Entry.read(*one).arrival for one in records]
            before = copy.position
        raise Unavailable("what waits for labels is learnt faster than it can be read; ask again", retry_after=1)


def _ahead(
    hot: CachedLearner, waiting: list[EncodedEvent], horizon: int, inputs: npt.NDArray[np.float64] | None
) -> model.Forecast:
    learner = run(hot.learner, following(hot, waiting))[0] if waiting else hot.learner
    return learner.forecast(horizon, inputs)
