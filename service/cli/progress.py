"""How far long work is: in one line of a terminal that changes, or now and then in a line of its own."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SPARINGLY = 5.0
"""Seconds between two lines where lines cannot be replaced."""


@contextlib.contextmanager
def waiting(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    """Print what the command waits for; yield a function that prints how far the work is."""
    if console.file.isatty():
        with console.status(text) as status:
            yield lambda how_far: status.update(f"{text}: {how_far}")
    else:
        print(text, file=console.file, flush=True)
        yield _Sparingly(console)


class _Sparingly:
    """Prints a line at most every SPARINGLY seconds, where lines cannot be replaced."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = time.monotonic() + SPARINGLY

    def __call__(self, text: str) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + SPARINGLY
            print(text, file=self._console.file, flush=True)


@contextlib.contextmanager
def progress_bar(lines: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar over the lines of a file, on standard error; nothing where that is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("lines"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.file.isatty()) as bar:
        task = bar.add_task("", total=lines)

        def reached(line: int) -> None:
            # Drawing takes longer than learning an event.
            if line % 100 == 0 or line == lines:
                bar.update(task, completed=line)

        yield reached
