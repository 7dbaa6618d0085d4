"""Files that are replaced as a whole, and logs that are rotated."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nobacktrack.service.files import replacing, rotate


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", "of it"])  # type: ignore[list-item]
    assert (names(tmp_path), path.read_bytes()) == (["file"], b"before")


def test_a_file_keeps_its_permissions_and_a_new_one_gets_those_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for expected in (0o600, 0o640):
        with replacing(path, 0o600) as file:
            file.write(b"content")
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if expected == 0o600 else 0o640)
        path.chmod(0o640)
    assert names(tmp_path) == ["file"]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with replacing(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"


def test_a_log_is_rotated_when_it_is_too_large(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert not rotate(log, 3)
    log.write_bytes(b"one")
    assert not rotate(log, 3)
    log.write_bytes(b"two!")
    assert rotate(log, 3)
    assert (log.read_bytes(), (tmp_path / "log.1").read_bytes()) == (b"", b"wo!")
    log.write_bytes(b"three")
    assert rotate(log, 3)
    assert (tmp_path / "log.1").read_bytes() == b"ree"
    assert names(tmp_path) == ["log", "log.1"]


def test_a_process_that_appends_goes_on_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    program = "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=writer) as process:
        os.close(writer)
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), True)
        process.stdin.write(b"first\n")
        process.stdin.flush()
        while log.stat().st_size == 0:
            os.sched_yield()
        assert rotate(log, 5)
        process.stdin.write(b"second\n")
        process.stdin.close()
        process.wait()
    assert (log.read_bytes(), (tmp_path / "log.1").read_bytes()) == (b"second\n", b"irst\n")
