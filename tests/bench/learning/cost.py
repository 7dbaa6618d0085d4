"""What an event costs: seconds against parameters, with and without the readout, and bytes a parameter.

Times are the best of several rounds on one core with nothing else running; slopes are of straight lines through
log seconds against log parameters.
"""

import math
import time
from collections.abc import Callable

import numpy as np

from nobacktrack.model.network import readout
from tests.bench.learning import door
from tests.bench.learning.tasks import NotAvailable

UNITS = (16, 32, 64, 128, 256, 512, 1024, 2048)
FROM = 64
"""Units from which the slope is taken."""


def _best(call: Callable[[], object], events: int, rounds: int) -> float:
    call()
    best = math.inf
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best / events


def one(units: int, fields: dict[str, object], seconds: float, rounds: int = 5) -> dict[str, float]:
    """Seconds an event, of which the readout's covariance, and bytes; about `seconds` a round."""
    subject = door.learner(targets=("y",), units=units, **fields)
    parameters = subject.config.parameters
    rng = np.random.default_rng(0)
    events = max(3, int(seconds / (1e-5 + 5e-9 * parameters)))
    Y = np.cumsum(rng.normal(size=(events, 1)), axis=0)
    event = _best(lambda: subject.observe_many(Y), events, rounds)
    p = units + subject.config.network_inputs + 1
    P, phi, kappa = readout.PRIOR * np.eye(p), rng.normal(size=p), np.empty(p)

    def covariance() -> None:
        for _ in range(events):
            readout.rls_gain(P, phi, kappa, subject.config.forgetting)

    apart = _best(covariance, events, rounds)
    return {
        "parameters": float(parameters),
        "event": event,
        "readout": apart,
        "rest": event - apart,
        "bytes": subject.nbytes / parameters,
    }


def slope(parameters: list[float], seconds: list[float]) -> float:
    """Of log seconds by log parameters, least squares."""
    if min(seconds) <= 0.0:
        raise NotAvailable("a time is not positive: the machine was too busy to tell")
    return float(np.polyfit(np.log(parameters), np.log(seconds), 1)[0])


def table(fields: dict[str, object], seconds: float, units: tuple[int, ...] = UNITS) -> dict[str, float]:
    """Figures named `event 64` and so on for each number of units, and the two slopes from FROM units on."""
    rows = {n: one(n, fields, seconds) for n in units}
    figures = {f"{name} {n}": value for n, row in rows.items() for name, value in row.items()}
    tail = [row for n, row in rows.items() if n >= FROM]
    for name in ("event", "rest"):
        figures[f"slope {name}"] = slope([row["parameters"] for row in tail], [row[name] for row in tail])
    return figures
