"""How good forecasts of many steps are, with nothing set but the target: writes tests/bench/FORECASTS.md.

`make bench-forecasts`, a minute. Every forecast is made from what came before it alone. Beside each figure stand
those of simple rules on the same origins.
"""

import csv
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nobacktrack import model
from tests.support.needs import DATA

Float64 = npt.NDArray[np.float64]
PAGE = Path(__file__).with_name("FORECASTS.md")
STEPS = 48
SHOWN = (1, 6, 24, 48)
"""Steps whose coverage is shown."""


def hourly(name: str) -> dict[str, Float64]:
    """The series of a file of the M4 competition, by name."""
    with (DATA / "m4" / name).open() as file:
        return {
            row[0]: np.array([float(value) for value in row[1:] if value])
            for row in csv.reader(file)
            if row[0][0] == "H"
        }


def learner() -> model.Learner:
    """One with all defaults."""
    return model.Learner(model.Config(targets=("y",)))


def m4() -> list[str]:
    """Rows of the M4 hourly series: MASE of 48 steps, scaled by the changes of a day in the training part."""
    train, test = hourly("hourly-train.csv"), hourly("hourly-test.csv")
    found: list[tuple[float, float, float]] = []
    for name, y in train.items():
        one, true = learner(), test[name]
        one.observe_many(y[:, None])
        ahead, scale = one.forecast(STEPS), np.abs(y[24:] - y[:-24]).mean()
        day = np.tile(y[-24:], 2)
        inside = (ahead.lower[:, 0] <= true) & (true <= ahead.upper[:, 0])
        found.append((np.abs(ahead.mean[:, 0] - true).mean() / scale, np.abs(day - true).mean() / scale, inside.mean()))
    ours, naive, covered = np.mean(found, axis=0)
    return [
        f"| M4 hourly, {len(found)} series, MASE of 48 steps | {ours:.3f} | {naive:.3f} (yesterday) | {covered:.3f} |"
    ]


def rolling(y: Float64, start: int, every: int) -> tuple[Float64, Float64, Float64, Float64]:
    """Squared errors of ours, of the last value and of yesterday, and hits of the intervals; each (origins, STEPS)."""
    one = learner()
    one.observe_many(y[:start, None])
    ours, last, day, inside = [], [], [], []
    for at in range(start, len(y) - STEPS + 1, every):
        ahead, true = one.forecast(STEPS), y[at : at + STEPS]
        ours.append((ahead.mean[:, 0] - true) ** 2)
        last.append((y[at - 1] - true) ** 2)
        day.append((np.tile(y[at - 24 : at], 2) - true) ** 2)
        inside.append((ahead.lower[:, 0] <= true) & (true <= ahead.upper[:, 0]))
        one.observe_many(y[at : at + every, None])
    return np.array(ours), np.array(last), np.array(day), np.array(inside)


def ett() -> list[str]:
    """Rows of ETTh1: squared errors in units of the first 2,880 rows' variance, mean of its seven series."""
    table = np.genfromtxt(DATA / "ett" / "ETTh1.csv", delimiter=",", skip_header=1)[:14_400, 1:]
    table = (table - table[:2880].mean(0)) / table[:2880].std(0)
    found = [rolling(table[:, column], 3600, 7) for column in range(table.shape[1])]
    ours, last, day, inside = (np.mean([part[i].mean(0) for part in found], axis=0) for i in range(4))
    covered = " / ".join(f"{inside[step - 1]:.2f}" for step in SHOWN)
    return [
        f"| ETTh1, squared error, steps 1 to {steps} | {ours[:steps].mean():.3f} | "
        f"{last[:steps].mean():.2f} (last value), {day[:steps].mean():.2f} (yesterday) | {covered} |"
        for steps in (24, 48)
    ]


def exchange() -> list[str]:
    """Rows of the exchange rates: squared error over that of the last value, mean of the four rates."""
    table = np.loadtxt(DATA / "exchange" / "rates.csv", delimiter=",")
    found = [rolling(table[:, column], 1000, 21) for column in range(table.shape[1])]
    rows = []
    for step in (24, 48):
        share = np.mean([ours[:, step - 1].mean() / last[:, step - 1].mean() for ours, last, _, _ in found])
        covered = np.mean([inside[:, step - 1].mean() for _, _, _, inside in found])
        rows.append(
            f"| exchange rates, squared error at step {step} over the last value's | {share:.3f} | 1 | {covered:.3f} |"
        )
    return rows


def main() -> None:
    """Write the page."""
    start = time.perf_counter()
    rows = [*m4(), *ett(), *exchange()]
    text = (
        "# Forecasts of many steps\n\nWritten by `make bench-forecasts`. Defaults, no times given, each forecast from "
        "what came before it alone. Coverage is\nthat of the 90 % interval; for ETTh1 at steps "
        f"{', '.join(map(str, SHOWN))}.\n\n| what | ours | simple rules | coverage |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\nConstants of the forecaster (model/ahead) were chosen on every second series of M4, on the ETTh1 "
        "columns 1, 3, 6 and 7,\nand on the exchange rates: none of these figures is of data that was held out.\n"
    )
    PAGE.write_text(text, encoding="utf-8")
    print(text + f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
