"""Real Valkey or Redis servers on loopback, for tests that kill, stop and fill them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Self

import psutil
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from nobacktrack.service.cli.local_service import LocalService
from nobacktrack.service.store.embedded import _LAUNCH, _find
from tests.support.processes import wait_until

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def client_of(port: int) -> Redis:
    """A plain client without retries; `with` it."""
    return Redis(host=HOST, port=port, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))


def answers(port: int, ready: Callable[[Redis], bool]) -> bool:
    """Whether there is a server on a port, of which `ready` is true."""
    try:
        with client_of(port) as client:
            return ready(client)
    except (RedisError, OSError):
        return False


class Server:
    """A server with a directory and a port of its own that it keeps over restarts. It dies with this thread."""

    def __init__(
        self, directory: Path, *arguments: str, fsync: Literal["always", "everysec"] = "always", port: int | None = None
    ) -> None:
        self.directory = directory
        self.port = free_port() if port is None else port
        self._arguments = (
            *("--port", str(self.port), "--bind", HOST, "--dir", str(directory), "--save", "", "--appendonly", "yes"),
            *("--appendfsync", fsync, "--aof-load-truncated", "yes", "--maxmemory-policy", "noeviction", *arguments),
        )
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For REDIS_URL."""
        return f"redis://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.directory / "server.log"

    @property
    def append_only_file(self) -> Path:
        """The file that grows with every write."""
        [found] = (self.directory / "appendonlydir").glob("*.incr.aof")
        return found

    def start(self, *more: str) -> None:
        """Start it, with more arguments for this time, and return when it has read its data."""
        self._spawn([_find(None), *self._arguments, *more])
        wait_until(lambda: self._alive() and answers(self.port, lambda client: bool(client.ping())), self.log.read_text)

    def _spawn(self, command: Sequence[str]) -> None:
        with self.log.open("ab") as log:
            launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())] if sys.platform == "linux" else []
            self._process = subprocess.Popen(
                [*launch, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )

    def _alive(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the server ended: {self.log.read_text()}"
        return True

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, also to one that is paused or was killed; returns when it is gone."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
                self._process.send_signal(signal.SIGCONT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its connections and does nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self) -> Redis:
        """A plain client; `with` it."""
        return client_of(self.port)


class Sentinel(Server):
    """One that watches a primary called `mymaster` and promotes a replica."""

    def __init__(self, directory: Path, primary: int, quorum: int = 2) -> None:
        super().__init__(directory)
        self._file = directory / "sentinel.conf"
        self._file.write_text(
            f"port {self.port}\nbind {HOST}\ndir {directory}\n"
            f"sentinel monitor mymaster {HOST} {primary} {quorum}\n"
            "sentinel down-after-milliseconds mymaster 1000\n"
            "sentinel failover-timeout mymaster 3000\n"
            "sentinel parallel-syncs mymaster 1\n"
        )

    def start(self, *more: str) -> None:
        """Start it, and return when it answers."""
        self._spawn([_find(None), str(self._file), "--sentinel", *more])
        wait_until(lambda: self._alive() and answers(self.port, lambda client: bool(client.ping())), self.log.read_text)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """What processes that are started now find in their environment, beside what is there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Replicas:
    """Processes of the service over one store, each on a port that it keeps over restarts."""

    def __init__(self, directory: Path, store_url: str, count: int, **settings: object) -> None:
        """`settings`: of the service, by the names in `nobacktrack.service.settings`."""
        self.store_url = store_url
        self._environment = {"REDIS_URL": store_url} | {f"NBT_{k.upper()}": str(v) for k, v in settings.items()}
        self._services = [LocalService(directory / f"replica{i}", port=free_port()) for i in range(count)]

    def __enter__(self) -> Self:
        try:
            with _environment(self._environment), ThreadPoolExecutor(len(self._services)) as pool:
                list(pool.map(LocalService.start, self._services))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def urls(self) -> list[str]:
        """Where they are."""
        return [service.url for service in self._services]

    @property
    def processes(self) -> list[psutil.Process]:
        """To look at their memory."""
        return [psutil.Process(service.pid) for service in self._services]

    def kill(self, which: int) -> None:
        """SIGKILL; returns when it is gone."""
        service = self._services[which]
        os.kill(service.pid, signal.SIGKILL)
        service.stop()

    def start(self, which: int) -> None:
        """Start one again that was killed; returns when it is ready."""
        with _environment(self._environment):
            self._services[which].start()

    def stop(self) -> None:
        """Kill all of them: in order takes longer, and no test of faults needs it."""
        for service in self._services:
            # One that was not started, or is killed already, has no process.
            with contextlib.suppress(RuntimeError, ProcessLookupError):
                os.kill(service.pid, signal.SIGKILL)
            service.stop()

    def logs(self) -> str:
        """What all of them printed."""
        return "".join(service.log.read_text() for service in self._services)
