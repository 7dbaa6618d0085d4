"""The file that a child service prints to stays small and keeps the newest lines."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, pathlib, sys
from nobacktrack.service.server import log_file

LIMIT = 1000
log_file.CHECK_SECONDS = 0.001

async def main():
    path = pathlib.Path(sys.argv[1])
    keeper = asyncio.create_task(log_file.keep_small(path, LIMIT))
    for number in range(60):
        print(number, "x" * 40, flush=True)
        print(number, "y" * 40, file=sys.stderr, flush=True)
        while path.stat().st_size > LIMIT:
            await asyncio.sleep(0)
    keeper.cancel()

asyncio.run(main())
"""


def test_a_process_that_prints_much_keeps_two_small_files(tmp_path: Path) -> None:
    path, older = tmp_path / "service.log", tmp_path / "service.log.1"
    with path.open("ab") as log:
        subprocess.run([sys.executable, "-c", PROGRAM, str(path)], stdout=log, stderr=log, check=True, timeout=60)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["service.log", "service.log.1"]
    assert path.stat().st_size <= 1000
    assert older.stat().st_size <= 1000
    # The newest lines, in order; the first may be the rest of one.
    _, *lines = (older.read_text() + path.read_text()).splitlines()
    expected = [f"{number} {letter * 40}" for number in range(60) for letter in "xy"]
    assert len(lines) > 20
    assert lines == expected[-len(lines) :]
