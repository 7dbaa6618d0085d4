"""Forecasts begin after all that the service was told: the events that wait for their labels included."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from nobacktrack import model
from nobacktrack.service.codec.outcomes import steps
from nobacktrack.service.errors import Unavailable
from nobacktrack.service.schemas import Event, ForecastRequest, Label, Step
from nobacktrack.service.store.base import Head, Store
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG, Process, event, oracle, value

pytestmark = pytest.mark.anyio

NAN = float("nan")
TIMED: dict[str, Any] = {"targets": ["y"], "inputs": ["promo"], "units": 2, "horizons": 2}
SYMBOLS: dict[str, Any] = {"targets": ["y"], "alphabet": ["open", "shut"], "units": 2}
MONDAY = 1_767_603_600.0


def said(learner: model.Learner, horizon: int, X: list[list[float]] | None = None) -> list[Step]:
    """A learner's forecast, as the service writes it."""
    return [Step.model_validate(step) for step in steps(learner.config, learner.forecast(horizon, X))]


async def test_a_forecast_runs_through_what_waits_to_the_bit(store: Store) -> None:
    process = Process(store)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 30)
    learner = model.Learner(model.Config.from_dict(CONFIG))
    learner.observe_many([[value(number)] for number in range(1, 31)])
    assert (await process.streams.forecast("s", 4)).steps == said(learner, 4)
    # One waits for its label, a complete one behind it, and two more, of which the last has its label already.
    await process.streams.observe("s", [Event(id="e31"), event(32), Event(id="e33"), Event(id="e34")])
    await process.streams.observe("s", [Label(label="e34", y={"y": value(34)})])
    waiting = await store.pending("s")
    learner.observe_many([[NAN], [value(32)], [NAN], [value(34)]])
    for replica in (process, Process(store)):
        forecast = await replica.streams.forecast("s", 4)
        assert (forecast.version, forecast.pending, forecast.stale) == (30, 4, False)
        assert forecast.steps == said(learner, 4)
    # Nothing was learnt or written for it, and nothing is learnt otherwise because of it.
    assert await store.pending("s") == waiting
    assert (await process.streams.status("s")).digest == oracle(30)
    await process.streams.observe("s", [Label(label=f"e{number}", y={"y": value(number)}) for number in (31, 33)])
    forecast = await process.streams.forecast("s", 4)
    assert (forecast.version, forecast.pending) == (34, 0)
    assert (await process.streams.status("s")).digest == oracle(34)
    await process.streams.close()


async def test_inputs_and_times_of_what_waits_count() -> None:
    process = Process(MemoryStore())
    await process.streams.create("s", TIMED)
    learner = model.Learner(model.Config.from_dict(TIMED))
    # Each is an hour later than the one before, and the two that wait come two days after.
    times = [MONDAY + 3600.0 * hour for hour in (*range(40), 88, 89)]
    promo, y = [float(n % 3) for n in range(42)], [value(n) for n in range(40)] + [NAN, NAN]
    await process.streams.observe("s", [
        Event(id=f"e{n}", time=datetime.fromtimestamp(times[n], UTC), y={"y": y[n]} if n < 40 else None,
              x={"promo": promo[n]})
        for n in range(42)
    ])  # fmt: skip
    learner.observe_many(np.array(y)[:, None], np.array(promo)[:, None], times)
    forecast = await process.streams.forecast("s", 3, ForecastRequest(x=[{"promo": 1}, {"promo": 0}, {"promo": None}]))
    assert (forecast.version, forecast.pending) == (40, 2)
    assert forecast.steps == said(learner, 3, [[1.0], [0.0], [NAN]])


async def test_symbols_that_wait() -> None:
    process = Process(MemoryStore())
    await process.streams.create("s", SYMBOLS)
    learner = model.Learner(model.Config.from_dict(SYMBOLS))
    await process.streams.observe("s", [Event(y={"y": SYMBOLS["alphabet"][n % 2]}) for n in range(20)])
    await process.streams.observe("s", [Event(id="a"), Event(y={"y": "shut"})])
    learner.observe_many([[float(n % 2)] for n in range(20)] + [[NAN], [1.0]])
    forecast = await process.streams.forecast("s", 2)
    assert (forecast.version, forecast.pending, forecast.steps) == (20, 2, said(learner, 2))


class BusyStore(MemoryStore):
    """While what waits is being looked at, something happens."""

    happens: Callable[[], Awaitable[Any]] | None = None
    away = False

    async def head(self, stream: str) -> Head | None:
        """See `Store.head`."""
        if self.away:
            raise Unavailable("away")
        return await super().head(stream)

    async def pending(self, stream: str) -> list[tuple[str, bytes]]:
        """See `Store.pending`."""
        found = await super().pending(stream)
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return found


async def test_what_is_learnt_while_a_forecast_is_made_is_in_it_once() -> None:
    store = BusyStore()
    process, other = Process(store), Process(store)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 10)
    await process.streams.observe("s", [Event(id="e11"), Event(id="e12")])
    store.happens = lambda: other.streams.observe("s", [Label(label="e11", y={"y": value(11)})])
    forecast = await process.streams.forecast("s", 3)
    learner = model.Learner(model.Config.from_dict(CONFIG))
    learner.observe_many([[value(number)] for number in range(1, 12)] + [[NAN]])
    assert (forecast.version, forecast.pending, forecast.steps) == (11, 1, said(learner, 3))


async def test_events_that_are_learnt_too_fast_make_a_forecast_stale() -> None:
    store = BusyStore()
    process, other = Process(store), Process(store)
    await process.streams.create("s", CONFIG)
    await process.streams.observe("s", [Event(id=f"e{number}") for number in range(1, 41)])
    numbers = iter(range(1, 41))

    async def learn() -> None:
        number = next(numbers)
        await other.streams.observe("s", [Label(label=f"e{number}", y={"y": value(number)})])
        store.happens = learn

    store.happens = learn
    forecast = await process.streams.forecast("s", 3)
    learner = model.Learner(model.Config.from_dict(CONFIG))
    learner.observe_many([[value(number)] for number in range(1, forecast.version + 1)])
    assert (forecast.pending, forecast.stale, forecast.steps) == (0, True, said(learner, 3))


async def test_without_the_store_it_is_from_what_was_learnt() -> None:
    store = BusyStore()
    process = Process(store)
    await process.streams.create("s", CONFIG)
    await process.learn(1, 10)
    before = await process.streams.forecast("s", 2)
    await process.streams.observe("s", [Event(id="e11")])
    store.away = True
    assert await process.streams.forecast("s", 2) == before.model_copy(update={"stale": True})
