"""What is run: every task with its subjects and seeds."""

from collections.abc import Callable, Mapping, Sequence

from tests.bench.learning import cost, influence, neighbours, series, symbols
from tests.bench.learning.jobs import Figures, Job

SEEDS = (0, 1, 2)
SYMBOL_SEEDS = (0,)
"""Fewer, as these runs take most of the time."""
NEIGHBOUR_SEEDS = 2
ANBN_LENGTH, BRACKETS_LENGTH = 1_500_000, 750_000
Theta = Callable[..., float]

INFLUENCE: tuple[tuple[str, Theta, tuple[object, ...]], ...] = (
    ("exact RTRL, η 1e-4, 3,000 steps", influence.exact, (3_000, 1e-4)),
    ("truncated, blocks of 10, η 1e-4, 3,000 steps", influence.truncated, (3_000, 1e-4, 10)),
    ("truncated, blocks of 100, η 1e-4, 3,000 steps", influence.truncated, (3_000, 1e-4, 100)),
    ("truncated, blocks of 200, η 1e-4, 3,000 steps", influence.truncated, (3_000, 1e-4, 200)),
)
INFLUENCE_RANDOM: tuple[tuple[str, Theta, tuple[object, ...], tuple[object, ...]], ...] = (
    ("NoBackTrack, rank 1, η 1e-5, 30,000 steps", influence.nobacktrack, (30_000, 1e-5, 1), ()),
    ("NoBackTrack, rank 16, η 1e-4, 10,000 steps", influence.nobacktrack, (10_000, 1e-4, 16), ()),
    ("traces, λ = 1, rank 1, η 1e-5, 30,000 steps", influence.with_traces, (30_000, 1e-5, 1), (1.0,)),
    ("traces, λ = auto, rank 16, η 1e-4, 10,000 steps", influence.with_traces, (10_000, 1e-4, 16), (None,)),
    ("traces, λ = 0, η 1e-4, 3,000 steps", influence.with_traces, (3_000, 1e-4, 1), (0.0,)),
)

FROZEN: dict[str, object] = {"estimator": "frozen"}
UNBIASED: dict[str, object] = {"estimator": "nobacktrack"}
BARE: dict[str, object] = {"calendar": ()}
SEASONS: dict[str, object] = {"calendar": ("day", "week")}

CHAOTIC: Mapping[str, dict[str, object] | None] = {
    "persistence": None, "frozen": BARE | FROZEN, "learning": BARE,
    "learning, κ = 0.3": BARE | {"learning_rate_decay": 0.3}, "learning, NoBackTrack rank 1": BARE | UNBIASED,
}  # fmt: skip
ETT: Mapping[str, dict[str, object] | None] = {
    "persistence": None,
    "frozen": BARE | FROZEN,
    "learning": BARE,
    "frozen, calendar": SEASONS | FROZEN,
    "learning, calendar": SEASONS,
    "learning, NoBackTrack rank 1, calendar": SEASONS | UNBIASED,
}
ETT_AHEAD: Mapping[str, dict[str, object] | None] = {
    "persistence": None, "same hour yesterday": None, "frozen, calendar": SEASONS | FROZEN,
    "learning, calendar": SEASONS,
}  # fmt: skip
NAB: Mapping[str, dict[str, object] | None] = {
    "autoregression of 48 lags": None,
    "frozen, no calendar": BARE | FROZEN,
    "learning, no calendar": BARE,
    "frozen": FROZEN,
    "learning": {},
    "learning, network alone": {"lags": 0},
    "learning, NoBackTrack rank 1": UNBIASED,
}
COST: Mapping[str, dict[str, object]] = {"NoBackTrack rank 1, Adam": BARE | UNBIASED, "defaults": BARE}


def theta(function: Theta, arguments: tuple[object, ...]) -> Figures:
    """θ as figures."""
    return {"theta": function(*arguments)}


def windows() -> Figures:
    """Shortest windows of truncated backpropagation whose gradient has the right sign."""
    return {"blocks": influence.least_window(True), "sliding": influence.least_window(False)}


def symbol_jobs(task: str, seeds: Sequence[int], length: int) -> list[Job]:
    """Every subject of a^n b^n, or the shorter list of the brackets."""
    return [
        Job(task, subject.name, seed, symbols.bits, (task, seed, length, dict(subject.fields), subject.window),
            1e-6 * length * subject.microseconds)
        for subject in symbols.SUBJECTS
        if task == "anbn" or subject.name in symbols.SHORTER
        for seed in seeds
    ]  # fmt: skip


def everything(quick: bool) -> list[Job]:
    """All jobs but those of the cost, which want the machine for themselves; `quick` tries each with little."""
    seeds = SEEDS[:1] if quick else SEEDS
    chaos, rows = (2_000, 1_000) if quick else (20_000, None)
    jobs: list[Job] = []
    for task, length in (("anbn", ANBN_LENGTH), ("brackets", BRACKETS_LENGTH)):
        jobs += symbol_jobs(task, SYMBOL_SEEDS[: 1 if quick else None], 20_000 if quick else length)
    jobs += [Job("influence", name, 0, theta, (function, plain)) for name, function, plain in INFLUENCE]
    jobs += [
        Job("influence", name, seed, theta, (function, (*plain, seed, *rest)), 3.0)
        for name, function, plain, rest in INFLUENCE_RANDOM
        for seed in seeds
    ]
    jobs.append(Job("influence", "windows", 0, windows, ()))
    for task in series.CHAOTIC:
        for name, fields in CHAOTIC.items():
            jobs += [Job(task, name, seed, series.chaotic, (task, seed, chaos, fields)) for seed in seeds]
    for name, fields in ETT.items():
        jobs += [Job("ETTh1", name, seed, series.ett, (seed, fields), 2.0) for seed in (seeds if fields else (0,))]
    for name, fields in ETT_AHEAD.items():
        jobs += [
            Job("ETTh1 ahead", name, seed, series.ett_ahead, (seed, name, fields), 5.0)
            for seed in (seeds if fields else (0,))
        ]
    for name, fields in NAB.items():
        some = (0,) if fields is None else seeds
        jobs += [Job("NAB", name, seed, series.nab, (seed, fields, rows), 4.0) for seed in some]
    for name, fields in neighbours.subjects().items():
        for seed in seeds[:NEIGHBOUR_SEEDS]:
            jobs.append(Job("neighbours NAB", name, seed, series.nab, (seed, fields, rows), 4.0))
            jobs.append(Job("neighbours ETTh1", name, seed, series.ett, (seed, fields), 3.0))
    return jobs


def costs(quick: bool) -> list[Job]:
    """The cost, to be run alone."""
    units = cost.UNITS[:5] if quick else cost.UNITS
    seconds = 0.05 if quick else 0.3
    return [Job("cost", name, 0, cost.table, (fields, seconds, units)) for name, fields in COST.items()]
