"""This machine's rates, and what is missing where they cannot be measured."""

from types import SimpleNamespace

import psutil
import pytest

from nobacktrack.model import Config
from nobacktrack.service.cli.demo.sources import UNITS, Machine


class Counters:
    """Stands for psutil's counters: what it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.network: dict[str, SimpleNamespace] = {}
        self.disk: SimpleNamespace | None = None
        monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: self.network)
        monkeypatch.setattr(psutil, "disk_io_counters", lambda: self.disk)

    def set(self, received: int, read: int) -> None:
        """The bytes since the machine's start."""
        self.network = {
            "lo": SimpleNamespace(bytes_recv=10**9 * received, bytes_sent=0),
            "eth0": SimpleNamespace(bytes_recv=received, bytes_sent=7),
            "eth1": SimpleNamespace(bytes_recv=received, bytes_sent=7),
        }
        self.disk = SimpleNamespace(read_bytes=read, write_bytes=0)


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Counters:
    return Counters(monkeypatch)


def test_this_machine_gives_every_target_a_value_or_none() -> None:
    sample = Machine().sample()
    assert list(sample) == list(UNITS)
    assert sample["memory"] is not None
    assert 0 < sample["memory"] < 100


def test_the_targets_can_be_a_stream() -> None:
    assert Config(targets=tuple(UNITS)).targets == tuple(UNITS)


def test_rates_are_kilobytes_a_second_without_loopback(counters: Counters) -> None:
    times = iter([100.0, 102.0, 103.0])
    counters.set(received=5000, read=0)
    machine = Machine(clock=lambda: next(times))
    counters.set(received=9000, read=1000)
    sample = machine.sample()
    assert (sample["net_in"], sample["net_out"]) == (4.0, 0.0)
    assert (sample["disk_read"], sample["disk_write"]) == (0.5, 0.0)
    counters.set(received=9000, read=4000)
    assert machine.sample()["disk_read"] == 3.0


def test_a_counter_that_goes_back_or_away_is_missing(counters: Counters) -> None:
    counters.set(received=5000, read=5000)
    machine = Machine()
    counters.set(received=10, read=5001)
    counters.disk = None
    sample = machine.sample()
    assert sample["net_in"] is None
    assert sample["disk_read"] is None
    assert list(sample) == list(UNITS)


def test_a_machine_without_a_network_has_no_rates_of_one(counters: Counters) -> None:
    counters.set(received=1, read=1)
    counters.network = {"lo": counters.network["lo"]}
    machine = Machine()
    assert machine.sample()["net_in"] is None


def test_what_the_system_refuses_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psutil.AccessDenied

    for name in ("cpu_percent", "getloadavg", "virtual_memory", "net_io_counters", "disk_io_counters"):
        monkeypatch.setattr(psutil, name, refuse)
    assert Machine().sample() == dict.fromkeys(UNITS)
