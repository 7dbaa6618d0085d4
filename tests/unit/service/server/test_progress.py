"""How far the compilation is reaches the parent process, and nothing is said where nothing is compiled."""

import asyncio
import socket

import pytest

from nobacktrack.service.learners.kernels import Kernels
from nobacktrack.service.server import progress


async def told(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that the parent got until the kernels were ready, some rounds later."""
    monkeypatch.setattr(progress, "TELL_SECONDS", 0.001)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        report = asyncio.create_task(progress.report(kernels, theirs))
        await asyncio.sleep(0.05)
        kernels.ready.set()
        await report
        theirs.close()
        text = b""
        while piece := ours.recv(4096):
            text += piece
    return text.decode().splitlines()


def test_the_kernel_and_the_seconds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[str]:
        kernels = Kernels()
        kernels.progress = (4, 9)
        return await told(kernels, monkeypatch)

    lines = asyncio.run(run())
    assert set(lines) == {"compiling kernel 5 of 9, 0 s so far"}


def test_a_start_from_the_cache_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[str]:
        return await told(Kernels(), monkeypatch)

    assert asyncio.run(run()) == []
