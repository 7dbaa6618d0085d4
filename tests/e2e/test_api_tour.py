"""docs/API.md, run as it stands, in its order, against a real service."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import RunningService

ROOT = Path(__file__).parents[2]
TOUR = (ROOT / "docs" / "API.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", TOUR, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each example printed; none of them failed."""
    service = RunningService(tmp_path_factory.mktemp("tour"))
    address = service.url.removeprefix("http://")
    try:
        return [_run(language, text.replace("127.0.0.1:8000", address)) for language, text in BLOCKS]
    finally:
        service.stop()


def _run(language: str, text: str) -> str:
    if language == "sh":
        # Each answer on a line of its own; an error of the service is one of the example.
        text = text.replace("curl ", "curl -sS --fail-with-body -w '\\n' ")
    command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def objects(output: str) -> list[dict[str, Any]]:
    """The JSON objects among the lines."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_every_example_works_and_says_what_the_text_says(outputs: list[str]) -> None:
    streams, etag, events, bulk, late, forecast, behind_it, symbols, live, socket, *others = outputs
    more, errors, python = others
    created, status, listed = objects(streams)
    assert (created["version"], status["digest"], listed["streams"]) == (0, created["digest"], ["shop"])
    assert etag.split()[-1] == "304"
    first, again, missing = objects(events)
    assert first == again
    assert (first["version"], missing["version"]) == (1, 2)
    assert [one.get("version") or one["status"] for one in objects(bulk)] == [3, 422, 4]
    waiting, behind, learnt = objects(late)
    assert (waiting["pending"], behind["pending"], learnt["id"], learnt["version"]) == (True, True, "wed", 5)
    [plain] = objects(forecast)
    assert (len(plain["steps"]), plain["version"], plain["pending"]) == (3, 6, 0)
    asked, ahead, learnt = objects(behind_it)
    assert (asked["pending"], ahead["version"], ahead["pending"], learnt["version"]) == (True, 6, 1, 7)
    assert sum(objects(symbols)[2]["prediction"]["state"].values()) == pytest.approx(1.0)
    assert live.splitlines()[2] == "id: 1"
    assert socket.endswith("True\n")
    judged, taken, _, back, kept, clone = objects(more)
    assert taken["version"] == back["version"] == kept["snapshots"][0]["version"] == clone["version"]
    assert judged["samples"] == 20
    assert errors.split() == ["422", "urn:nobacktrack:problem:bad-event", "y"]
    assert python.split() == ["True", "1", "1"]
