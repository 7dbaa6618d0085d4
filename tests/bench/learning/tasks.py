"""The streams of the benchmark, each a function of a seed, with the least loss that anything could reach.

Symbols: a^n b^n and distant brackets of C. Tallec, Y. Ollivier, arXiv:1702.05043, section 5. Chaotic series:
M. Mackey, L. Glass, *Oscillation and chaos in physiological control systems*, Science 197 (1977); E. Lorenz,
*Deterministic nonperiodic flow*, J. Atmos. Sci. 20 (1963). Real series: the electricity transformers of H. Zhou et al.,
arXiv:2012.07436, and the Numenta Anomaly Benchmark of A. Lavin, S. Ahmad, arXiv:1510.03336.
"""

import csv
import datetime as dt
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nobacktrack.model.types import Float64, Int64
from tests.support.needs import DATA

Point = tuple[float, float, float]


class NotAvailable(Exception):
    """What a row needs is missing: its data, or a configuration that the package does not have."""


class Symbols(NamedTuple):
    """A stream of symbols, each an index into the alphabet."""

    alphabet: tuple[str, ...]
    stream: Int64
    """(T,)."""
    floor: float
    """Bits a symbol of the process itself: no predictor does better in the long run."""


class Series(NamedTuple):
    """A stream of real numbers."""

    values: Float64
    """(T, q)."""
    times: Float64
    """(T,): seconds since the epoch."""
    day: int
    """Events a day; 0 where days mean nothing."""


def anbn(seed: int, length: int, longest: int = 32) -> Symbols:
    """a^n ↵ b^n ↵ with n uniform in 1…longest: n is random, all the rest follows from it.

    Floor: log2(longest) bits for every 2·(longest + 1)/2 + 2 symbols.
    """
    rng = np.random.default_rng((seed, 1))
    parts: list[Int64] = []
    size = 0
    while size < length:
        n = int(rng.integers(1, longest + 1))
        parts.append(np.array([0] * n + [2] + [1] * n + [2], np.int64))
        size += 2 * n + 2
    return Symbols(("a", "b", "n"), np.concatenate(parts)[:length], math.log2(longest) / (longest + 3))


def brackets(seed: int, length: int, s: int = 1, k: int = 5, a: int = 10) -> Symbols:
    """[ s symbols ] k symbols [ the same s symbols ] ↵ over `a` symbols: s must be held over k + 2 events.

    Floor: (s + k)·log2(a) bits for every 2s + k + 5 symbols.
    """
    rng = np.random.default_rng((seed, 2))
    period = 2 * s + k + 5
    rows = np.empty((-(-length // period), period), np.int64)
    opening, closing, newline = a, a + 1, a + 2
    rows[:, 1 : 1 + s] = rng.integers(0, a, (len(rows), s))
    rows[:, s + 2 : s + 2 + k] = rng.integers(0, a, (len(rows), k))
    rows[:, s + k + 3 : 2 * s + k + 3] = rows[:, 1 : 1 + s]
    rows[:, [0, s + k + 2]] = opening
    rows[:, [s + 1, 2 * s + k + 3]] = closing
    rows[:, -1] = newline
    alphabet = (*(chr(ord("A") + i) for i in range(a)), "o", "c", "n")
    return Symbols(alphabet, rows.reshape(-1)[:length], (s + k) * math.log2(a) / period)


def mackey_glass(seed: int, length: int, delay: float = 17.0, step: float = 0.1) -> Series:
    """ẋ = 0.2 x(t-τ)/(1 + x(t-τ)¹⁰) - 0.1 x, τ = 17, one event a unit of time, the first 500 units left out.

    Runge-Kutta of fourth order; half way between two grid points x(t-τ) is their mean.
    """
    rng = np.random.default_rng((seed, 3))
    lag, each = round(delay / step), round(1.0 / step)
    x = [1.2 + 0.1 * float(value) for value in rng.uniform(-1.0, 1.0, lag + 1)]
    for _ in range((length + 500) * each):
        now, old, new = x[-1], x[-1 - lag], x[-lag]
        middle = 0.5 * (old + new)
        drive = [0.2 * past / (1.0 + past**10) for past in (old, middle, new)]
        k1 = drive[0] - 0.1 * now
        k2 = drive[1] - 0.1 * (now + 0.5 * step * k1)
        k3 = drive[1] - 0.1 * (now + 0.5 * step * k2)
        k4 = drive[2] - 0.1 * (now + step * k3)
        x.append(now + step * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0)
    values = np.array(x[-length * each :: each])[:, None]
    return Series(values, np.arange(float(length)), 0)


def lorenz(seed: int, length: int, step: float = 0.01, each: int = 5) -> Series:
    """First coordinate of ẋ = 10(y-x), ẏ = x(28-z)-y, ż = xy-8z/3, one event every 0.05, the first 50 left out.

    One coordinate of three: a predictor has to reconstruct the other two from the past.
    """
    rng = np.random.default_rng((seed, 4))
    state = np.array([1.0, 1.0, 25.0]) + rng.uniform(-1.0, 1.0, 3)

    def slope(p: Point) -> Point:
        return 10.0 * (p[1] - p[0]), p[0] * (28.0 - p[2]) - p[1], p[0] * p[1] - 8.0 / 3.0 * p[2]

    def along(p: Point, d: Point, by: float) -> Point:
        return p[0] + by * d[0], p[1] + by * d[1], p[2] + by * d[2]

    point = (float(state[0]), float(state[1]), float(state[2]))
    values = np.empty((length, 1))
    for t in range(length + 1000):
        for _ in range(each):
            k1 = slope(point)
            k2 = slope(along(point, k1, 0.5 * step))
            k3 = slope(along(point, k2, 0.5 * step))
            k4 = slope(along(point, k3, step))
            for slopes, weight in ((k1, 1.0), (k2, 2.0), (k3, 2.0), (k4, 1.0)):
                point = along(point, slopes, weight * step / 6.0)
        if t >= 1000:
            values[t - 1000] = point[0]
    return Series(values, np.arange(float(length)), 0)


def _table(path: Path) -> tuple[Float64, Float64]:
    """Values and times (UTC taken for granted) of a file with a header and the time in its first column."""
    if not path.is_file():
        raise NotAvailable(f"no {path.name} in the folder that NBT_DATA names")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    values = np.array([[float(value) for value in row[1:]] for row in rows])
    clock = [dt.datetime.fromisoformat(row[0]).replace(tzinfo=dt.UTC).timestamp() for row in rows]
    return values, np.array(clock)


def etth1() -> Series:
    """Six loads and the oil temperature of a transformer, hourly, 17,420 rows."""
    values, times = _table(DATA / "ett" / "ETTh1.csv")
    return Series(values, times, 24)


def nab() -> dict[str, Series]:
    """The bundled single series of the Numenta Anomaly Benchmark, by name."""
    files = sorted((DATA / "nab").glob("*/*.csv"), key=lambda path: path.stem.lower())
    if not files:
        raise NotAvailable("no series of the Numenta benchmark in the folder that NBT_DATA names")
    return {path.stem: Series(*_table(path), 0) for path in files}
