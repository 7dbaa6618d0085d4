"""The live page in a browser."""

import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from nobacktrack.service.client.sync import Client
from nobacktrack.service.schemas import Event, Outcome
from nobacktrack.service.security import keys
from tests.support.browser import LAST_ACTUAL, POINTS, WIDER, chromium, visit
from tests.support.needs import needs
from tests.support.processes import Command, RunningService

pytestmark = needs("chromium")

LONG = os.environ.get("NBT_TEST_PAGE") == "long"
SECONDS = 600 if LONG else 2
"""How long a page is fed without pause."""
PER_SECOND = 100
"""Events that a page is fed in a second."""
CAPACITY = 2000
"""Events that a page keeps (service/web/static/series.js)."""
LOOKS = 12 if LONG else 3
"""How often the memory of a page is measured; the least counts."""
ATTACHED = """() => {
  const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
  let count = 1;
  while (walker.nextNode()) count += 1;
  return count;
}"""
"""Nodes in the document."""
START = datetime(2026, 1, 1, tzinfo=UTC)
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAPER = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One for all tests, which may start it anew: `kiln` has learnt 60 events with times, `door` symbols."""
    running = RunningService(tmp_path_factory.mktemp("page"))
    with Client(running.url) as client:
        client.create("kiln", targets=["celsius", "x" * 64], units=8)
        learn(client, "kiln", 1, 60)
        client.create("door", targets=["state"], alphabet=["<b>open</b>", "shut&amp;"], units=4)
        for _ in range(10):
            client.observe("door", {"state": "<b>open</b>"})
            client.observe("door", {"state": "shut&amp;"})
        client.create("-" * 64, targets=["y"], units=2)
        for number in range(24):
            client.create(f"plant-{number:02}", targets=["flow"], units=2)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def kiln(browser: Browser, service: RunningService) -> Iterator[Page]:
    """A page that shows that stream, for the tests which do not mind what others have done there."""
    with visit(browser, f"{service.url}/#/streams/kiln", refusals=True) as page:
        yield page


def learn(client: Client, stream: str, first: int, last: int) -> None:
    """Events number `first` to `last` of a stream with times."""
    events = (
        Event(time=START + timedelta(minutes=number), y={"celsius": float(number), "x" * 64: 0.0})
        for number in range(first, last + 1)
    )
    assert all(isinstance(answer, Outcome) for answer in client.observe_many(stream, events))


def wait_for_actual(page: Page, value: float, milliseconds: float = 10_000) -> None:
    """Until the chart's newest value is this one."""
    page.wait_for_function(f"value => ({LAST_ACTUAL})() === value", arg=value, timeout=milliseconds)


def drawn(page: Page, name: str) -> list[float | None] | None:
    """The values of a line of the chart; None where there is no such line."""
    values: list[float | None] | None = page.evaluate(
        """name => document.querySelector('[data-part="series"]').data.find((line) => line.name === name)?.y ?? null""",
        name,
    )
    return values


def version(service: RunningService, stream: str) -> int:
    with Client(service.url) as client:
        return client.status(stream).version


def test_an_event_is_shown_within_two_seconds(kiln: Page, service: RunningService) -> None:
    newest = version(service, "kiln")
    wait_for_actual(kiln, float(newest))
    before = [float(number) for number in range(1, newest + 1)]
    assert drawn(kiln, "actual") == before, "what was there before is shown at once"
    with Client(service.url) as client:
        learn(client, "kiln", newest + 1, newest + 1)
    wait_for_actual(kiln, float(newest + 1), 2_000)
    expect(kiln.locator(".tiles dd").first).to_have_text(str(newest + 1))
    expect(kiln.locator("[data-part=state]")).to_have_text("learning")
    kiln.wait_for_function(
        """() => document.querySelector('[data-part="series"]').data.some((line) => line.name === "forecast")"""
    )
    for name in ("predicted", "90 % interval", "anomaly", "forecast"):
        assert drawn(kiln, name) is not None, name
    assert kiln.evaluate("""document.querySelector('[data-part="losses"]').data.map((line) => line.name)""") == [
        "persistence", "this stream",
    ]  # fmt: skip


def test_a_page_survives_a_restart_of_the_service(kiln: Page, service: RunningService) -> None:
    newest = version(service, "kiln")
    wait_for_actual(kiln, float(newest))
    service.kill()
    expect(kiln.locator("[data-part=link]")).to_have_text("reconnecting")
    service.restart()
    with Client(service.url) as client:
        learn(client, "kiln", newest + 1, newest + 5)
    wait_for_actual(kiln, float(newest + 5))
    assert drawn(kiln, "actual") == [float(number) for number in range(1, newest + 6)], "each once, in order"
    expect(kiln.locator("[data-part=link]")).to_have_text("live")


def test_an_event_is_tried_and_a_problem_is_shown(kiln: Page, service: RunningService) -> None:
    newest = version(service, "kiln")
    wait_for_actual(kiln, float(newest))
    kiln.get_by_role("button", name="Fill again").click()
    field = kiln.get_by_label("Event, as JSON")
    event = json.loads(field.input_value())
    assert event["y"] == {"celsius": float(newest), "x" * 64: 0.0}
    assert datetime.fromisoformat(event["time"]) == START + timedelta(minutes=newest + 1)
    event["y"]["celsius"] = newest + 1
    field.fill(json.dumps(event))
    field.press("Tab")
    kiln.keyboard.press("Tab")
    kiln.keyboard.press("Enter")
    said = kiln.locator("[data-part=answer-line]")
    expect(said).to_contain_text(f"Learnt, version {newest + 1}.")
    wait_for_actual(kiln, float(newest + 1))
    field.fill('{"y": {"celsius": "hot"}}')
    kiln.get_by_role("button", name="Send").click()
    expect(said).to_contain_text("(y)")
    field.fill("{")
    kiln.get_by_role("button", name="Send").click()
    expect(said).to_contain_text("This is not JSON")


def test_a_page_asks_for_a_key_and_works_with_it(
    browser: Browser, command: Callable[..., Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBT_KEYS_FILE", str(tmp_path / "keys.json"))
    key, _ = keys.create(tmp_path / "keys.json", "write", "*")
    started = command("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    url = started.wait_for(r"ready at (http://[\d.:]+)")[1]
    with visit(browser, f"{url}/", refusals=True) as page:
        expect(page.locator("dialog")).to_be_visible()
        page.get_by_label("Key", exact=True).fill("nbt_wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#key-error")).to_have_text("this key is not known, or no longer")
        page.get_by_label("Key", exact=True).fill(key)
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("dialog")).to_be_hidden()
        expect(page.get_by_role("heading", name="No streams yet")).to_be_visible()
        expect(page.locator("[data-part=curl]")).to_contain_text(f"curl -X PUT {url}/v1/streams/taxi")
        with Client(url, key=key) as client:
            client.create("kiln", targets=["celsius", "x" * 64], units=2)
            learn(client, "kiln", 1, 3)
        page.get_by_role("link", name="kiln").click()
        expect(page.locator("[data-part=link]")).to_have_text("live")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("[data-part=answer-line]")).to_contain_text("Learnt, version 4. Round trip")
        assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]


def test_the_list_has_pages_and_a_filter(browser: Browser, service: RunningService) -> None:
    with visit(browser, f"{service.url}/") as page:
        rows = page.locator(".streams tbody tr")
        expect(rows).to_have_count(25)
        page.get_by_role("button", name="More").click()
        expect(rows.first).to_contain_text("plant-22")
        expect(rows).to_have_count(2)
        page.get_by_role("button", name="Back").click()
        expect(rows.filter(has_text="kiln").locator(".state")).to_be_visible()
        page.get_by_label("Filter by name").fill("il")
        expect(rows).to_have_count(1)
        expect(rows.locator("td").nth(1)).to_have_text(f"{version(service, 'kiln'):,}")
        expect(rows.locator(".skill")).to_contain_text("%")
        page.get_by_label("Filter by name").fill("nothing like it")
        expect(page.get_by_text("No stream has this in its name.")).to_be_visible()


def test_symbols_are_text_and_never_markup(browser: Browser, service: RunningService) -> None:
    with visit(browser, f"{service.url}/#/streams/door") as page:
        page.wait_for_function("""() => document.querySelector('[data-part="series"]').data?.[0].y.length === 20""")
        expect(page.locator("[data-part=series-note]")).to_contain_text("<b>open</b>")
        expect(page.locator("[data-part=config]")).to_contain_text("<b>open</b>")
        shown = page.evaluate("""document.querySelector('[data-part="series"]').data[0]""")
        assert shown["text"][-2:] == ["&lt;b>open&lt;/b>", "shut&amp;amp;"]
        assert all(value is None or 0.0 <= value <= 1.0 for value in shown["y"])
        assert page.locator("main b").count() == 0


def test_light_and_dark_wide_and_narrow_fit(browser: Browser, service: RunningService) -> None:
    with visit(browser, f"{service.url}/", color_scheme="light") as page:
        for view in ("", "streams/kiln", f"streams/{'-' * 64}"):
            page.evaluate("view => { location.hash = `#/${view}`; }", view)
            expect(page.locator(".streams tbody tr, [data-link=live]").first).to_be_visible()
            paper = set()
            for size, scheme in itertools.product((WIDE, NARROW), SCHEMES):
                page.set_viewport_size(size)
                page.emulate_media(color_scheme=scheme)
                if view == "streams/kiln":
                    wait_for_actual(page, float(version(service, "kiln")))
                assert page.evaluate(WIDER) == [], (view, size, scheme)
                paper.add(page.evaluate(PAPER))
            assert len(paper) == 2, "light and dark"
        # The switch: automatic, light, dark.
        page.emulate_media(color_scheme="light")
        light = page.evaluate(PAPER)
        page.locator("#theme-button").click()
        assert page.evaluate(PAPER) == light
        page.locator("#theme-button").click()
        assert page.evaluate(PAPER) != light


def test_a_page_that_is_fed_for_long_does_not_grow(browser: Browser, service: RunningService) -> None:
    """`make test-page` feeds it for ten minutes, and prints what it held before and after."""
    with Client(service.url) as client:
        client.create("busy", targets=["celsius", "x" * 64], units=8)
        learn(client, "busy", 1, CAPACITY + 500)
    with visit(browser, f"{service.url}/#/streams/busy") as page:
        page.get_by_label("Show").select_option(str(CAPACITY))
        feeder = Feeder(service.url, CAPACITY + 500)
        feeder.start()
        page.wait_for_timeout(min(60.0, SECONDS) * 1000 / 2)
        before = held(page)
        page.wait_for_timeout((SECONDS - min(60.0, SECONDS) / 2) * 1000)
        after = held(page)
        feeder.join()
        wait_for_actual(page, float(feeder.sent))
        assert page.evaluate(POINTS) <= CAPACITY
        print(f"\n{feeder.sent - CAPACITY - 500} events in {SECONDS} s: before {before}, after {after}")
        assert after["Nodes"] <= before["Nodes"] + 250
        assert after["JSHeapUsedSize"] <= 1.2 * before["JSHeapUsedSize"] + 5e6


class Feeder(threading.Thread):
    """Sends events to the stream `busy` at an even pace."""

    def __init__(self, url: str, sent: int) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.sent = sent

    def run(self) -> None:
        """Ten times a second."""
        with httpx.Client(base_url=self._url) as http:
            start = time.monotonic()
            for turn in range(10 * SECONDS):
                time.sleep(max(0.0, start + 0.1 * turn - time.monotonic()))
                lines = []
                for _ in range(PER_SECOND // 10):
                    self.sent += 1
                    at = (START + timedelta(minutes=self.sent)).isoformat()
                    lines.append(json.dumps({"time": at, "y": {"celsius": float(self.sent), "x" * 64: 0.0}}))
                headers = {"content-type": "application/x-ndjson"}
                http.post("/v1/streams/busy/events", content="\n".join(lines), headers=headers).raise_for_status()


def held(page: Page) -> dict[str, float]:
    """Bytes of JavaScript that are in use, and nodes that are in use but not in the document.

    Those in the document are as many as there are anomalies to be marked. The least of several looks, as what the
    drawing under way holds comes and goes.
    """
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.enable")
    devtools.send("Performance.enable")
    looks: list[dict[str, float]] = []
    for _ in range(LOOKS):
        devtools.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        looks.append({"JSHeapUsedSize": metrics["JSHeapUsedSize"], "Nodes": metrics["Nodes"] - page.evaluate(ATTACHED)})
        page.wait_for_timeout(300 if LONG else 50)
    devtools.detach()
    return {name: min(look[name] for look in looks) for name in looks[0]}
