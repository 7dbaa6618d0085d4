"""A service in a child process: started, waited for, stopped. The child cannot outlive its parent."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..client.sync import Client
from ..errors import CommandError
from ..files import rotate

READY_SECONDS = 180.0
"""How long a service may take to get ready. The first start compiles the kernels: that takes half a minute, or longer
where other programs use the processor too."""

STOP_SECONDS = 15.0
"""How long a service may take to stop before it is killed. A service lets running requests finish first."""

PRIVATE = ["--embedded", "--anonymous", "--host", "127.0.0.1"]
"""Options of a service that only its parent uses."""

PREFIX = "nobacktrack: "
"""The beginning of the line that says why a command failed."""


class LocalService:
    """A child process `nobacktrack serve`, in a session of its own, that writes to `service.log` in `data_dir`.

    Parent and child each hold one end of a socket pair. The child sends lines through it: how far its start is, and at
    last its URL. The kernel closes the parent's end when the parent ends, in whatever way, and then the child stops.
    """

    def __init__(
        self, data_dir: Path, *, port: int = 0, embedded: bool = False, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """With `embedded` the service has a store of its own, on loopback, without keys, whatever the environment says.

        `say` is told how far the start is, a line each second while the kernels are compiled.
        """
        self.data_dir = data_dir.resolve()
        self.url = ""
        """The address of the service, once it is ready."""
        self._say = say
        private = PRIVATE if embedded else []
        options = ["--port", str(port), "--data-dir", str(self.data_dir), "--log-file", str(self.log), *private]
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
        """The file with what the service printed, now and in earlier starts; `service.log.1` has what came before."""
        return self.data_dir / "service.log"

    @property
    def pid(self) -> int:
        """The child's process id."""
        if self._process is None:
            raise RuntimeError("the service has not been started")
        return self._process.pid

    def start(self) -> None:
        """Start the service and return when it is ready. Raises CommandError with its reason when it ends instead."""
        ours, theirs = socket.socketpair()
        self._lifeline = ours
        with theirs:
            try:
                self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                rotate(self.log)
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
        """The URL that the child sends when it is ready. What it sends before goes to `say`."""
        deadline = time.monotonic() + READY_SECONDS
        received = b""
        while True:
            try:
                # Never 0, which would mean not to wait at all.
                lifeline.settimeout(max(deadline - time.monotonic(), 0.001))
                message = lifeline.recv(1024)
            except TimeoutError as error:
                raise CommandError(
                    f"the service was not ready within {READY_SECONDS:g} s; its log, {self.log}, may say why"
                ) from error
            if not message:
                raise CommandError(self._last_words())
            *lines, received = (received + message).split(b"\n")
            for line in map(bytes.decode, lines):
                if line.startswith("http"):
                    return line
                self._say(line)

    def check(self) -> None:
        """Raise CommandError, with the reason, when the service has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise CommandError(self._last_words())

    def _last_words(self) -> str:
        """Why the child ended, in one line."""
        with self.log.open("rb") as log:
            # A file that is shorter than where this start began has been rotated since: all of it is of this start.
            log.seek(0 if self.log.stat().st_size < self._log_start else self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        last = lines[-1].strip() if lines else ""
        if last.startswith(PREFIX):
            return last.removeprefix(PREFIX)
        return f"the service ended: {last or 'it printed nothing'} (its log is {self.log})"

    def stop(self) -> None:
        """Ask the service to stop and wait; kill it after STOP_SECONDS. Does nothing when it does not run."""
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
def private_service(say: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """Yield the URL of a service with a temporary store on a free port; both are removed at the end.

    `say` is told how far the start is.
    """
    # The store's server may still be removing its own files while it stops.
    temporary = tempfile.TemporaryDirectory(prefix="nobacktrack-", ignore_cleanup_errors=True)
    with temporary as directory, LocalService(Path(directory), embedded=True, say=say) as service:
        yield service.url


def wait_until_ready(client: Client) -> None:
    """Return when a service that somebody else runs takes events. Raises CommandError after READY_SECONDS."""
    deadline = time.monotonic() + READY_SECONDS
    while not client.ready():
        if time.monotonic() > deadline:
            raise CommandError(
                f"the service at {client.url} is not ready: check that it runs and that the URL is right"
            )
        time.sleep(0.2)
