"""What a test needs beside the locked packages: programs, a further package, files of data.

A test that lacks something is skipped, with a reason that begins with `NEEDS`; `tests/conftest.py` counts those reasons
at the end of a run. `make test-tools` installs the programs.
"""

import os
import shutil
from pathlib import Path

import pytest

NEEDS = "needs "
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names under which distributions install the one browser."""
DATA = Path(os.environ.get("NBT_DATA", Path(__file__).parents[3] / "shared" / "data"))
"""Public series that are not part of the repository; read when the tests are collected."""


def find(program: str) -> str | None:
    """The path of a program, also of one that stands where only root looks (`/usr/sbin`)."""
    names = CHROMIUM if program == "chromium" else (program,)
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def path_of(program: str) -> str:
    """The path of a program; without it the test that asks is skipped."""
    found = find(program)
    if found is None:
        pytest.skip(NEEDS + program)
    return found


def needs(*programs: str) -> pytest.MarkDecorator:
    """A mark: without these programs the test is skipped."""
    missing = [program for program in programs if find(program) is None]
    return pytest.mark.skipif(bool(missing), reason=NEEDS + ", ".join(missing))


def needs_data(folder: str) -> pytest.MarkDecorator:
    """A mark: without a folder of `DATA` the test is skipped."""
    return pytest.mark.skipif(not (DATA / folder).is_dir(), reason=f"{NEEDS}the data {folder} (NBT_DATA)")


def wanting(reasons: list[str]) -> tuple[dict[str, int], list[str]]:
    """How many tests were skipped for want of each thing, and the reasons of another kind."""
    counts: dict[str, int] = {}
    others: set[str] = set()
    for reason in reasons:
        what = reason.removeprefix("Skipped: ")
        if not what.startswith(NEEDS):
            others.add(what)
            continue
        for one in what.removeprefix(NEEDS).split(", "):
            counts[one] = counts.get(one, 0) + 1
    return dict(sorted(counts.items())), sorted(others)
