"""A real Prometheus on loopback that scrapes one address every second, and what it says."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from nobacktrack.service.store.embedded import _LAUNCH
from tests.support.needs import path_of
from tests.support.processes import wait_until
from tests.support.servers import HOST, free_port


@dataclass(frozen=True)
class Answer:
    """To one query."""

    error: str
    """Empty where there was none."""
    values: tuple[float, ...]
    """Of every series, at every moment that was asked for."""


class Prometheus:
    """Its data in a directory that is thrown away. It dies with this thread."""

    def __init__(self, directory: Path, rules: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._targets = directory / "targets.json"
        self._targets.write_text("[]")
        self._config = directory / "prometheus.yml"
        self._config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(rules)],
                    "scrape_configs": [
                        {"job_name": "nobacktrack", "file_sd_configs": [{"files": [str(self._targets)]}]}
                    ],
                }
            )
        )
        address = f"{HOST}:{free_port()}"
        self._http = httpx.Client(base_url=f"http://{address}/", timeout=10)
        self._command = [
            path_of("prometheus"), "--log.level=warn",
            f"--config.file={self._config}", f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, without waiting for it."""
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid())] if sys.platform == "linux" else []
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*launch, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._http.close()

    @property
    def log(self) -> Path:
        """What it printed."""
        return self._directory / "prometheus.log"

    def scrape(self, address: str) -> None:
        """Begin to scrape host:port; returns when it is up."""
        written = self._targets.with_suffix(".new")
        written.write_text(json.dumps([{"targets": [address]}]))
        written.replace(self._targets)
        wait_until(lambda: self._up(address), self.log.read_text)

    def _up(self, address: str) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.ask(f'up{{instance="{address}"}} == 1').values == (1.0,)
        except httpx.TransportError:  # it does not listen yet
            return False

    def ask(self, query: str) -> Answer:
        """The answer to an instant query."""
        said = self._http.post("api/v1/query", data={"query": query})
        if said.status_code == 503:  # it is still starting
            return Answer(said.text, ())
        body = said.json()
        if body["status"] != "success":
            return Answer(body["error"], ())
        kind, result = body["data"]["resultType"], body["data"]["result"]
        samples = [result] if kind == "scalar" else [one["value"] for one in result]
        return Answer("", tuple(float(value) for _, value in samples))

    def label(self, name: str, metric: str) -> list[str]:
        """The values that a label has on a metric."""
        said = self._http.get(f"api/v1/label/{name}/values", params={"match[]": metric})
        values: list[str] = said.raise_for_status().json()["data"]
        return values

    def rules(self) -> list[dict[str, Any]]:
        """Its rules and how they are."""
        groups = self._http.get("api/v1/rules").raise_for_status().json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]
