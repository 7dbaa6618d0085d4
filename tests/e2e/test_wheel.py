"""What people install: the built wheel, in an environment of its own, beside files named like the service's folders."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installed import ROOT, Environment, build, clean
from tests.support.processes import wait_until

MOST_CLIENT_BYTES = 40_000_000
HEAVY = {"numpy", "numba", "llvmlite", "fastapi", "redis", "rich", "typer", "uvicorn", "prometheus_client"}
"""What the client never loads."""

SCRIPT = """\
from datetime import UTC, datetime

from nobacktrack import ApiError, Client, Config, Event, Learner, Outcome, Problem

with Client("{url}") as client:
    client.create("kiln", targets=["celsius"], units=4)
    one: Outcome = client.observe("kiln", {{"celsius": 812.0}}, time=datetime.now(UTC))
    events = [Event(y={{"celsius": 815.5}}), Event(y={{"celsius": 816.0}})]
    versions = [answer.version for answer in client.observe_many("kiln", events) if not isinstance(answer, Problem)]
    try:
        client.status("nobody")
    except ApiError as error:
        print(one.version, versions, error.status)
"""
TYPES = """
config = Config(targets=("y",), units=4)
reveal_type(Learner(config).observe([1.0]).loss)
reveal_type(one.prediction)
wrong: int = client.forecast("kiln")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def small(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install nobacktrack` makes."""
    return Environment(tmp_path_factory.mktemp("small") / "env", wheel)


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install 'nobacktrack[server]'` makes."""
    return Environment(tmp_path_factory.mktemp("full") / "env", wheel, "server")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user works: with a `model.py`, a `service/` and a `tests/` that are not ours."""
    (tmp_path / "model.py").write_text("raise RuntimeError('the user\\'s own model')\n")
    for name in ("service", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the user\\'s own {name}')\n")
    return tmp_path


@pytest.fixture
def url(full: Environment, folder: Path) -> Iterator[str]:
    """Where the installed `nobacktrack serve` answers, with a store of its own."""
    full.borrow_kernels()
    log = folder / "printed"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [full.command, "serve", "--port", "0", "--data-dir", "data"],
            cwd=folder, env=clean(folder), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        wait_until(lambda: "ready at" in log.read_text() or process.poll() is not None, log.read_text)
        found = re.search(r"ready at (http\S+)", log.read_text())
        assert found is not None, log.read_text()
        yield found[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert process.returncode == 0, log.read_text()


def test_there_is_one_top_level_name(wheel: Path, small: Environment, folder: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"nobacktrack", names[-1].partition("/")[0]}
    assert {"nobacktrack/py.typed", "nobacktrack/model/learner.py", "nobacktrack/service/web/static/index.html"} <= {
        *names
    }
    for name in ("model", "service"):
        assert not list(small.packages.glob(f"{name}*"))
        assert "the user's own" in small.run(folder, "-c", f"import {name}").stderr


def test_the_client_alone_is_small(small: Environment, folder: Path) -> None:
    code = """
import json, sys, time
began = time.perf_counter()
from nobacktrack import AsyncClient, Client, Event, Outcome, connect
took = time.perf_counter() - began
named = sorted({one.__module__ for one in (AsyncClient, Client, Event, Outcome)})
print(json.dumps({"loaded": sorted(sys.modules), "named": named, "took": took}))
"""
    done = small.run(folder, "-c", code)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not {name.partition(".")[0] for name in said["loaded"]} & HEAVY
    assert said["named"] == ["nobacktrack"]
    assert small.size() < MOST_CLIENT_BYTES
    print(f"the client: {small.size() / 1e6:.1f} MB, imported in {said['took']:.2f} s")


def test_what_is_not_installed_is_named_in_one_line(small: Environment, folder: Path) -> None:
    learner = small.run(folder, "-c", "from nobacktrack import Learner")
    assert learner.returncode == 1
    assert re.search(r"^ImportError: nobacktrack.Learner needs num\w+: .*\[server\]'", learner.stderr, re.MULTILINE)
    for arguments in (("-m", "nobacktrack", "--version"), (str(small.command), "serve")):
        done = small.run(folder, *arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert re.fullmatch(
            r"nobacktrack: the command needs \w+: pip install 'nobacktrack\[server\]'\n", done.stderr
        ), done.stderr


def test_the_service_answers_a_users_script(full: Environment, folder: Path, url: str) -> None:
    (folder / "script.py").write_text(SCRIPT.format(url=url))
    done = full.run(folder, "script.py")
    assert done.stdout == "1 [2, 3] 404\n", done.stderr
    said = full.run(folder, "-m", "nobacktrack", "--version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert said.stdout == f"nobacktrack {project['version']}\n", said.stderr
    # `replay` and `demo` start a service of their own from there.
    (folder / "series.csv").write_text("y\n" + "1\n2\n" * 10)
    replayed = full.run(folder, "-m", "nobacktrack", "replay", "series.csv", "--target", "y", "--units", "4", "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["events"] == 20


def test_types_are_seen(full: Environment, folder: Path) -> None:
    (folder / "script.py").write_text(SCRIPT.format(url="http://127.0.0.1:1") + TYPES)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", full.python, "--cache-dir", folder / "cache",
         "--config-file", "", "script.py"],
        cwd=folder, env=clean(folder), check=False, capture_output=True, text=True, timeout=75,
    )  # fmt: skip
    notes = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(notes) == 2, done.stdout + done.stderr
    assert "ndarray" in notes[0]
    assert "dict" in notes[1]
    [error] = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert 'expression has type "nobacktrack.service.schemas.Forecast"' in error or '"Forecast"' in error


def test_the_source_distribution_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    packed = build("sdist", tmp_path / "sdist")
    with tarfile.open(packed) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
    subprocess.run(["tar", "-xzf", str(packed), "-C", str(tmp_path)], check=True)
    rebuilt = build("wheel", tmp_path / "rebuilt", tmp_path / packed.name.removesuffix(".tar.gz"))
    ours, theirs = zipfile.ZipFile(wheel), zipfile.ZipFile(rebuilt)
    assert {name: ours.read(name) for name in ours.namelist()} == {
        name: theirs.read(name) for name in theirs.namelist()
    }


def test_the_image_installs_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """The files that the Dockerfile copies, copied as an engine does: links stay links, and lead to what is there."""
    copied = re.findall(r"^COPY (?!--from)(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    source = tmp_path / "src"
    source.mkdir()
    for name in {name for line in copied for name in line.split()} - {"./"}:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    assert (source / "nobacktrack" / "model").is_symlink()
    rebuilt = build("wheel", tmp_path / "rebuilt", source)
    assert rebuilt.read_bytes() == wheel.read_bytes()
