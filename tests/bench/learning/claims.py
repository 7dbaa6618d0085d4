"""What must be shown, beside what was measured: one row each of the table."""

from collections.abc import Callable
from typing import NamedTuple

from tests.bench.learning import influence, symbols
from tests.bench.learning.jobs import Results


class Verdict(NamedTuple):
    """One row: `held` is None where nothing was claimed or nothing could be measured."""

    task: str
    claim: str
    measured: str
    held: bool | None
    why: str


UNBIASED = tuple(subject.name for subject in symbols.SUBJECTS if subject.unbiased)
OURS = tuple(subject.name for subject in symbols.SUBJECTS if not subject.window)
CHAOTIC = "normalised squared error, learning against frozen"
NOTHING = "nothing was measured: see the details"


def _close(theta: float) -> bool:
    return abs(theta / influence.OPTIMUM - 1.0) <= 0.01


def _influence(results: Results) -> Verdict:
    names = [name for name in results.subjects("influence") if name.startswith("NoBackTrack")]
    reached = [value for name in names for value in results.values("influence", name, "theta")]
    blocks = results.mean("influence", "windows", "blocks")
    claim = "θ reaches -1/6 within 1 %; truncated backpropagation under 110 steps goes the wrong way"
    if not reached or blocks is None:
        return Verdict("influence balancing", claim, NOTHING, None, "")
    wrong = results.mean("influence", "truncated, blocks of 100, η 1e-4, 3,000 steps", "theta")
    measured = (
        f"{sum(map(_close, reached))} of {len(reached)} runs of NoBackTrack within 1 %; in blocks, {blocks:.0f} steps "
        f"are the fewest with the right sign, and 100 steps take θ from 0.5 to {wrong or 0.0:.2f}"
    )
    held = all(map(_close, reached)) and blocks == 110
    why = "an unbiased gradient sees the late effect; a window that ends before it does not, nor do traces with λ = 0"
    return Verdict("influence balancing", claim, measured, held, why)


def _bits(
    task: str, label: str, names: tuple[str, ...], bound: float, claim: str, why: tuple[str, str]
) -> Callable[[Results], Verdict]:
    def verdict(results: Results) -> Verdict:
        best = results.best(task, names, "bits")
        if best is None:
            return Verdict(label, claim, NOTHING, None, "")
        floor = results.mean(task, best[0], "floor")
        measured = f"{results.text(task, best[0], 'bits')} by {best[0]} (floor {floor:.4f})"
        held = best[1] < bound
        return Verdict(label, claim, measured, held, why[0] if held else why[1])

    return verdict


def _frozen(
    task: str, figure: str, claim: str, learning: str, frozen: str, other: str | None = None
) -> Callable[[Results], Verdict]:
    """Learning against frozen; where it does not win, whether the setting `other` does."""

    def verdict(results: Results) -> Verdict:
        learnt, still = results.mean(task, learning, figure), results.mean(task, frozen, figure)
        if learnt is None or still is None:
            return Verdict(task, claim, NOTHING, None, "")
        digits = 7 if still < 0.01 else 4
        measured = (
            f"learning {results.text(task, learning, figure, digits)}, "
            f"frozen {results.text(task, frozen, figure, digits)}"
        )
        gain = 100.0 * (1.0 - learnt / still)
        why = f"learning the recurrent weights takes {gain:.1f} % off what the readout alone reaches"
        if gain <= 0.0:
            why = "a readout learnt exactly leaves little to gain, and has to follow features that move"
            faster = results.mean(task, other, figure) if other else None
            if other and faster is not None and faster < still:
                measured += f", {other} {results.text(task, other, figure, digits)}"
                why += "; when their steps fade sooner, learning wins"
        return Verdict(task, claim, measured, learnt < still, why)

    return verdict


def _ett(results: Results) -> Verdict:
    claim = "squared error at most 0.235 at one step"
    names = tuple(name for name in results.subjects("ETTh1") if name.startswith("learning"))
    best = results.best("ETTh1", names, "error")
    if best is None:
        return Verdict("ETTh1", claim, NOTHING, None, "")
    measured = f"{results.text('ETTh1', best[0], 'error')} by {best[0]}"
    why = "the season of the day is given as inputs, not found by the network"
    return Verdict("ETTh1", claim, measured, best[1] <= 0.235, why)


def _ett_ahead(results: Results) -> Verdict:
    parts = []
    for H in (24, 48):
        rows = [
            f"{results.text('ETTh1 ahead', name, f'path {H}', 3)} {name}" for name in results.subjects("ETTh1 ahead")
        ]
        parts.append(f"mean over 1…{H}: {', '.join(rows)}")
    why = "reported; no figure was asked for. At 24 and 48 steps exactly, persistence is the same hour of a day before"
    return Verdict("ETTh1, 24 and 48 steps", "reported against persistence and the same hour yesterday",
                   "; ".join(parts), None, why)  # fmt: skip


def _nab(results: Results) -> Verdict:
    claim = "learning against frozen and against the autoregression, geometric mean of RMSE over persistence"
    rows = [f"{results.text('NAB', name, 'geometric mean', 3)} {name}" for name in results.subjects("NAB")]
    learnt = results.mean("NAB", "learning", "geometric mean")
    others = [results.mean("NAB", name, "geometric mean") for name in ("frozen", "autoregression of 48 lags")]
    known = [other for other in others if other is not None]
    held = None if learnt is None or len(known) < 2 else learnt < min(known)
    why = "for each series the mixture is about as good as the best of network, autoregression and persistence"
    if held is False:
        why = "on single series most of the gain over persistence is the readout's, which the frozen network has too"
    return Verdict("NAB", claim, "; ".join(rows), held, why)


def _cost(results: Results) -> Verdict:
    claim = "slope of log time on log parameters at most 1.05 above 64 units; bytes per parameter"
    subject = results.subjects("cost")[0]
    slope = results.mean("cost", subject, "slope event")
    if slope is None:
        return Verdict("cost", claim, NOTHING, None, "")
    rest, size = results.mean("cost", subject, "slope rest"), results.mean("cost", subject, "bytes 256")
    measured = f"slope {slope:.3f}, {rest:.3f} without the readout; {size:.0f} bytes a parameter at 256 units"
    why = "a slope above 1 comes from leaving the processor's caches, not from the count of operations"
    return Verdict("cost", claim, measured, slope <= 1.05, why)


CLAIMS: tuple[Callable[[Results], Verdict], ...] = (
    _influence,
    _bits("anbn", "a^n b^n(1,32)", UNBIASED, 0.175, "best unbiased estimator below 0.175 bits over the last tenth",
          ("independent tangents, averaged, divide the variance",
           "the noise of the unbiased estimate, not its mean, sets the step that can be taken: see the ranks")),
    _bits("anbn", "a^n b^n(1,32)", OURS, 0.150, "best of all below 0.150 bits over the last tenth",
          ("own-unit traces carry a count without noise", "what is left is the step size's floor: see the seeds")),
    _bits("brackets", "distant brackets (1,5,10)", OURS, 1.70, "below 1.70 bits",
          ("a symbol is held over seven random events", "holding a symbol over seven events is not learnt fully")),
    _frozen("Mackey-Glass", "error", CHAOTIC, "learning", "frozen", "learning, κ = 0.3"),
    _frozen("Lorenz", "error", CHAOTIC, "learning", "frozen", "learning, κ = 0.3"),
    _ett,
    _frozen("ETTh1", "error", "learning beats frozen", "learning, calendar", "frozen, calendar"),
    _ett_ahead,
    _nab,
    _cost,
)  # fmt: skip
