"""The command line as a person meets it: real processes, real signals."""

import asyncio
import csv
import importlib.metadata
import itertools
import json
import math
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from nobacktrack.service.client.sync import Client, connect
from nobacktrack.service.schemas import Event, Outcome
from tests.support.processes import Command, RunningService, wait_until

Start = Callable[..., Command]
NOWHERE = "there is no directory {}/nowhere: create it, or choose another file for --report"


def one_line(failed: Command) -> str:
    """The error that a command wrote last to standard error, which must be a single line."""
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("nobacktrack: "), failed.output
    assert failed.output.count("nobacktrack: ") == 1, failed.output
    assert "Traceback" not in failed.output
    return last


@pytest.mark.parametrize("name", ["serve", "demo"])
def test_a_port_in_use_is_one_line(name: str, command: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = command(name, "--port", str(port), "--data-dir", str(tmp_path / "data"))
        assert started.wait() == 1
    assert f"port {port} of 127.0.0.1 is in use" in one_line(started)
    assert "--port" in one_line(started)


@pytest.mark.parametrize("name", ["serve", "demo"])
def test_a_data_directory_that_is_none_is_one_line(name: str, command: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    started = command(name, "--port", "0", "--data-dir", str(tmp_path / "file"))
    assert started.wait() == 1
    assert str(tmp_path / "file") in one_line(started)


def test_a_data_directory_in_use_is_one_line(command: Start, shared_service: RunningService) -> None:
    started = command("serve", "--port", "0", "--data-dir", str(shared_service.data_dir))
    assert started.wait() == 1
    assert f"{shared_service.data_dir} is in use" in one_line(started)


def test_the_version_the_settings_and_wrong_arguments(command: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBT_PORT", "9000")
    monkeypatch.setenv("NBT_KEY", "s3cr3t")
    asked = [command("--version"), command("settings", "--json"), command("settings"), command("setings")]
    assert [started.wait() for started in asked] == [0, 0, 0, 2]
    version, as_json, table, _ = (started.stdout for started in asked)
    assert version == f"nobacktrack {importlib.metadata.version('nobacktrack')}\n"
    rows = {row["name"]: row for row in json.loads(as_json)["settings"]}
    assert rows["NBT_PORT"] == {"name": "NBT_PORT", "value": "9000", "default": "8000", "source": "environment"}
    assert "NBT_PORT" in table
    assert "s3cr3t" not in as_json + table


def test_serve_says_where_it_is_and_stops_on_a_signal(command: Start, tmp_path: Path) -> None:
    started = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    ready = started.wait_for(r"ready at (http://127\.0\.0\.1:\d+) \(documentation at \1/docs, data in (.*)\)\n")
    assert ready.group(2) == str(tmp_path / "data")
    with Client(ready.group(1)) as client:
        page = client.metrics()
        assert "nobacktrack_ready 1.0" in page
        assert "readyz" not in page, "its own start is no request"
        refused = re.findall(r"^nobacktrack_refused_total.* (\S+)$", page, re.MULTILINE)
        assert set(refused) == {"0.0"}
        assert client.ready()
    assert started.send(signal.SIGTERM) == 0
    assert "Traceback" not in started.output


def test_the_demo_goes_on_where_it_was_and_leaves_nobody_behind(command: Start, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", str(tmp_path), "--interval", "0.05", "--log-every", "0.2")
    first = command("demo", *arguments)
    first.wait_for(r"version \d+: loss [\d.]+, persistence [\d.]+, ratio of roots [\d.]+, update [\d.]+ ms")
    assert first.send(signal.SIGINT) == 0
    assert "Traceback" not in first.output
    version = int(first.wait_for(r"stopped at version (\d+)").group(1))
    second = command("demo", *arguments)
    assert version < int(second.wait_for(r"version (\d+): ").group(1)) < version + 100
    family = psutil.Process(second.pid).children(recursive=True)
    assert len(family) == 2, "the service and its store"
    second.send(signal.SIGKILL)
    wait_until(lambda: not any(process.is_running() for process in family), lambda: f"{family} still run")


def test_the_demo_at_a_terminal(
    command: Start, shared_service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    started = command("demo", "--url", shared_service.url, "--interval", "0.05", terminal=True)
    started.wait_for(r"(?s)version 3 .*disk_write.*persistence.*round trip")
    assert started.send(signal.SIGTERM) == 0
    assert "stopped at version" in started.output


def test_the_demo_feeds_another_service_with_a_made_up_series(command: Start, shared_service: RunningService) -> None:
    options = ("--source", "seasons", "--interval", "0.05", "--log-every", "0.2")
    started = command("demo", "--url", shared_service.url, *options)
    started.wait_for(f"feeding a made-up series, at {shared_service.url}")
    started.wait_for(r"version \d+: loss [\d.]+, persistence [\d.]+")
    assert started.send(signal.SIGTERM) == 0
    version = int(started.wait_for(r"stopped at version (\d+)").group(1))
    with Client(shared_service.url) as client:
        status = client.status("seasons")
    # One may have been learnt whose answer the signal cut off.
    assert version <= status.version <= version + 1
    assert status.config["targets"] == ["visits", "latency"]


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    """A file of two series, one of them with gaps."""
    path = tmp_path / "two waves.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["when", "sine", "cosine"])
        for t in range(1200):
            sine = "" if t % 97 == 5 else 10 + 3 * math.sin(t / 5)
            rows.writerow([f"2026-01-{1 + t // 60:02d} 12:{t % 60:02d}", sine, math.cos(t / 9)])
    return path


def expected_scores(client: Client, path: Path) -> dict[str, Any]:
    """What `replay` should say of a file, calculated in another way: whole columns at once."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    events = [
        Event.model_validate_json(
            json.dumps(
                {
                    "time": row["when"].replace(" ", "T") + ":00Z",
                    "y": {name: float(row[name]) if row[name] else None for name in ("sine", "cosine")},
                }
            )
        )
        for row in rows
    ]
    client.create("by-hand", targets=["sine", "cosine"])
    outcomes = [answer for answer in client.observe_many("by-hand", events) if isinstance(answer, Outcome)]
    assert len(outcomes) == len(events)
    scores: dict[str, Any] = {}
    for name in ("sine", "cosine"):
        known = [t for t, event in enumerate(events) if event.values[name] is not None]
        pairs = list(itertools.pairwise(known))
        squares = [(outcomes[t].prediction[name] - events[t].values[name]) ** 2 for _, t in pairs]  # type: ignore[operator]
        baseline = [(events[last].values[name] - events[t].values[name]) ** 2 for last, t in pairs]  # type: ignore[operator]
        scores[name] = {
            "scored": len(pairs),
            "rmse": pytest.approx(math.sqrt(math.fsum(squares) / len(pairs))),
            "persistence_rmse": pytest.approx(math.sqrt(math.fsum(baseline) / len(pairs))),
            "ratio": pytest.approx(math.sqrt(math.fsum(squares) / math.fsum(baseline))),
        }
    return scores


def test_replay_through_a_running_service(command: Start, shared_service: RunningService, waves: Path) -> None:
    columns = ("--target", "sine", "--target", "cosine", "--time", "when")
    page = waves.with_name("report.html")
    started = command("replay", str(waves), *columns, "--url", shared_service.url, "--report", str(page), "--json")
    assert started.wait() == 0
    report = json.loads(started.stdout)
    [data] = re.findall(r'<script type="application/json" id="data">(.*)</script>', page.read_text())
    shown = json.loads(data)
    assert {name: shown[name] for name in report} == report
    assert shown["views"][0]["events"] == 1200
    assert (report["stream"], report["events"], report["version"]) == ("two-waves", 1200, 1200)
    with Client(shared_service.url) as client:
        assert report["targets"] == expected_scores(client, waves)
    assert report["events_per_second"] == pytest.approx(1200 / report["seconds"])

    listed = command("streams", "--url", shared_service.url, "--json")
    assert listed.wait() == 0
    assert {"name": "two-waves", "version": 1200} in json.loads(listed.stdout)["streams"]


def test_replay_through_a_private_service(
    command: Start, waves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    # A Redis that somebody set up for something else is not what "private" means.
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    started = command("replay", str(waves), "--target", "sine", "--input", "cosine", "--units", "8")
    assert started.wait() == 0
    assert all(word in started.stdout for word in ("two-waves", "sine", "1,200", "events/s", "persistence", "ratio"))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_replay_refuses_a_bad_file_before_it_starts_anything(command: Start, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("value\nnine\n")
    started = command("replay", str(tmp_path / "bad.csv"), "--target", "value")
    assert started.wait() == 1
    assert (started.stdout, started.stderr) == (
        "",
        f"nobacktrack: {tmp_path}/bad.csv, line 2: 'nine' in column value is not a number\n",
    )


def test_replay_says_at_once_where_a_report_cannot_be_written(command: Start, waves: Path, tmp_path: Path) -> None:
    started = command("replay", str(waves), "--target", "sine", "--report", str(tmp_path / "nowhere" / "report.html"))
    assert started.wait() == 1
    assert (started.stdout, started.stderr) == ("", f"nobacktrack: {NOWHERE.format(tmp_path)}\n")


def test_a_service_that_is_not_there_is_one_line(command: Start) -> None:
    started = command("streams", "--url", "http://127.0.0.1:1")
    assert started.wait() == 1
    assert "no answer from http://127.0.0.1:1" in one_line(started)


def test_events_over_the_websocket_are_answered_in_order(shared_service: RunningService) -> None:
    async def converse() -> list[int]:
        async with connect(shared_service.url, "over-websocket") as connection:
            for n in range(50):
                await connection.send(Event(y={"n": n}))
            answers = [await connection.receive() for _ in range(50)]
        return [answer.version for answer in answers if isinstance(answer, Outcome)]

    with Client(shared_service.url) as client:
        client.create("over-websocket", targets=["n"])
    assert asyncio.run(converse()) == list(range(1, 51))


def test_a_log_is_replayed_and_a_stream_carried_elsewhere(command: Start, tmp_path: Path) -> None:
    """While a service runs on the data and after it has ended; the other place has no service at all."""
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "s.nbt"
    running = RunningService(here)
    with Client(running.url) as client:
        client.create("s", targets=["y"], units=4)
        for number in range(30):
            client.observe("s", {"y": float(number % 5)}, id=f"e{number}")
        digest = client.status("s").digest

        def said(*arguments: str) -> Any:
            started = command(*arguments, "--json")
            assert started.wait() == 0, started.output
            return json.loads(started.stdout)

        replayed = said("replay-log", "s", "--data-dir", str(here))
        assert (replayed["begins"], replayed["version"], replayed["digest"]) == (0, 30, digest)
        settings = said("replay-log", "s", "--data-dir", str(here), "--set", "estimator=frozen")["learners"]
        assert [row["settings"] for row in settings] == [{}, {"estimator": "frozen"}]
        client.predict("s", id="late")
        ahead = command("forecast", "s", "--url", running.url)
        assert ahead.wait() == 0
        assert "after version 30 and 1 that wait for labels" in " ".join(ahead.stdout.split())
        written = said("export", "s", str(file), "--data-dir", str(here))
        assert (written["version"], written["pending"]) == (30, 1)
        assert said("import", str(file), "--as", "t", "--data-dir", str(here))["stream"] == "t"
        assert client.status("t").digest == digest
        assert client.label("t", "late", {"y": 0.0}) == client.label("s", "late", {"y": 0.0})
        assert client.status("t").digest == client.status("s").digest
    running.stop()
    assert said("import", str(file), "--data-dir", str(there))["version"] == 30
    assert said("replay-log", "s", "--data-dir", str(there), "--to", "30")["digest"] == digest
    for wrong, message in (
        (("replay-log", "nothing"), "there is no stream nothing"),
        (("replay-log", "s", "--set", "units"), "name=value"),
        (("import", str(file), "--as", "{}"), "a stream's name is"),
    ):
        started = command(*wrong, "--data-dir", str(there))
        assert started.wait() == 1
        assert message in one_line(started)
