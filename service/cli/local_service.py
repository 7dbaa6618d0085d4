"""A service in a child process: started, waited for, ended. It cannot outlive its parent."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..client.sync import Client
from ..errors import CommandError

READY_SECONDS = 180.0
"""How long a service may take to get ready. The first start compiles the kernels: half a minute, or more where other
programs want the processor as well."""

STOP_SECONDS = 15.0
"""How long a service may take to stop before it is killed: it lets requests finish first."""

PRIVATE = ["--embedded", "--anonymous", "--host", "127.0.0.1"]
"""Options of a service that only its parent knows of."""

PREFIX = "nobacktrack: "
"""Begins the one line with which a command fails."""


class LocalService:
    """A child process `nobacktrack serve`, in a session of its own, that writes to `service.log` in `data_dir`.

    The two hold the ends of a socket pair. The child says through it that it is ready, and where; and it ends when
    this process does, however that happens, because then the kernel closes our end.
    """

    def __init__(self, data_dir: Path, *, port: int = 0, embedded: bool = False) -> None:
        """`embedded`: private, whatever the environment says: a store of its own, on loopback, without keys."""
        self.data_dir = data_dir.resolve()
        self.url = ""
        """Where it is, once it is ready."""
        options = ["--port", str(port), "--data-dir", str(self.data_dir), *(PRIVATE if embedded else [])]
        self._command = [sys.executable, "-m", "nobacktrack", "serve", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: socket.socket | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """What it printed, of this start and earlier ones."""
        return self.data_dir / "service.log"

    @property
    def pid(self) -> int:
        """The child's process id."""
        if self._process is None:
            raise RuntimeError("the service has not been started")
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it is ready. Raises CommandError with the child's reason when it ends instead."""
        ours, theirs = socket.socketpair()
        self._lifeline = ours
        with theirs:
            try:
                self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                with self.log.open("ab") as log:
                    self._log_start = log.tell()
                    self._process = subprocess.Popen(  # noqa: S603 - our own program
                        [*self._command, "--parent-fd", str(theirs.fileno())],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        pass_fds=[theirs.fileno()],
                        # Ctrl-C at the terminal is for the parent, which then stops the child in order.
                        start_new_session=True,
                        # The package that is running now, whatever the working directory holds.
                        cwd=Path(__file__).parents[3],
                    )
            except OSError as error:
                raise CommandError(
                    f"cannot write to {self.data_dir}: {error.strerror}; choose another directory with --data-dir"
                ) from error
        self.url = self._wait(ours)

    def _wait(self, lifeline: socket.socket) -> str:
        lifeline.settimeout(READY_SECONDS)
        try:
            message = lifeline.recv(1024)
        except TimeoutError as error:
            raise CommandError(
                f"the service was not ready within {READY_SECONDS:g} s; its log is {self.log}"
            ) from error
        if not message:
            raise CommandError(self._last_words())
        return message.decode().strip()

    def check(self) -> None:
        """Raise CommandError, with the reason, when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise CommandError(self._last_words())

    def _last_words(self) -> str:
        """Why the child ended, in one line."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        last = lines[-1].strip() if lines else ""
        if last.startswith(PREFIX):
            return last.removeprefix(PREFIX)
        return f"the service ended: {last or 'without a word'} (its log is {self.log})"

    def stop(self) -> None:
        """End it in order and wait; kill it when it takes too long. Does nothing when it is not running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None


@contextlib.contextmanager
def private_service() -> Iterator[str]:
    """The URL of a service with a temporary store and a free port, both gone at the end."""
    # A server that is being stopped may still be removing its own files.
    temporary = tempfile.TemporaryDirectory(prefix="nobacktrack-", ignore_cleanup_errors=True)
    with temporary as directory, LocalService(Path(directory), embedded=True) as service:
        yield service.url


def wait_until_ready(client: Client) -> None:
    """Return when a service that somebody else runs takes events; CommandError when it does not in READY_SECONDS."""
    deadline = time.monotonic() + READY_SECONDS
    while not client.ready():
        if time.monotonic() > deadline:
            raise CommandError(f"the service at {client.url} is not ready; is it running, and is the URL right?")
        time.sleep(0.2)
