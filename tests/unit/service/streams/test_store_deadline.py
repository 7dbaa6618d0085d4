"""The deadline of a store, by the clock of the event loop."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

import pytest

from nobacktrack.service.streams.store_deadline import StoreDeadline

_Ts = TypeVarTuple("_Ts")


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the timers that are set."""

    def __init__(self) -> None:
        super().__init__()
        self.timers = 0

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self.timers += 1
        return super().call_at(when, callback, *args, context=context)


def test_an_event_of_a_healthy_store_sets_one_timer() -> None:
    loop = CountingLoop()

    async def main() -> None:
        async with StoreDeadline(1.0, 1.0, 5.0) as deadline:
            for _ in range(3):
                deadline.command_sent()
                with deadline.paused():
                    pass
            deadline.write_confirmed()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
        assert loop.timers == 1


def test_a_slow_store_ends_the_waiting() -> None:
    async def main() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with StoreDeadline(60.0, 60.0, 0.05):
                await asyncio.sleep(10)
        return asyncio.get_running_loop().time() - start

    assert 0.04 < asyncio.run(main()) < 5


def test_a_pause_puts_the_deadline_off() -> None:
    """The deadline passes during the pause, and what is left of it counts afterwards."""

    async def wait() -> None:
        async with StoreDeadline(60.0, 60.0, 0.1) as deadline:
            with deadline.paused():
                await asyncio.sleep(0.2)
            await asyncio.sleep(10)

    async def main() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await wait()
        return asyncio.get_running_loop().time() - start

    assert 0.28 < asyncio.run(main()) < 5


def test_a_confirmed_write_ends_the_deadline() -> None:
    async def main() -> None:
        async with StoreDeadline(0.05, 60.0, 0.05) as deadline:
            deadline.command_sent()
            deadline.command_failed()
            deadline.write_confirmed()
            await asyncio.sleep(0.15)

    asyncio.run(main())


def test_a_failing_store_has_until_the_limit_and_no_longer() -> None:
    async def fail() -> None:
        async with StoreDeadline(0.05, 60.0, 60.0) as deadline:
            while True:
                deadline.command_sent()
                await asyncio.sleep(0.001)
                deadline.command_failed()

    async def main() -> float:
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await fail()
        return asyncio.get_running_loop().time() - start

    assert 0.04 < asyncio.run(main()) < 5
