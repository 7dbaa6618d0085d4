"""A replay as one page: what is drawn of it, and that it needs nothing else."""

import json
import math
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from nobacktrack.service.cli.replay import report
from nobacktrack.service.cli.replay.replay import Report
from nobacktrack.service.cli.replay.report import Recording, running_mean, telling
from nobacktrack.service.cli.scores import Scores
from nobacktrack.service.schemas import Event, Outcome
from nobacktrack.service.web import assets
from tests.support.recordings import recorded


def test_a_mean_runs_over_the_newest_values_that_are_there() -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.random(200) < 0.2, np.nan, rng.normal(size=200))
    values[:3] = np.nan
    means = running_mean(values, 7)
    for t, mean in enumerate(means):
        window = [value for value in values[max(0, t - 6) : t + 1] if not math.isnan(value)]
        assert mean == pytest.approx(np.mean(window)) if window else math.isnan(mean)


def test_a_series_that_fits_is_drawn_whole() -> None:
    assert telling(np.arange(50.0), np.full(50, np.nan), 50).tolist() == list(range(50))


def test_what_tells_of_a_long_series_is_kept() -> None:
    rng = np.random.default_rng(2)
    actual, anomaly = rng.normal(size=100_000), rng.random(100_000) * 0.9
    actual[70_000:80_000] = np.nan
    actual[[123, 50_000]] = [-99.0, 99.0]
    anomaly[[9, 75_000, 99_999]] = 0.999
    places = telling(actual, anomaly, 3000)
    assert len(places) <= 3000
    assert (np.diff(places) > 0).all()
    assert {9, 123, 50_000, 75_000, 99_999} <= set(places.tolist())
    for first in range(0, 100_000, 100):
        stretch, kept = actual[first : first + 100], actual[places[(places >= first) & (places < first + 100)]]
        if not np.isnan(stretch).all():
            assert (np.nanmin(kept), np.nanmax(kept)) == (np.nanmin(stretch), np.nanmax(stretch))


def test_a_recording_has_a_column_for_everything() -> None:
    recording = Recording(["a", "b"])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    said = Outcome(
        version=7, prediction={"a": 1.0, "b": 2.0}, lower={"a": 0.0, "b": None}, upper={"a": 3.0, "b": None}, loss=0.5,
        baseline_loss=None, anomaly=0.25, next=None,
    )  # fmt: skip
    recording.add(Event(time=at, y={"a": 4.0, "b": None}), said)
    recording.add(Event(y={"a": 5.0, "b": 6.0}), said)
    events, b = recording.event_columns(), recording.target_columns("b")
    np.testing.assert_equal(events["time"], [at.timestamp(), math.nan])
    np.testing.assert_equal(events["baseline"], [math.nan, math.nan])
    np.testing.assert_equal(events["version"], [7, 7])
    np.testing.assert_equal(b["actual"], [math.nan, 6.0])
    np.testing.assert_equal(b["predicted"], [2.0, 2.0])
    np.testing.assert_equal(recording.target_columns("a")["upper"], [3.0, 3.0])


def test_a_page_needs_nothing_else() -> None:
    result, recording = recorded(2_500)
    html = report.page(result, recording, {"targets": ["a", "b"], "note": "</script><script>alert(1)</script>"})
    assert "{{" not in html.replace(assets.plotly().read_text(), "")
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", html)
    assert html.count("</script>") == html.count("<script") - html.count('"<script') == 3
    [data] = re.findall(r'<script type="application/json" id="data">(.*)</script>', html)
    shown = json.loads(data)
    assert shown["config"]["note"] == "</script><script>alert(1)</script>"
    whole, newest = shown["views"]
    assert (whole["events"], newest["events"]) == (2_500, report.NEWEST)
    assert newest["series"]["b"]["x"] == whole["series"]["b"]["x"][-report.NEWEST :]
    assert newest["loss"]["loss"] == whole["loss"]["loss"][-report.NEWEST :], "means look back behind what is shown"


@pytest.mark.parametrize(
    ("times", "timed"), [((0, 1, 1), True), ((0, None, 1), False), ((1, 0, 2), False), ((None, 1, 2), False)]
)
def test_times_are_the_axis_only_where_every_event_has_one_and_none_goes_back(
    times: tuple[int | None, ...], timed: bool
) -> None:
    recording, scores = Recording(["a"]), Scores(["a"])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for version, hours in enumerate(times, 1):
        time = None if hours is None else start + timedelta(hours=hours)
        said = Outcome(
            version=version, prediction={"a": 1.0}, lower={}, upper={}, loss=None, baseline_loss=None, anomaly=None,
            next=None,
        )  # fmt: skip
        recording.add(Event(time=time, y={"a": 1.0}), said)
    html = report.page(Report("s", 3, 3, 1.0, scores), recording, {})
    [data] = re.findall(r'<script type="application/json" id="data">(.*)</script>', html)
    shown = json.loads(data)
    assert shown["timed"] is timed
    hours_of = [1000.0 * (start.timestamp() + 3600.0 * (hours or 0)) for hours in times]
    assert shown["views"][0]["series"]["a"]["x"] == (hours_of if timed else [1.0, 2.0, 3.0])
