"""What the demo shows of its history."""

import io

import pytest
from rich.console import Console

from nobacktrack.service.cli.demo.history import RECENT, SHOWN, History, Losses
from nobacktrack.service.cli.demo.screen import BARS, closing, line, screen, sparkline
from nobacktrack.service.cli.demo.sources import UNITS
from nobacktrack.service.schemas import Event, Outcome


def outcome(version: int, loss: float | None, baseline: float | None) -> Outcome:
    values: dict[str, float | None] = dict.fromkeys(UNITS, 40.0)
    return Outcome(
        version=version,
        prediction={**values},
        lower=values,
        upper=values,
        loss=loss,
        baseline_loss=baseline,
        anomaly=None,
        next={**values},
    )


def event(value: float | None = 41.5) -> Event:
    return Event(y=dict.fromkeys(UNITS, value))


def test_losses_are_means_and_their_ratio_is_of_the_roots() -> None:
    history = History(UNITS)
    history.add(event(), outcome(7, None, None), 0.001)
    assert history.losses == Losses()
    history.add(event(), outcome(8, 0.5, 2.0), 0.003)
    history.add(event(), outcome(9, 1.5, 6.0), 0.002)
    assert history.losses == Losses(loss=1.0, baseline=4.0)
    assert history.losses.ratio == 0.5
    assert (history.version, history.events, history.round_trip) == (9, 3, 0.002)


def test_recent_losses_forget_and_nothing_grows() -> None:
    history = History(UNITS)
    history.add(event(), outcome(1, 1e9, 1.0), 0.001)
    for n in range(RECENT):
        history.add(event(), outcome(n + 2, 1.0, 4.0), 0.001)
    assert history.recent_losses.ratio == 0.5
    assert history.losses.loss == pytest.approx((1e9 + RECENT) / (RECENT + 1))
    assert all(len(values) <= RECENT for values in history.actual.values())


def test_persistence_that_is_never_wrong_gives_no_ratio() -> None:
    history = History(UNITS)
    history.add(event(), outcome(1, 0.0, 0.0), 0.001)
    assert history.losses.ratio is None


def test_a_line_says_it_all() -> None:
    history = History(UNITS)
    assert line(history) == "version 0: loss -, persistence -, ratio of roots -, update -, round trip -"
    history.add(event(), outcome(17, 0.5, 2.0), 0.0015)
    history.update_seconds = 0.0002
    assert line(history) == (
        "version 17: loss 0.50, persistence 2.00, ratio of roots 0.50, update 0.20 ms, round trip 1.50 ms"
    )
    assert closing(history) == "stopped at version 17, 1 events after the start; its error was 0.50 of persistence's"


@pytest.mark.parametrize("value", [41.5, None])
def test_the_screen_shows_every_target(value: float | None) -> None:
    console = Console(width=140, record=True, file=io.StringIO())
    history = History(UNITS)
    console.print(screen(history, "here"))
    history.add(event(value), outcome(17, 0.5, 2.0), 0.0015)
    console.print(screen(history, "here"))
    text = console.export_text()
    assert all(name in text for name in UNITS)
    assert "version 17" in text
    assert ("-1.50" in text) == (value is not None)


def test_a_small_terminal_is_large_enough() -> None:
    console = Console(width=80, height=24, record=True, file=io.StringIO())
    history = History(UNITS)
    for n in range(40):
        history.add(event(float(n)), outcome(n, 0.5, 2.0), 0.0015)
    console.print(screen(history, "http://127.0.0.1:8000"))
    lines = console.export_text().splitlines()
    assert len(lines) < 24
    assert "…" not in "".join(lines)
    assert all(heading in "".join(lines) for heading in ("actual", "predicted", "error", "next", "ratio"))
    assert f"load             {sparkline(history.actual['load'], 10.0, 39.0)}  {BARS[-1] * SHOWN}" in lines


def test_a_sparkline_has_one_scale_and_gaps() -> None:
    assert sparkline([0.0, None, 3.5, 7.0], 0.0, 7.0) == "▁ ▅█"
    assert sparkline([-5.0, 99.0], 0.0, 7.0) == "▁█"
    assert sparkline([3.0, 3.0], 3.0, 3.0) == "▁▁"
    assert sparkline([], 0.0, 0.0) == ""
