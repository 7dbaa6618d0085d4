"""The deadline of a store that fails, where it passes at the very moment when the store answers."""

import asyncio
import contextlib

import pytest

from service.patience import Patience


@pytest.mark.parametrize("then", ["answered", "standing"])
def test_a_deadline_that_passes_while_the_store_answers(then: str) -> None:
    """The cancellation that ends the waiting may not arrive: asyncio.wait_for of Python 3.11, in which redis-py sends
    every command, swallows one that comes in the moment when the command has been sent."""

    async def main() -> None:
        async with Patience(0.0, 0.0) as patience:
            patience.ask()
            patience.failed()
            with contextlib.suppress(asyncio.CancelledError):  # as wait_for does
                await asyncio.sleep(10)
            if then == "answered":
                patience.answered()
            else:
                with patience.standing():
                    pass

    with contextlib.suppress(TimeoutError):
        asyncio.run(main())
