"""The load and rates of this machine as one measurement of several targets: the demo's real stream."""

import time
from collections.abc import Callable

import psutil

UNITS = {
    "cpu": "%",
    "load": "",
    "memory": "%",
    "net_in": "kB/s",
    "net_out": "kB/s",
    "disk_read": "kB/s",
    "disk_write": "kB/s",
}
"""The targets and their units, the same on every machine. A rate that a machine cannot measure is a missing value."""

_LOOPBACK = {"lo", "lo0"}


class Machine:
    """Measures rates, each since the measurement before."""

    stream = "machine"
    title = "this machine"
    units = UNITS

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._at = clock()
        self._counters = _counters()
        _measured(psutil.cpu_percent)

    def sample(self) -> dict[str, float | None]:
        """A value for each of UNITS, None for a missing one. Rates are means since the last call."""
        now, counters = self._clock(), _counters()
        elapsed = now - self._at
        rates = {name: _rate(self._counters[name], counters[name], elapsed) for name in counters}
        self._at, self._counters = now, counters
        return {
            "cpu": _measured(psutil.cpu_percent),
            "load": _measured(lambda: psutil.getloadavg()[0]),
            "memory": _measured(lambda: psutil.virtual_memory().percent),
            **rates,
        }


def _counters() -> dict[str, float | None]:
    """Bytes since the machine started. Loopback is left out, because the demo itself uses it."""

    def network(field: str) -> float:
        cards = [card for name, card in psutil.net_io_counters(pernic=True).items() if name not in _LOOPBACK]
        return float(sum(getattr(card, field) for card in cards)) if cards else float("nan")

    return {
        "net_in": _measured(lambda: network("bytes_recv")),
        "net_out": _measured(lambda: network("bytes_sent")),
        # Without any disk psutil gives None here, whose attributes do not exist.
        "disk_read": _measured(lambda: psutil.disk_io_counters().read_bytes),
        "disk_write": _measured(lambda: psutil.disk_io_counters().write_bytes),
    }


def _rate(before: float | None, after: float | None, elapsed: float) -> float | None:
    """The rate in kB/s; None when a counter is missing, or has gone back because a device was removed."""
    if before is None or after is None or after < before or elapsed <= 0:
        return None
    return (after - before) / elapsed / 1000


def _measured(measure: Callable[[], float]) -> float | None:
    """A measurement; None where the system, the container or the user's rights do not allow it."""
    try:
        value = float(measure())
    except (OSError, AttributeError, NotImplementedError, RuntimeError, psutil.Error):
        return None
    return value if value == value else None
