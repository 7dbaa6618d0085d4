"""A browser, and pages that may not complain."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.needs import path_of

STEP_MS = 10_000
"""How long anything on a page may take."""

LAST_ACTUAL = """() => {
  const lines = document.querySelector('[data-part="series"]')?.data ?? [];
  return lines.find((line) => line.name === "actual")?.y.at(-1);
}"""
"""The newest value that the chart of a stream draws."""
POINTS = """() => document.querySelector('[data-part="series"]').data.find((line) => line.name === "actual").x.length"""
WIDER = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.checkVisibility() && !one.closest(".sr-only, .skip, svg, thead"))
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map((one) => `${one.tagName} ${one.className}`)"""
"""What reaches beyond the right edge."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's, without a window."""
    with sync_playwright() as playwright:
        # The sandbox needs rights that containers seldom have; only this service's pages are opened.
        browser = playwright.chromium.launch(
            executable_path=path_of("chromium"), args=["--no-sandbox", "--js-flags=--expose-gc"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, url: str, *, refusals: bool = False, **options: Any) -> Iterator[Page]:
    """A page. It may not complain on its console, throw, or ask any other host.

    With `refusals` it may meet answers that are errors, which browsers write to the console by themselves.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    page = context.new_page()
    page.set_default_timeout(STEP_MS)
    complaints: list[str] = []
    origin = url.partition("#")[0]

    def heard(kind: str, text: str) -> None:
        if kind in ("error", "warning", "trace") and not (refusals and text.startswith("Failed to load resource")):
            complaints.append(text)

    page.on("console", lambda message: heard(message.type, message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(origin) else complaints.append(request.url))
    try:
        page.goto(url)
        yield page
        assert complaints == []
    finally:
        context.close()
