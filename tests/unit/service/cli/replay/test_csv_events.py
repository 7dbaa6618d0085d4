"""Events out of CSV files, and one clear line for what is not one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from nobacktrack.service.cli.replay import csv_events
from nobacktrack.service.errors import CommandError
from nobacktrack.service.schemas import Event

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(content: str | bytes) -> Path:
        path = tmp_path / "file.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def test_rows_become_events_with_their_lines(write: Write) -> None:
    path = write("\ufefftime,load,promo,other\n2026-01-01T00:00:00,1.5,0,x\n\n2026-01-01T02:00+02:00,-2e3,1,y\n")
    rows = list(csv_events.read(path, ["load"], ["promo"], "time"))
    assert [row.line for row in rows] == [2, 4]
    assert rows[0].event == Event(time=datetime(2026, 1, 1, tzinfo=UTC), y={"load": 1.5}, x={"promo": 0.0})
    assert rows[1].event.time == datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert rows[1].event.y == {"load": -2000.0}


def test_empty_cells_and_nan_are_missing(write: Write) -> None:
    path = write("a,b\n,1\n  ,2\nNaN,3\n0,4\n")
    assert [row.event.values["a"] for row in csv_events.read(path, ["a"])] == [None, None, None, 0.0]


def test_without_inputs_and_time_an_event_has_none(write: Write) -> None:
    (row,) = csv_events.read(write("a\n1\n"), ["a"])
    assert row.event == Event(y={"a": 1.0})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,t\n1,2026-01-01\ntwo,2026-01-01\n", "file.csv, line 3: 'two' in column a is not a number"),
        ("a,t\ninf,2026-01-01\n", "line 2: 'inf' in column a is not a number"),
        ("a,t\n1e999,2026-01-01\n", "line 2: '1e999' in column a is not a number"),
        (f"a,t\n{'x' * 99},2026-01-01\n", f"line 2: '{'x' * 37}...' in column a"),
        ("a,t\n1,yesterday\n", "line 2: 'yesterday' is not a time in ISO 8601"),
        ("a,t\n1,\n", "line 2: '' is not a time in ISO 8601"),
        ("a,t\n1\n", "line 2: has 1 cells, the header 2"),
        ("a,t\n1,2026-01-01,3\n", "line 2: has 3 cells, the header 2"),
        ('a,t\n1,"2026-01-01\n', "is not CSV: unexpected end of data"),
        (b"a,t\n\xff,2026-01-01\n", "not UTF-8 text"),
        ("b,t\n1,2026-01-01\n", "file.csv has no column a; its columns are b, t"),
        ("a,a,t\n1,1,2026-01-01\n", "file.csv has 2 columns a; their names must differ"),
        ("", "file.csv has no column a; its columns are none at all"),
    ],
)
def test_a_bad_file_is_one_line_that_says_where(write: Write, content: str | bytes, message: str) -> None:
    path = write(content)
    with pytest.raises(CommandError) as raised:
        list(csv_events.read(path, ["a"], [], "t"))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*absent\.csv: No such file"):
        next(csv_events.read(tmp_path / "absent.csv", ["a"]))


def test_lines_are_counted_for_files_only(write: Write) -> None:
    assert csv_events.count_lines(write("a\n1\n2")) == 3
    assert csv_events.count_lines(Path("/dev/null")) is None
