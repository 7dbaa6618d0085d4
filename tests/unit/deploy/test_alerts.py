"""The alerts: each has a case in which it fires, one in which it is silent, and a heading that says what to do."""

import re
import subprocess

import pytest

from tests.support.needs import path_of
from tests.unit.deploy.dashboards import ALERTS, PROMETHEUS, ROOT, read_yaml

RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")
CASES = read_yaml(PROMETHEUS / "rules_test.yml")["tests"]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["description"].endswith(".")
    file, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert (ROOT / file).read_text(encoding="utf-8") == RUNBOOK
    assert anchor == name.lower(), "as the heading of that name is linked to"


def test_the_runbook_has_a_heading_for_each_alert_and_for_no_other() -> None:
    section = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", section, re.MULTILINE) == list(ALERTS)
    headings = re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
    for named in re.findall(r"\*([^*]+)\*", re.sub(r"\s+", " ", section)):
        known = named in headings or f"* *{named}" in (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
        assert known or named.startswith("NoBackTrack: "), named


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_seen_firing_and_silent(name: str) -> None:
    seen = [case for test in CASES for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case.get("exp_alerts")) for case in seen} == {True, False}


def test_no_case_is_of_an_alert_that_there_is_not() -> None:
    assert {case["alertname"] for test in CASES for case in test["alert_rule_test"]} == ALERTS.keys()


def test_the_cases_hold() -> None:
    command = [path_of("promtool"), "test", "rules", str(PROMETHEUS / "rules_test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_the_rules_where_they_are_mounted() -> None:
    assert read_yaml(PROMETHEUS / "prometheus.yml")["rule_files"] == ["rules.yml"]
    prometheus = read_yaml(ROOT / "docker-compose.yml")["services"]["prometheus"]
    mounts = dict(volume.split(":")[:2] for volume in prometheus["volumes"])
    [config] = [one.partition("=")[2] for one in prometheus["command"] if one.startswith("--config.file=")]
    assert (ROOT / "deploy" / "prometheus").resolve() == (ROOT / "./deploy/prometheus").resolve()
    assert mounts["./deploy/prometheus"] == config.rpartition("/")[0]
