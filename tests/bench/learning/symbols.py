"""Streams of symbols: bits a symbol over the last tenth, of the package's estimators and of truncated backpropagation.

All are one GRU of 32 units with a softmax of [h, u, 1], Adam with η_t = 1e-3/(1 + 0.01 √t) on all parameters, one
update a symbol, and start from the same recurrent weights, those of the package for the seed.
"""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nobacktrack.model.types import Float64, Int64
from tests.bench.learning import door, tasks, truncated
from tests.bench.learning.tasks import Symbols

TASKS: Mapping[str, Callable[[int, int], Symbols]] = {"anbn": tasks.anbn, "brackets": tasks.brackets}
UNITS = 32
RATE, DECAY = 1e-3, 0.01


class Subject(NamedTuple):
    """What is measured: an estimator of the package, or truncated backpropagation over `window` steps."""

    name: str
    unbiased: bool = False
    fields: Mapping[str, object] = {}
    window: int = 0
    microseconds: float = 10.0
    """About so many a symbol: for the order of the jobs, the longest first."""


def _traces(name: str, weight: float | str, rank: int, microseconds: float) -> Subject:
    fields = {"estimator": "nobacktrack-traces", "residual_weight": weight, "rank": rank}
    return Subject(name, weight == 1.0, fields, microseconds=microseconds)


SHORT: Mapping[str, object] = {"time_constants": (2.0, 2.0)}
"""The noise of a tangent grows with the memory of the units, so the unbiased estimators start from short ones (the
update gate's bias at 0): started from 1 to 30, they lose what they had learnt after some 100,000 symbols."""

SUBJECTS = (
    Subject("frozen", fields={"estimator": "frozen"}, microseconds=21),
    Subject("NoBackTrack, rank 1", True, {"estimator": "nobacktrack", **SHORT}, microseconds=31),
    Subject("NoBackTrack, rank 16", True, {"estimator": "nobacktrack", "rank": 16, **SHORT}, microseconds=64),
    Subject("UORO, rank 1", True, {"estimator": "uoro", **SHORT}, microseconds=34),
    _traces("traces, λ = auto, rank 2", "auto", 2, 40),
    _traces("traces, λ = 0", 0.0, 1, 32),
    Subject("truncated, 1 step", window=1, microseconds=9),
    Subject("truncated, 4 steps", window=4, microseconds=13),
    Subject("truncated, 16 steps", window=16, microseconds=24),
)
SHORTER = ("frozen", "NoBackTrack, rank 1", "traces, λ = 0", "truncated, 4 steps", "truncated, 16 steps")
"""The names for the brackets."""


def _learner_fields(alphabet: tuple[str, ...], seed: int) -> dict[str, object]:
    return {
        "targets": ("y",), "alphabet": alphabet, "cell": "gru", "units": UNITS, "calendar": (), "optimiser": "adam",
        "learning_rate": RATE, "learning_rate_decay": DECAY, "seed": seed,
    }  # fmt: skip


def _start(alphabet: tuple[str, ...], seed: int) -> truncated.Network:
    """The package's first weights: the rows of the state, of the symbols and of the bias; without it, similar ones."""
    size = len(alphabet)
    try:
        W = door.learner(estimator="frozen", **_learner_fields(alphabet, seed)).state.network.W
    except tasks.NotAvailable:
        return truncated.initial(UNITS, size, seed)
    rows = [*range(UNITS + size), len(W) - 1]
    return truncated.start(W[rows], size)


def bits(task: str, seed: int, length: int, fields: Mapping[str, object], window: int) -> dict[str, float]:
    """Mean bits of the last tenth of `length` symbols, the floor, and microseconds a symbol."""
    symbols = TASKS[task](seed, length)

    def learn(stream: Int64) -> Float64:
        if not window:
            return door.losses(door.learner(**_learner_fields(symbols.alphabet, seed), **fields), stream[:, None])
        scores = np.empty(len(stream))
        truncated.learn(_start(symbols.alphabet, seed), stream, window, RATE, DECAY, scores)
        return scores

    learn(symbols.stream[:100])  # compiles
    begun = time.perf_counter()
    scores = learn(symbols.stream)
    spent = time.perf_counter() - begun
    return {
        "bits": float(np.mean(scores[-(length // 10) :])),
        "floor": symbols.floor,
        "microseconds": 1e6 * spent / length,
    }
