"""What stands around the service, by the very files of deploy/, but on this machine: nginx, and the store's server."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from nobacktrack.service.store.embedded import _LAUNCH, _find
from tests.support.needs import path_of
from tests.support.processes import wait_until
from tests.support.servers import HOST, Server, answers, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
NGINX = DEPLOY / "nginx"
REDIS = DEPLOY / "redis" / "redis.conf"
SERVER = re.compile(r"server ([\w-]+):8000 resolve ")


def place(directory: Path, port: int, replicas: Sequence[str], prefix: str = "") -> Path:
    """The deployed files, in `directory`: changed are the port, and the names that only an engine resolves.

    With a `prefix` the service is at that path, which is stripped.
    """
    directory.mkdir(parents=True, exist_ok=True)
    text = (NGINX / "nginx.conf").read_text(encoding="utf-8")
    assert text.count("listen 8080;") == 1
    everything = "location / {\n            proxy_pass http://replicas;"
    assert text.count(everything) == 1
    if prefix:
        text = text.replace(everything, f"location {prefix}/ {{\n            proxy_pass http://replicas/;")
    (directory / "nginx.conf").write_text(text.replace("listen 8080;", f"listen {HOST}:{port};"), encoding="utf-8")
    text = (NGINX / "upstream.conf").read_text(encoding="utf-8")
    text, resolvers = re.subn(r"^resolver .*$", "", text, flags=re.MULTILINE)
    addresses = iter(replicas)
    text, names = SERVER.subn(lambda _: f"server {next(addresses)} ", text)
    assert (resolvers, names) == (1, len(replicas))
    (directory / "upstream.conf").write_text(text, encoding="utf-8")
    return directory / "nginx.conf"


class Nginx:
    """nginx on a port of its own, in front of the services at these addresses (`host:port`). Dies with this thread."""

    def __init__(self, directory: Path, replicas: Sequence[str], prefix: str = "") -> None:
        self.port = free_port()
        self.log = directory / "nginx.log"
        """What it printed."""
        self._command = [path_of("nginx"), "-e", "stderr", "-p", str(directory), "-c"]
        self._command.append(str(place(directory, self.port, replicas, prefix)))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())] if sys.platform == "linux" else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*launch, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        pid = self.log.parent / "nginx.pid"
        wait_until(lambda: pid.exists() or self._process.poll() is not None, self.log.read_text)
        assert self._process.poll() is None, self.log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


class Store(Server):
    """The store of the compose file; only its directory and its address are others."""

    def start(self, *more: str) -> None:
        """Start it, and return when it has read its data."""
        self._spawn([_find(None), str(REDIS), "--dir", str(self.directory), "--bind", HOST, "--port", str(self.port)])
        wait_until(lambda: self._alive() and answers(self.port, lambda client: bool(client.ping())), self.log.read_text)
