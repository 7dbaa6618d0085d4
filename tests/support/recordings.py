"""A replay that never was, for the tests of reports."""

import math
from datetime import UTC, datetime, timedelta

from nobacktrack.service.cli.replay.replay import Report
from nobacktrack.service.cli.replay.report import Recording
from nobacktrack.service.cli.scores import Scores
from nobacktrack.service.schemas import Event, Outcome


def recorded(count: int) -> tuple[Report, Recording]:
    """`count` hourly events of the targets a and b; one in the middle is an anomaly, and a few values are missing."""
    recording, scores = Recording(["a", "b"]), Scores(["a", "b"])
    for t in range(count):
        actual: dict[str, float | None] = {"a": math.sin(t / 9), "b": None if t % 50 == 7 else float(t)}
        said = Outcome(
            version=t + 1,
            prediction={"a": math.sin((t - 1) / 9), "b": float(t - 1)},
            lower={"a": -1.5 if t > 3 else None, "b": None},
            upper={"a": 1.5 if t > 3 else None, "b": None},
            loss=0.5 + t / count if t > 2 else None,
            baseline_loss=1.0 if t > 2 else None,
            anomaly=1.0 if t == count // 2 else 0.0,
            next=None,
        )
        event = Event(time=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=t), y={**actual})
        scores.add(event, said)
        recording.add(event, said)
    return Report("two-waves", count, count, 2.5, scores), recording
