"""Events from a CSV file, one row at a time, each with the number of its line."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from ...errors import CommandError
from ...schemas import Event


@dataclass(frozen=True, slots=True)
class Row:
    """An event and its place in the file."""

    line: int
    """Number of the line in the file, from 1, the header included."""
    event: Event


def count_lines(path: Path) -> int | None:
    """The number of lines, for a progress bar; None for a pipe, which can be read only once."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return sum(1 for _ in file)


def read(path: Path, targets: Sequence[str], inputs: Sequence[str] = (), time: str | None = None) -> Iterator[Row]:
    """Rows of a file with a header, UTF-8, separated by commas, in order.

    `targets` and `inputs` are columns of numbers; an empty cell and NaN are missing values. `time` is a column of
    ISO 8601 times, in UTC where they have no offset. Raises CommandError, with the number of the line, for other cells.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            try:
                header = next(lines, [])
                columns = {name: _column(path, header, name) for name in (*targets, *inputs, *([time] if time else []))}
                for cells in lines:
                    if not cells:
                        continue
                    if len(cells) != len(header):
                        _refuse(path, lines.line_num, f"has {len(cells)} cells, the header {len(header)}")
                    at = None if time is None else _time(path, lines.line_num, cells[columns[time]])
                    y, x = (
                        {name: _number(path, lines.line_num, name, cells[columns[name]]) for name in names}
                        for names in (targets, inputs)
                    )
                    yield Row(lines.line_num, Event(time=at, y={**y}, x=x or None))
            except csv.Error as error:
                _refuse(path, lines.line_num, f"is not CSV: {error}")
            except UnicodeDecodeError:
                _refuse(path, lines.line_num + 1, "or one soon after it is not UTF-8 text")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error


def _column(path: Path, header: list[str], name: str) -> int:
    match header.count(name):
        case 1:
            return header.index(name)
        case 0:
            raise CommandError(f"{path} has no column {name}; its columns are {', '.join(header) or 'none at all'}")
        case count:
            raise CommandError(f"{path} has {count} columns {name}; their names must differ")


def _number(path: Path, line: int, name: str, cell: str) -> float | None:
    if not cell.strip():
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        _refuse(path, line, f"{_short(cell)} in column {name} is not a number")
    return None if math.isnan(value) else value


def _time(path: Path, line: int, cell: str) -> datetime:
    try:
        time = datetime.fromisoformat(cell.strip())
    except ValueError:
        _refuse(path, line, f"{_short(cell)} is not a time in ISO 8601, such as 2026-01-31T13:00:00Z")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _refuse(path: Path, line: int, reason: str) -> NoReturn:
    raise CommandError(f"{path}, line {line}: {reason}")


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
