"""Real services in processes of their own, for the tests that look from outside."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import Command, RunningService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service of this test's own, to kill and restart."""
    running = RunningService(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for all tests that neither stop it nor mind the streams of others."""
    running = RunningService(tmp_path_factory.mktemp("shared"))
    yield running
    running.stop()


@pytest.fixture
def command() -> Iterator[Callable[..., Command]]:
    """`command("serve", "--port", "0")` starts one; those that still run at the end of the test are killed."""
    started: list[Command] = []

    def start(*arguments: str, terminal: bool = False) -> Command:
        started.append(Command(arguments, terminal=terminal))
        return started[-1]

    yield start
    for one in started:
        one.discard()
