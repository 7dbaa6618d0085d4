"""SIGKILL under load, on the real service with its real store: what was acknowledged is there, and nothing twice."""

import threading
import time
from dataclasses import dataclass, field

import pytest

import model
from service.client import ApiError, Client, Unreachable
from tests.e2e.processes import RunningService

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
        with Client(url, timeout=5.0) as client:
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
