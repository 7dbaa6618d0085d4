"""The structure of the code: what import-linter's contracts (pyproject.toml) do not say."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("model", "service")
PURE = {"asyncio", "os", "io", "socket", "time", "datetime", "random", "logging", "threading", "subprocess"}
"""Input, output and clocks."""
MODULES, LINES, LEVELS = 16, 300, 10
"""The most modules of a folder, lines of a file, levels of packages that import one another."""
LONG = {
    "model/numerics/kernels.py": "the passes over the parameters, compiled together",
}
"""Longer files, and their one subject."""


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


def test_imports_go_one_way() -> None:
    """In a process of its own: import-linter configures logging, and would silence the loggers of other tests."""
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    found = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_another_on_few_levels(package: str) -> None:
    """Counted within `model` and within `service`, where the model is one package."""
    graph = grimp.build_graph("nobacktrack", cache_dir=None)

    def room(module: str) -> str:
        return ".".join(module.split(".")[: 3 if module.startswith(f"nobacktrack.{package}") else 2])

    below: dict[str, set[str]] = {}
    for module in graph.modules:
        others = {room(one) for one in graph.find_modules_directly_imported_by(module)}
        below.setdefault(room(module), set()).update(others - {room(module), f"nobacktrack.{package}"})
    if package == "model":
        below = {room: others for room, others in below.items() if room.startswith("nobacktrack.model")}
    levels: dict[str, int] = {}
    while len(levels) < len(below):
        ready = {room for room in below.keys() - levels.keys() if below[room] <= levels.keys()}
        assert ready, f"a circle among {sorted(below.keys() - levels.keys())}"
        levels |= {room: 1 + max((levels[one] for one in below[room]), default=0) for room in ready}
    assert max(levels.values()) <= LEVELS, levels


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_and_files_are_small(package: str) -> None:
    for folder in {path.parent for path in files(package)}:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= MODULES, folder
    long = {str(path.relative_to(ROOT)) for path in files(package) if len(path.read_text().splitlines()) > LINES}
    assert long <= LONG.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_code_names_itself_relatively(package: str) -> None:
    """`import model` would be somebody else's where the wheel is installed."""
    for path in files(package):
        assert not {name.partition(".")[0] for name in imported(path)} & {*PACKAGES, "nobacktrack"}, path


def test_the_model_has_no_input_output_or_clock() -> None:
    for path in files("model"):
        assert not {name.partition(".")[0] for name in imported(path)} & PURE, path


def test_only_settings_reads_the_environment() -> None:
    for path in files("service"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert path.parent.name == "settings" or not names & {"environ", "getenv"}, path
