"""Services and commands in processes of their own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nobacktrack.service.cli.local_service import LocalService

DEADLINE_SECONDS = 75.0
"""How long a test waits for something that must happen; a first start compiles for up to a minute."""


def wait_until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Return when the condition holds; fail, saying what was waited for, when it never does."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"after {DEADLINE_SECONDS:g} s: {what()}"
        time.sleep(0.02)


class RunningService:
    """A private service that a test may kill and start again, on the same port and data."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._process = LocalService(data_dir, embedded=True)
        self._process.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._process.url

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.stop()

    def stop(self) -> None:
        """As a person would: with SIGTERM, and wait."""
        self._process.stop()

    def restart(self) -> None:
        """Start it anew, whether it was stopped, killed, or still runs."""
        self._process.stop()
        port = int(self.url.rpartition(":")[2])
        self._process = LocalService(self.data_dir, port=port, embedded=True)
        self._process.start()


class Command:
    """`nobacktrack` with arguments, started and watched.

    Standard output and standard error are two pipes, so nothing is known of the order between them. At a terminal they
    are one, and all of the text is in `stdout`.
    """

    def __init__(self, arguments: tuple[str, ...], *, terminal: bool = False) -> None:
        pairs = [os.openpty()] if terminal else [os.pipe(), os.pipe()]
        self._bytes = {read: b"" for read, _ in pairs}
        for read in self._bytes:
            os.set_blocking(read, False)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nobacktrack", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=pairs[0][1],
            stderr=pairs[-1][1],
            # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
            preexec_fn=_heed_interrupts,
        )
        for _, write in pairs:
            os.close(write)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """The text of standard output so far."""
        return self._read()[0]

    @property
    def stderr(self) -> str:
        """The text of standard error so far."""
        return self._read()[-1]

    @property
    def output(self) -> str:
        """Both texts, one after the other, for tests that ask what is in neither."""
        return "".join(self._read())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in standard output or else in standard error."""
        wait_until(lambda: self._search(pattern) or self._process.poll() is not None, lambda: self.output)
        found = self._search(pattern)
        assert found, f"no {pattern} in: {self.output}"
        return found

    def wait(self) -> int:
        """The exit code, once it has ended by itself."""
        wait_until(lambda: self._read() and self._process.poll() is not None, lambda: self.output)
        return self._process.wait()

    def send(self, number: signal.Signals) -> int:
        """The exit code after a signal."""
        self._process.send_signal(number)
        return self.wait()

    def discard(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for read in self._bytes:
            os.close(read)

    def _search(self, pattern: str) -> re.Match[str] | None:
        return next(filter(None, (re.search(pattern, text) for text in self._read())), None)

    def _read(self) -> list[str]:
        """The text of each pipe, with what has come since the last call."""
        for read in self._bytes:
            # An error says that there is nothing to read now, or that nobody is left who writes.
            with contextlib.suppress(OSError):
                while part := os.read(read, 65536):
                    self._bytes[read] += part
        return [text.decode(errors="replace") for text in self._bytes.values()]


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
