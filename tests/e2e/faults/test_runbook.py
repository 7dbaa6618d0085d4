"""The runbook against the code: whatever it says that people will see is there."""

import re
from pathlib import Path

import pytest

from nobacktrack.service.observability.metrics import Metrics
from nobacktrack.service.settings import Settings

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
FAILURES = RUNBOOK.partition("\n## Alerts\n")[0]
"""The alerts, which follow, are held against their rules in tests/unit/deploy/test_alerts.py."""
SUBJECTS = (
    "The service was killed", "The store was killed", "The store hangs or is slow", "The store is full",
    "The store's disk is full, or its log was cut short", "A failover, or: the store went back",
    "A slot moves in a cluster", "A damaged checkpoint", "A damaged log", "Another format",
    "The service does not get ready", "Configurations that do not match", "The kernels' cache cannot be written",
)  # fmt: skip
THE_SERVERS_OWN = {
    "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
    "Bad file format reading the append only file",
}
COMMANDS = re.compile(r"(nobacktrack (?!:)|NBT_|GET |INFO |CONFIG |CLUSTER|WAIT |append|aof-|valkey-|make )")


def sources() -> str:
    """All of the service's text: literals that follow each other joined, what is filled in and numbers as `#`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "service").rglob("*.py")))
    return filled(re.sub(r'"\s*\n\s*f?"', "", text))


def filled(text: str) -> str:
    """Whatever may differ each time as `#`."""
    return re.sub(r"\{[^{}]*\}|%[sd]|…|float32|\d+|\((?:[A-Z]+|signal [A-Z]+)\)|everysec", "#", text)


def said() -> list[str]:
    """What is quoted as being said, in quotation marks or as code with a space in it."""
    text = re.sub(r"\s+", " ", RUNBOOK).replace('`"stale": true`', "")
    quoted = re.findall(r'"([^"]+)"', text)
    code = [span for span in re.findall(r"`([^`]+)`", text) if " " in span and not COMMANDS.match(span)]
    ours = [one.removeprefix("nobacktrack: ") for one in (*quoted, *code) if one not in THE_SERVERS_OWN]
    return [one for one in ours if not one.startswith("Retry-After")]


def test_every_failure_has_a_heading() -> None:
    assert tuple(re.findall(r"^## (.+)$", FAILURES, re.MULTILINE)) == SUBJECTS
    for section in FAILURES.split("\n## ")[1:]:
        assert re.findall(r"^\*(Seen|Do)\.\*", section, re.MULTILINE) == ["Seen", "Do"]


def test_metrics_exist() -> None:
    families = {family.name: family.type for family in Metrics(1).registry.collect()}
    known = {f"{name}_total" if kind == "counter" else name for name, kind in families.items()}
    used = set(re.findall(r"\bnobacktrack_\w+", RUNBOOK))
    assert used
    assert used <= known


def test_settings_exist() -> None:
    used = set(re.findall(r"\bNBT_[A-Z_]*[A-Z]\b", RUNBOOK))
    assert used
    assert used <= {f"NBT_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("words", said())
def test_what_is_quoted_is_said(words: str) -> None:
    source = sources()
    for piece in filled(words).split("#"):
        assert piece.strip(" .,:;") in source
