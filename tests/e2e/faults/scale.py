"""How much the tests of faults do. `NBT_TEST_FAULTS=long` makes them as long as `make test-faults` wants them."""

import os
from typing import Final, TypeVar

LONG: Final = os.environ.get("NBT_TEST_FAULTS") == "long"
"""Read when the tests are collected, before they take such names out of the environment."""

_T = TypeVar("_T")


def _size(short: _T, long: _T) -> _T:
    return long if LONG else short


REPLICA_KILLS = _size(2, 100)
LANES = _size(1, 2)
"""Senders of each of many streams."""
REPEATS = _size(8, 50)
"""Events of each stream that are sent again at the end."""
STORE_KILLS = _size(2, 50)
RACE_EVENTS = _size(4_000, 100_000)
FAILOVERS = _size(1, 10)
FAILOVER_REPLICAS = _size(1, 2)
"""Processes of the service over a store of several servers."""
SLOT_MOVES = _size(1, 5)
FAULT_SECONDS = _size(2.5, 20.0)
"""How long the store is away or slow."""
CUTS = _size(10, 300)
"""Connections that are cut."""
FILLINGS = _size(1, 10)
"""Times that the store fills up."""
SOAK_SECONDS = _size(4.0, 600.0)
