"""SIGKILL under load, on the real service with its real store: what was acknowledged is there, and nothing twice."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from nobacktrack import model
from nobacktrack.service.client.sync import ApiError, Client, Unreachable
from nobacktrack.service.store.embedded import _find
from tests.support.processes import Command, RunningService, wait_until

ROUNDS = 2
UNITS = 8


@dataclass
class Sender:
    """Sends the events of one stream one after the other, as fast as they are acknowledged, until told to stop."""

    name: str
    with_ids: bool
    acknowledged: int = 0
    """Events of this stream that were answered."""
    in_flight: int | None = None
    """Number of an event that was sent and not answered."""
    stop: threading.Event = field(default_factory=threading.Event)

    def value(self, number: int) -> float:
        """Event number `number`, from 1."""
        return float((number * number) % 17) + len(self.name)

    def run(self, url: str) -> None:
        """Until `stop` or the connection breaks; without ids the unanswered event is settled by `settle`."""
        with Client(url, timeout=5.0, retries=0) as client:
            while not self.stop.is_set():
                number = self.in_flight = self.acknowledged + 1
                try:
                    outcome = client.observe(
                        self.name, {"y": self.value(number)}, id=f"e{number}" if self.with_ids else None
                    )
                except (Unreachable, ApiError):
                    return
                assert outcome.version == number
                self.acknowledged, self.in_flight = number, None

    def settle(self, client: Client) -> None:
        """After a restart: what was acknowledged is there, and at most the event in flight beside it."""
        status = client.status(self.name)
        assert self.acknowledged <= status.version <= self.acknowledged + (self.in_flight is not None)
        assert status.digest == self.replayed(status.version)
        if self.with_ids and self.in_flight is not None:
            # Whether or not it was learnt: the same id again, and it is there once.
            outcome = client.observe(self.name, {"y": self.value(self.in_flight)}, id=f"e{self.in_flight}")
            assert outcome.version == self.in_flight
            self.acknowledged = self.in_flight
            status = client.status(self.name)
        assert self.acknowledged <= status.version
        self.acknowledged, self.in_flight = status.version, None

    def replayed(self, version: int) -> str:
        """Digest of a learner that saw the same events and no service."""
        learner = model.Learner(model.Config(targets=("y",), units=UNITS))
        learner.observe_many([[self.value(number)] for number in range(1, version + 1)])
        return learner.digest()


@pytest.mark.parametrize("checkpoint_every", [5000, 40], ids=["from-the-log", "from-checkpoints"])
def test_every_acknowledged_event_survives(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, checkpoint_every: int
) -> None:
    monkeypatch.setenv("NBT_CHECKPOINT_EVERY", str(checkpoint_every))
    service.restart()
    senders = [Sender("a", with_ids=True), Sender("b", with_ids=False), Sender("c", with_ids=True)]
    with Client(service.url) as client:
        for sender in senders:
            client.create(sender.name, targets=["y"], units=UNITS)
    for round_number in range(1, ROUNDS + 1):
        threads = [threading.Thread(target=sender.run, args=(service.url,)) for sender in senders]
        for thread in threads:
            thread.start()
        wanted = 60 * round_number
        deadline = time.monotonic() + 30
        while min(sender.acknowledged for sender in senders) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        service.kill()
        for thread in threads:
            thread.join()
        assert min(sender.acknowledged for sender in senders) >= wanted
        service.restart()
        with Client(service.url) as client:
            for sender in senders:
                sender.settle(client)


def store_of(service: RunningService) -> psutil.Process:
    """The process of its store."""
    [store] = psutil.Process(service.pid).children()
    return store


def test_a_store_that_is_killed_is_started_again(service: RunningService) -> None:
    senders = [Sender("a", with_ids=True), Sender("b", with_ids=True)]
    with Client(service.url) as client:
        for sender in senders:
            client.create(sender.name, targets=["y"], units=UNITS)
    for _ in range(2):
        threads = [threading.Thread(target=sender.run, args=(service.url,)) for sender in senders]
        for thread in threads:
            thread.start()
        wanted = [sender.acknowledged + 20 for sender in senders]
        while any(sender.acknowledged < least for sender, least in zip(senders, wanted, strict=True)):
            assert all(thread.is_alive() for thread in threads), "a sender has given up"
            time.sleep(0.001)
        store_of(service).kill()
        killed = time.monotonic()
        with Client(service.url) as client:
            while not client.ready():
                assert time.monotonic() - killed < 5.0
                time.sleep(0.02)
            for sender, thread in zip(senders, threads, strict=True):
                sender.stop.set()
                thread.join()
                assert sender.acknowledged > 0
                sender.settle(client)
                sender.stop.clear()
    log = (service.data_dir / "service.log").read_text()
    assert log.count("the store's server died (signal SIGKILL): starting it again") == 2
    assert "Traceback" not in log


def test_a_store_that_dies_again_and_again_ends_the_service_with_one_line(
    command: Callable[..., Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is one that starts once and never again."""
    real = _find(None)
    binary = tmp_path / "server"
    binary.write_text(f'#!/bin/sh\nmkdir "{tmp_path}/once" && exec "{real}" "$@"\necho it will not start >&2\nexit 3\n')
    binary.chmod(0o755)
    monkeypatch.setenv("NBT_REDIS_SERVER", str(binary))
    started = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    started.wait_for("ready at ")
    [store] = psutil.Process(started.pid).children()
    store.kill()
    assert started.wait() == 1
    assert started.stderr.splitlines()[-1] == (
        "nobacktrack: the store's server died 6 times in a row: it will not start"
    )
    assert "Traceback" not in started.output


def test_a_store_that_hangs_is_told_within_two_seconds_and_nothing_waits_on(service: RunningService) -> None:
    with Client(service.url, retries=0) as client:
        client.create("s", targets=["y"], units=UNITS)
        assert client.observe("s", {"y": 1.0}).version == 1
        store = store_of(service)
        store.suspend()
        try:
            sent = time.monotonic()
            with pytest.raises(ApiError) as refused:
                client.observe("s", {"y": 2.0}, id="two")
            assert time.monotonic() - sent < 2.0
            assert (refused.value.status, refused.value.retry_after) == (503, 1)
            assert not client.ready()
        finally:
            store.resume()
        wait_until(client.ready, lambda: "ready again")
        assert client.observe("s", {"y": 2.0}, id="two").version == 2
        assert client.status("s").version == 2
