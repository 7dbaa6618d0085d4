"""The table as Markdown: what was claimed beside what was measured, then every figure."""

import platform
from collections.abc import Sequence

from tests.bench.learning import claims, cost, neighbours, series, symbols, tasks
from tests.bench.learning.jobs import Results

HELD = {True: "held", False: "**missed**", None: "reported"}


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [_row(*head), "|" + "---|" * len(head), *(_row(*row) for row in rows), ""]


def _figures(results: Results, task: str, figures: tuple[str, ...], digits: int) -> list[tuple[str, ...]]:
    return [
        (subject, *(results.text(task, subject, figure, digits) for figure in figures))
        for subject in results.subjects(task)
    ]


def _symbols(results: Results, task: str) -> list[str]:
    rows = []
    for subject in results.subjects(task):
        unbiased = subject in claims.UNBIASED
        rows.append((subject, "yes" if unbiased else "no", results.text(task, subject, "bits"),
                     results.text(task, subject, "microseconds", 1)))  # fmt: skip
    return _table(("estimator", "unbiased", "bits", "µs a symbol, two jobs at a time"), rows)


def _influence(results: Results) -> list[str]:
    rows = [
        (subject, results.text("influence", subject, "theta"))
        for subject in results.subjects("influence")
        if subject != "windows"
    ]
    windows = (
        f"Fewest steps with the right sign: {results.text('influence', 'windows', 'blocks', 0)} in blocks, "
        f"{results.text('influence', 'windows', 'sliding', 0)} in a window that moves with every loss."
    )
    return [*_table(("method", "θ, optimum -0.1667"), rows), windows, ""]


def _nab(results: Results) -> list[str]:
    subjects = results.subjects("NAB")
    names = [*tasks.nab(), "geometric mean"]
    rows = [(name, *(results.text("NAB", subject, name, 3) for subject in subjects)) for name in names]
    return _table(("series", *subjects), rows)


def _neighbours(results: Results) -> list[str]:
    rows = []
    for field, values in neighbours.VARIED.items():
        default = neighbours.name(field, getattr(neighbours.DEFAULTS, field))
        beside = [neighbours.name(field, value) for value in values]
        for subject, shown in [("defaults", f"**{default}**"), *zip(beside, beside, strict=True)]:
            figures = (
                results.text("neighbours NAB", subject, "geometric mean", 4),
                results.text("neighbours ETTh1", subject, "error", 4),
            )
            rows.append((shown, *figures))
    return _table(("field, **default**", "NAB", "ETTh1"), rows)


def _cost(results: Results) -> list[str]:
    return [line for subject in results.subjects("cost") for line in _cost_of(results, subject)]


def _cost_of(results: Results, subject: str) -> list[str]:
    missing = results.missing("cost", subject)
    if missing:
        return [f"{subject}: {missing}", ""]
    rows = []
    for n in cost.UNITS:
        parameters = results.mean("cost", subject, f"parameters {n}")
        if parameters is not None:
            names = ("event", "readout", "rest")
            times = (1e6 * (results.mean("cost", subject, f"{name} {n}") or 0.0) for name in names)
            size = results.text("cost", subject, f"bytes {n}", 1)
            rows.append((str(n), f"{parameters:,.0f}", *(f"{time:,.1f}" for time in times), size))
    head = ("units", "parameters", "µs an event", "of which the readout's covariance", "rest", "bytes a parameter")
    slopes = (results.text("cost", subject, f"slope {name}", 3) for name in ("event", "rest"))
    return [f"{subject}: slope {' and without the readout '.join(slopes)}.", "", *_table(head, rows)]


def render(results: Results, command: str, minutes: float) -> str:
    """The whole file."""
    verdicts = [claim(results) for claim in claims.CLAIMS]
    seeds = {task: results.seeds(task) for task in ("anbn", "brackets", "Mackey-Glass", "ETTh1", "NAB")}
    stated = "; ".join(f"{task} {', '.join(map(str, values))}" for task, values in seeds.items())
    lines = [
        "# How well it learns", "",
        f"Written by `{command}` in {minutes:.0f} minutes, in two processes on {platform.machine()}, Python "
        f"{platform.python_version()}. A seed is that of the stream, where it is made up, and of the learner. Seeds: "
        f"{stated}. Where there are several, a figure is the mean, with the least and the largest in brackets.", "",
        *_table(("task", "must show", "measured", "", "why"),
                [(v.task, v.claim, v.measured, HELD[v.held], v.why) for v in verdicts]),
        "## Influence balancing", "", *_influence(results),
        "## a^n b^n(1,32)", "",
        f"GRU of {symbols.UNITS} units, Adam 1e-3/(1 + 0.01 √t), all from the same first weights; mean bits a symbol "
        "over the last tenth of the stream; floor 0.1429. Truncated backpropagation takes each loss back through its "
        "whole window at every symbol. λ = 1 is unbiased, λ = 0 carries no tangent.", "", *_symbols(results, "anbn"),
        "## Distant brackets (1,5,10)", "", "The same network and settings; floor 1.6610.", "",
        *_symbols(results, "brackets"),
        "## Mackey-Glass and Lorenz", "",
        "One step ahead, squared error over variance, second half of the stream.", "",
    ]  # fmt: skip
    for task in series.CHAOTIC:
        lines += _table((task, "squared error over variance"), _figures(results, task, ("error",), 7))
    ahead = ("path 24", "step 24", "path 48", "step 48")
    lines += [
        "## ETTh1", "",
        "Squared error in units of the deviation over rows 0–2879, mean over seven variables and rows 3600–14399.", "",
        *_table(("one step", "squared error"), _figures(results, "ETTh1", ("error",), 4)),
        *_table(("ahead", "mean of steps 1…24", "step 24", "mean of steps 1…48", "step 48"),
                _figures(results, "ETTh1 ahead", ahead, 4)),
        "## Numenta Anomaly Benchmark", "",
        f"Root mean square error over that of persistence, one step ahead, from event {series.NAB_FIRST} on.", "",
        *_nab(results),
        "## Each default beside its neighbours", "",
        "One field at a time is not the default. NAB: geometric mean as above; ETTh1: one step, calendar as above.", "",
        *_neighbours(results),
        "## Cost", "", "Leaky units, float32, one target, one core, nothing else running.", "",
        *_cost(results),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"
