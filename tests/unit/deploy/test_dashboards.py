"""The dashboards against the code that builds them, the metrics there are, and what Grafana is provisioned with."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana import build
from tests.unit.deploy.dashboards import (
    DASHBOARDS,
    FILES,
    GRAFANA,
    PROMETHEUS,
    RECORDED,
    ROOT,
    RULES,
    Node,
    exported,
    expressions,
    graphs,
    metrics,
    panels,
    read_yaml,
    variables,
)

UNUSED = {
    "process_virtual_memory_bytes", "python_info", "python_gc_objects_collected", "python_gc_objects_uncollectable",
    "python_gc_collections",
}  # fmt: skip
"""Metrics that are exported and asked for by nobody: what every Python program tells of itself."""

each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


def asked() -> set[str]:
    """Every metric that a dashboard or a rule names."""
    texts = [text for dashboard in DASHBOARDS.values() for text in expressions(dashboard)]
    return {name for text in (*texts, *(rule["expr"] for rule in RULES)) for name in metrics(text)}


def test_the_files_are_what_the_code_builds() -> None:
    built = {name: build.encoded(dashboard) for name, dashboard in build.dashboards().items()}
    assert built == {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}, "make dashboards"


def test_the_handbook_says_what_the_panels_say() -> None:
    handbook = build.HANDBOOK.read_text(encoding="utf-8")
    assert build.inserted(handbook) == handbook, "make dashboards"
    for dashboard in DASHBOARDS.values():
        for panel in graphs(dashboard):
            assert f"* *{panel['title']}*: {panel['description']}\n" in handbook
    with pytest.raises(ValueError, match="marks"):
        build.inserted(handbook.replace(build.END, ""))


@each_dashboard
def test_no_field_is_unknown_to_grafana(dashboard: Node) -> None:
    """What the types of Grafana's fields do not know would not come back."""
    again = json.loads(build.encoded(Dashboard.from_json(dashboard)))
    assert again == dashboard
    broken = json.loads(json.dumps(dashboard))
    graphs(broken)[0]["fieldConfig"]["defaults"]["unitt"] = "s"
    assert json.loads(build.encoded(Dashboard.from_json(broken))) == dashboard


def test_every_metric_that_is_asked_for_is_exported_and_the_other_way_round() -> None:
    names = exported()
    assert asked() - {"up"} <= set().union(*names.values())
    assert {family for family, found in names.items() if not found & asked()} == UNUSED


def test_what_is_recorded_is_asked_for_and_the_other_way_round() -> None:
    texts = [text for dashboard in DASHBOARDS.values() for text in expressions(dashboard)]
    texts += [rule["expr"] for rule in RULES]
    assert {name for text in texts for name in re.findall(r"\b\w+:\w+:\w+\b", text)} == RECORDED.keys()


@each_dashboard
def test_every_variable_is_defined_and_used(dashboard: Node) -> None:
    builtin = {"__rate_interval", "__range"}
    used = {name for expression in expressions(dashboard) for name in re.findall(r"\$(\w+)", expression)}
    assert used - builtin == {variable["name"] for variable in variables(dashboard)} == {"instance", "stream"}


@each_dashboard
def test_no_rate_has_a_fixed_window(dashboard: Node) -> None:
    for expression in expressions(dashboard):
        for function, window in re.findall(r"\b(rate|increase)\([^\[]*\[([^]]*)\]", expression):
            assert window == {"rate": "$__rate_interval", "increase": "$__range"}[function], expression


@each_dashboard
def test_panels_have_ids_titles_descriptions_units_and_words_for_nothing(dashboard: Node) -> None:
    ids = [panel["id"] for panel in panels(dashboard["panels"])]
    assert len(ids) == len(set(ids))
    assert {target["refId"] for panel in graphs(dashboard) for target in panel["targets"]} <= set("ABC")
    titles = [panel["title"] for panel in graphs(dashboard)]
    assert len(titles) == len(set(titles))
    for panel in graphs(dashboard):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["noValue"], panel["title"]


@each_dashboard
def test_panels_do_not_overlap_and_stay_on_the_grid(dashboard: Node) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


def datasources(node: object) -> Iterator[Node]:
    """Every `datasource` anywhere below."""
    if isinstance(node, dict):
        if "datasource" in node:
            yield node["datasource"]
        for value in node.values():
            yield from datasources(value)
    elif isinstance(node, list):
        for value in node:
            yield from datasources(value)


@each_dashboard
def test_a_dashboard_is_read_only_and_asks_the_provisioned_data_source(dashboard: Node) -> None:
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert dashboard["editable"] is False
    assert {reference["uid"] for reference in datasources(dashboard)} == {source["uid"]}


def test_grafana_is_provisioned_with_the_dashboards_and_begins_with_one() -> None:
    services = read_yaml(ROOT / "docker-compose.yml")["services"]
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    (provider,) = read_yaml(GRAFANA / "provisioning" / "dashboards" / "nobacktrack.yml")["providers"]
    assert provider["allowUiUpdates"] is False
    assert source["editable"] is False
    assert source["jsonData"]["timeInterval"] == read_yaml(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    mounts = {target: origin for origin, target, _ in (one.split(":") for one in services["grafana"]["volumes"][:-1])}
    assert provider["options"]["path"] == str(home.parent)
    assert (ROOT / mounts[str(home.parent)]).resolve() == build.DASHBOARDS
    assert home.stem == "learning"
    assert home.stem in FILES
    assert services[source["url"].removeprefix("http://").removesuffix(":9090")] is services["prometheus"]
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
