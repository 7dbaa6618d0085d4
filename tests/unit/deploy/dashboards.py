"""What the dashboards and the rules ask, and what can be asked for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nobacktrack.service.observability.metrics import Metrics

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "deploy" / "grafana"
PROMETHEUS = ROOT / "deploy" / "prometheus"

Node = dict[str, Any]

FILES = {path.stem: path for path in sorted((GRAFANA / "dashboards").glob("*.json"))}
DASHBOARDS: dict[str, Node] = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in FILES.items()}

SUFFIXES = {
    "counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"],
}  # fmt: skip
NAMES = re.compile(r"\b(?:nobacktrack|process|python)_\w+|(?<![\w:])up\b")
"""Metrics in an expression; recorded ones have colons and are not among them."""


def read_yaml(path: Path) -> Node:
    """A file of YAML whose top is a mapping."""
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(node, dict)
    return node


RULES: list[Node] = [rule for group in read_yaml(PROMETHEUS / "rules.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in RULES if "record" in rule}


def panels(nodes: list[Node]) -> Iterator[Node]:
    """Every panel and row, those inside of collapsed rows too."""
    for node in nodes:
        yield node
        yield from panels(node.get("panels", []))


def graphs(dashboard: Node) -> list[Node]:
    """Every panel that asks for something."""
    return [panel for panel in panels(dashboard["panels"]) if panel["type"] != "row"]


def variables(dashboard: Node) -> list[Node]:
    """Its variables."""
    found: list[Node] = dashboard["templating"]["list"]
    return found


def expressions(dashboard: Node) -> Iterator[str]:
    """Everything that a dashboard asks Prometheus."""
    yield from (target["expr"] for panel in graphs(dashboard) for target in panel["targets"])
    yield from (variable["query"]["query"] for variable in variables(dashboard))


def metrics(expression: str) -> set[str]:
    """The metrics that it names, as they are scraped; what is in quotation marks is no name."""
    plain = re.sub(r'"[^"]*"', "", expression)
    return set(NAMES.findall(re.sub(r"\w+:[\w:]+", "", plain)))


def exported() -> dict[str, set[str]]:
    """The names under which each metric is scraped. One with labels may have no sample yet: so from its type."""
    families = Metrics(named_streams=1).registry.collect()
    return {family.name: {family.name + suffix for suffix in SUFFIXES[family.type]} for family in families}
