"""The file that a child service prints to stays small, and loses nothing of what it holds."""

import subprocess
import sys
from pathlib import Path

from nobacktrack.service.server import log_file

PROGRAM = """
import asyncio, pathlib, sys
from nobacktrack.service.server import log_file

log_file.LARGEST_BYTES, log_file.CHECK_SECONDS = 1000, 0.001

async def main():
    path = pathlib.Path(sys.argv[1])
    keeper = asyncio.create_task(log_file.keep_small(path))
    for number in range(60):
        print(number, "x" * 40, flush=True)
        print(number, "y" * 40, file=sys.stderr, flush=True)
        if path.stat().st_size > log_file.LARGEST_BYTES:
            before = path.stat().st_ino
            while path.stat().st_ino == before:
                await asyncio.sleep(0)
    keeper.cancel()

asyncio.run(main())
"""


def test_a_process_that_prints_much_keeps_two_small_files(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    with path.open("ab") as log:
        subprocess.run([sys.executable, "-c", PROGRAM, str(path)], stdout=log, stderr=log, check=True, timeout=60)
    older = tmp_path / "service.log.1"
    lines = (older.read_text() + path.read_text()).splitlines()
    assert path.stat().st_size <= 1000 + 100
    assert older.stat().st_size <= 1000 + 100
    # The newest lines are there, in order and whole.
    expected = [f"{number} {letter * 40}" for number in range(60) for letter in "xy"]
    assert lines == expected[-len(lines) :]
    assert path.stat().st_size + older.stat().st_size > 1000
    assert sorted(found.name for found in tmp_path.iterdir()) == ["service.log", "service.log.1"]


def test_a_small_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    assert not log_file.rotate(path)
    path.write_text("little\n")
    assert not log_file.rotate(path)
    assert path.read_text() == "little\n"
