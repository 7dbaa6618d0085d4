"""Everything that the dashboards and the rules ask, asked of a real Prometheus that scrapes a real service at work.

Grafana is not there: what it makes of the answers is not seen here.
"""

import asyncio
import itertools
import math
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from nobacktrack.service.client.sync import Client, connect
from nobacktrack.service.schemas import Event
from tests.support.needs import needs, path_of
from tests.support.processes import wait_until
from tests.support.prometheus import Answer, Prometheus
from tests.support.servers import Replicas, Server
from tests.unit.deploy.dashboards import ALERTS, DASHBOARDS, PROMETHEUS, RECORDED, RULES, Node, graphs, variables

pytestmark = needs("prometheus", "promtool")

DEADLINE_SECONDS = 20.0
"""How long a query may go without an answer."""
STREAMS = ("load", "taxi")
PANELS = [panel for dashboard in DASHBOARDS.values() for panel in graphs(dashboard)]


@dataclass(frozen=True)
class Site:
    """A service, and the Prometheus that scrapes it."""

    url: str
    prometheus: Prometheus
    idle: dict[str, Answer]
    """What each query of a dashboard was answered before the service had done anything."""

    @property
    def address(self) -> str:
        """The service's, as Prometheus names it."""
        return self.url.removeprefix("http://")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both, at work: a store with a limit, room for one learner in memory."""
    directory = tmp_path_factory.mktemp("site")
    with (
        Prometheus(directory / "prometheus", PROMETHEUS / "rules.yml") as prometheus,
        Server(directory / "store", "--maxmemory", "200mb") as store,
        Replicas(directory, store.url, 1, checkpoint_every=20, hot_bytes=1) as replicas,
    ):
        site = Site(replicas.urls[0], prometheus, {})
        prometheus.scrape(site.address)
        said = prometheus.log.read_text
        wait_until(lambda: prometheus.ask("count_over_time(nobacktrack_ready[3s]) >= 2").values, said)
        site.idle.update({query: prometheus.ask(query) for panel in PANELS for query in shown(panel)})
        with Client(site.url) as client:
            for name in STREAMS:
                client.create(name, targets=["y"], units=4)
            client.create("late", targets=["y"], units=4)
        work(site, 0)
        wait_until(lambda: len(prometheus.label("stream", "nobacktrack_events_total")) == 3, said)
        wait_until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()), said)
        yield site


def work(site: Site, turn: int) -> None:
    """A little of everything that a service is used for, and some that it refuses."""
    values = [float((turn + place) % 7) for place in range(12)]
    with Client(site.url, retries=0) as client:
        list(client.observe_many("load", (Event(y={"y": value}) for value in values)))
        for name, _ in itertools.product(STREAMS, range(2)):
            client.observe(name, {"y": values[0]}, id=f"{turn}")  # the second one is a duplicate
        client.predict("late", id=f"{turn}")
        client.label("late", f"{turn}", {"y": values[0]})
        client.forecast("load", 3)
    with httpx.Client(base_url=site.url) as http:
        assert http.post("/v1/streams/load/events", json={"y": {"other": 1}}).status_code == 422
        assert http.get("/v1/streams/nobody").status_code == 404
        assert http.get("/readyz").status_code == 200

    async def talk() -> None:
        async with connect(site.url, "taxi") as connection:
            await connection.send(Event(y={"y": values[1]}))
            await connection.receive()

    asyncio.run(talk())


def shown(panel: Node, instance: str = ".*", stream: str = ".*") -> list[str]:
    """What Grafana asks for a panel when these are chosen."""
    values = {"$instance": instance, "$stream": stream, "$__rate_interval": "5s", "$__range": "10s"}
    return [re.sub(r"\$\w+", lambda name: values[name[0]], target["expr"]) for target in panel["targets"]]


def wrong(answer: Answer) -> bool:
    """Whether people would see an error, or NaN."""
    return bool(answer.error) or any(map(math.isnan, answer.values))


def compared(expression: str) -> str:
    """An alert's condition that says 0 where it does not hold: `bool` behind each comparison outside of parentheses."""
    depth, words = 0, []
    for word in re.split(r"((?:==|>=|<=|[<>])(?= ))", expression):
        depth += word.count("(") - word.count(")")
        words.append(f"{word} bool" if depth == 0 and word in ("==", ">=", "<=", "<", ">") else word)
    return "".join(words)


def test_conditions_are_compared() -> None:
    assert compared("a / (b > 0) > 1 and on (c) d == 0") == "a / (b > 0) > bool 1 and on (c) d == bool 0"


def test_every_query_has_an_answer(site: Site) -> None:
    escaped = site.address.replace(".", r"\\.")
    some = f"({'|'.join(STREAMS)})"
    queries = {query for panel in PANELS for query in (*shown(panel), *shown(panel, escaped, some))}
    queries |= RECORDED.keys() | {rule["expr"] for rule in RECORDED.values()}
    queries |= {compared(alert["expr"]) for alert in ALERTS.values()}
    deadline, turns = time.monotonic() + DEADLINE_SECONDS, itertools.count(1)
    while queries:
        work(site, next(turns))
        answers = {query: site.prometheus.ask(query) for query in sorted(queries)}
        assert not {query: answer for query, answer in answers.items() if wrong(answer)}
        queries -= {query for query, answer in answers.items() if answer.values}
        assert time.monotonic() < deadline, f"no answer to {sorted(queries)}"


def test_an_idle_service_has_zeros_or_says_why_there_is_nothing(site: Site) -> None:
    assert not {query: answer for query, answer in site.idle.items() if wrong(answer)}
    silent = [panel for panel in PANELS if not any(site.idle[query].values for query in shown(panel))]
    texts = {panel["title"]: panel["fieldConfig"]["defaults"]["noValue"] for panel in silent}
    said = {text.partition(" in the ")[0] for text in texts.values()}
    assert said == {"no events", "no intervals", "no requests"}, texts


def test_variables_offer_what_there_is(site: Site) -> None:
    offered = {}
    for variable in variables(DASHBOARDS["learning"]):
        metric, label = re.findall(r"^label_values\((.*), (\w+)\)$", variable["query"]["query"])[0]
        offered[variable["name"]] = site.prometheus.label(label, metric.replace("$instance", ".*"))
    assert offered == {"instance": [site.address], "stream": sorted((*STREAMS, "late"))}


def test_the_rules_are_evaluated_and_nothing_is_the_matter(site: Site) -> None:
    rules = site.prometheus.rules()
    assert {rule["name"] for rule in rules} == {rule.get("alert") or rule["record"] for rule in RULES}
    assert {(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"} == set()
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def test_promtool_accepts_the_metrics(site: Site) -> None:
    page = httpx.get(f"{site.url}/metrics").content
    done = subprocess.run([path_of("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
