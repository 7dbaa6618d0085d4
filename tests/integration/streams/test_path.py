"""The path of one event: how many files of the service a reader has to open to follow a POST from end to end."""

import asyncio
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

import nobacktrack
from nobacktrack.service.api.app import create_app
from nobacktrack.service.settings import Settings
from nobacktrack.service.store.memory import MemoryStore
from tests.integration.replicas import CONFIG

pytestmark = pytest.mark.anyio

ROOT = Path(nobacktrack.__file__).parent
FILES = 23
"""The most files of the service that an event enters, without instruments and with the model counted as one file.

The aim is 15. This bound is what has been reached: lower it whenever the path gets shorter.
"""
INSTRUMENTS = {
    "service/observability",
    "service/api/middleware/request_log.py",
}
"""Log lines, metrics and spans: they see an event and do nothing with it."""


class Entered:
    """The files of the package whose functions are called while this is on, in the order of the first call."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.on = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if self.on and event == "call":
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                self.files.setdefault(str(path.relative_to(ROOT)))


def followed(files: dict[str, None]) -> list[str]:
    """The files that a reader follows: the model is one, behind its door; instruments are none."""
    found: dict[str, None] = {}
    for file in files:
        if not any(file == one or file.startswith(f"{one}/") for one in INSTRUMENTS):
            found.setdefault("model" if file.startswith("model/") else file)
    return list(found)


async def test_an_event_enters_few_files() -> None:
    entered = Entered()
    threading.setprofile(entered)  # threads that learn are followed as well
    app = create_app(Settings(), MemoryStore())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        await app.state.kernels.ready.wait()
        await http.put("/v1/streams/s", json=CONFIG)
        for number in range(5):  # until batches are learnt in the event loop
            await http.post("/v1/streams/s/events", content=b'{"id":"a%d","y":{"y":1}}' % number)
        entered.on = True
        sys.setprofile(entered)
        answer = await http.post("/v1/streams/s/events", content=b'{"id":"b","y":{"y":1}}')
        await asyncio.sleep(0.01)
        sys.setprofile(None)
        entered.on = False
    threading.setprofile(None)
    assert answer.json()["version"] == 6
    files = followed(entered.files)
    assert {"model", "service/api/routes/events.py", "service/streams/worker.py", "service/store/memory.py"} <= {*files}
    assert len(files) <= FILES, files
