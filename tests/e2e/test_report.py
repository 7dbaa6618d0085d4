"""The report of a replay in a browser, from a file."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from nobacktrack.service.cli.replay import report
from tests.support.browser import POINTS, WIDER, chromium, visit
from tests.support.needs import needs
from tests.support.recordings import recorded

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result, recording = recorded(8_000)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report.page(result, recording, {"targets": ["a", "b"]}))
    return path


def test_a_report_is_drawn_from_a_file_without_a_network(file: Path) -> None:
    with chromium() as browser, visit(browser, file.as_uri(), color_scheme="dark", offline=True) as page:
        expect(page.get_by_role("heading", name="two-waves")).to_be_visible()
        expect(page.locator("[data-part=scores] tr")).to_have_count(2)
        assert 2_000 < page.evaluate(POINTS) <= report.POINTS
        expect(page.locator("[data-part=series-note]")).to_contain_text("of 8,000 events: of each stretch")
        page.get_by_label("Show").select_option("the newest 1,000")
        page.get_by_label("Target").select_option("b")
        assert page.evaluate(POINTS) == report.NEWEST
        expect(page.locator("[data-part=series-note]")).to_contain_text("All 1,000 events.")
        names = page.evaluate("""document.querySelector('[data-part="losses"]').data.map((line) => line.name)""")
        assert names == ["persistence", "this stream"]
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(WIDER) == []
