"""The README's examples, run as they stand against a real service; and the commands that it names exist."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from nobacktrack import Client
from tests.support.processes import RunningService

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]
PYTHON = [text for language, text in BLOCKS if language == "python"]


def run(service: RunningService, text: str, interpreter: list[str]) -> str:
    """Output of an example whose address is that of the test's service."""
    address = service.url.removeprefix("http://")
    text = text.replace("127.0.0.1:8000", address).replace("curl ", "curl -sS --fail-with-body ")
    done = subprocess.run([*interpreter, text], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_curl_and_websocket_examples(shared_service: RunningService) -> None:
    single, bulk = (text for text in SHELL if "curl" in text)
    answers = run(shared_service, single.replace("\ncurl", "; echo\ncurl"), ["sh", "-ec"]).splitlines()
    created, first, second, forecast = (json.loads(line) for line in answers)
    assert created["version"] == 0
    assert first["prediction"] == {"rides": None}
    # The README shows this line.
    assert (second["id"], second["version"], second["prediction"]) == ("a2", 2, {"rides": 10844.0})
    assert (second["loss"], second["lower"]) == (None, {"rides": None})
    assert len(forecast["steps"]) == 3
    outcomes = [json.loads(line) for line in run(shared_service, bulk, ["sh", "-ec"]).splitlines()]
    assert [outcome["version"] for outcome in outcomes] == [3, 4, 5]
    # "The loss begins with the third event, the interval with the fourth".
    assert outcomes[0]["loss"] is not None
    assert [outcome["lower"]["rides"] is None for outcome in outcomes] == [True, False, False]
    client, websocket = PYTHON
    assert re.findall(r"^(\d+) -?[\d.]+$", run(shared_service, websocket, [sys.executable, "-c"]), re.MULTILINE) == [
        "6",
        "7",
        "8",
    ]
    assert "temperature" in run(shared_service, client, [sys.executable, "-c"])
    with Client(shared_service.url) as remote:
        assert remote.status("kiln").version == 3


def test_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for text in SHELL:
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["make"]:
                assert words[1] in targets
    assert {"run", "test", "test-tools", "serve", "bench", "check", "lint"} <= targets
    help_text = subprocess.run(
        [sys.executable, "-m", "nobacktrack", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("serve", "demo", "replay", "streams"):
        assert name in help_text
