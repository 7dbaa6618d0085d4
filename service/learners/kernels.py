"""Which precisions are compiled. Nothing is learnt in another precision: its compiler would stop every other stream."""

import asyncio
import contextlib
import logging
import threading
from typing import Literal

from ... import model
from ..errors import Unavailable

logger = logging.getLogger(__name__)

DType = Literal["float32", "float64"]
ORDER: tuple[DType, ...] = ("float32", "float64")
"""The default precision first: the service is ready with it. The other one, which few use, follows."""


class Kernels:
    """One flag for each precision, set when its kernels are compiled."""

    def __init__(self) -> None:
        self._compiled: dict[str, asyncio.Event] = {dtype: asyncio.Event() for dtype in ORDER}
        self.progress = (0, 0)
        """Kernels of the default precision that this start has compiled, of how many; (0, 0) when all are cached."""

    @property
    def ready(self) -> asyncio.Event:
        """The flag of the default precision."""
        return self.flag(ORDER[0])

    def flag(self, dtype: str) -> asyncio.Event:
        """The flag of one precision."""
        return self._compiled[dtype]

    async def complete(self) -> None:
        """Return when all precisions are compiled."""
        for compiled in self._compiled.values():
            await compiled.wait()

    def check(self, dtype: str = ORDER[0]) -> None:
        """Raise Unavailable while the kernels of `dtype` are compiled."""
        if not self.flag(dtype).is_set():
            wait = " wait until /readyz answers 200" if dtype == ORDER[0] else " streams of float32 can be used already"
            raise Unavailable(f"the kernels are being compiled for {dtype};{wait}", retry_after=5)

    def start(self) -> None:
        """Compile all kernels in the background.

        The compiler runs in a daemon thread: it cannot be interrupted, and the service must be able to end meanwhile.
        """
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                for dtype in ORDER:
                    model.warm_up((dtype,), self._report if dtype == ORDER[0] else None)
                    # The loop is closed when the service ended first.
                    with contextlib.suppress(RuntimeError):
                        loop.call_soon_threadsafe(self.flag(dtype).set)
            except Exception:
                logger.exception("the kernels cannot be compiled")

        threading.Thread(target=work, daemon=True, name="compiler").start()

    def _report(self, compiled: int, kernels: int) -> None:
        self.progress = (compiled, kernels)
