"""What the child process says through the socket pair while it starts."""

import socket
from pathlib import Path

import pytest

from nobacktrack.service.cli.local_service import LocalService
from nobacktrack.service.errors import CommandError


def test_progress_comes_before_the_address_wherever_it_is_cut(tmp_path: Path) -> None:
    said: list[str] = []
    service = LocalService(tmp_path, say=said.append)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"compiling kernel 1 of 9, 0 s so far\ncompiling kernel 2")
        theirs.sendall(b" of 9, 1 s so far\nhttp://127.0.0.1:8000\n")
        assert service._wait(ours) == "http://127.0.0.1:8000"
    assert said == ["compiling kernel 1 of 9, 0 s so far", "compiling kernel 2 of 9, 1 s so far"]


def test_the_last_line_of_this_start_is_the_reason_also_after_a_rotation(tmp_path: Path) -> None:
    service = LocalService(tmp_path)
    ours, theirs = socket.socketpair()
    service.log.write_text("of an earlier start\n" * 10)
    service._log_start = 200
    theirs.close()
    with ours, pytest.raises(CommandError, match="it printed nothing"):
        service._wait(ours)
    service.log.write_text("nobacktrack: no room\n")
    assert service._last_words() == "no room"
