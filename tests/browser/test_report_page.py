"""The report in a real browser: opened from disk, by keyboard, on a phone's width, checked by axe-core.

``make test-browser`` runs it: it needs Playwright and Debian's Chromium, which `make test` does not install.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from axe_playwright_python import sync_playwright as axe
from playwright import sync_api

from pipeline.report.page import write_reports
from tests.support.report_job import made_job, result_level, source_level

_CHROMIUM = os.environ.get("UNDERSTUDY_TEST_CHROMIUM") or shutil.which("chromium")

# Without these it checks for updates at every start.
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_WIDE = {"width": 1280, "height": 900}
_PHONE = {"width": 390, "height": 844}


@dataclass
class Opened:
    """An opened page, with its messages and requests."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return write_reports(folder, frozenset({"report"}), made_job(folder))["report"][0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        try:
            yield started
        finally:
            started.close()


def _open(browser: Any, report: Path, viewport: dict[str, int], **more: Any) -> Opened:
    # axe-core is a script of its own, which the page's policy would rightly refuse.
    context = browser.new_context(viewport=viewport, **more)
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: opened.said.append(message.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.goto(report.as_uri())
    return opened


def _level(element: Any, x: float) -> float:
    """The gray level of a screenshot of an element, at a share of its width and half its height."""
    picture = cv2.imdecode(np.frombuffer(element.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return float(picture[picture.shape[0] // 2, int(x * picture.shape[1])].mean())


@pytest.mark.parametrize("viewport", [_WIDE, _PHONE], ids=["wide", "phone"])
def test_it_opens_from_disk_without_messages_or_horizontal_scrolling(
    browser: Any, report: Path, viewport: dict[str, int]
) -> None:
    opened = _open(browser, report, viewport)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    for details in opened.page.locator("summary").all():
        details.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert opened.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [report.as_uri()]
    opened.page.context.close()


def test_the_slider_wipes_by_keyboard(browser: Any, report: Path) -> None:
    opened = _open(browser, report, _WIDE)
    figure = opened.page.locator("figure.moment").nth(1)
    frame = int(figure.locator("figcaption").inner_text().split("frame ")[1].split(":")[0])
    stack = figure.locator(".wipe")
    slider = figure.get_by_role("slider")
    source, result = source_level(frame), result_level(frame)
    assert abs(_level(stack, 0.25) - result) <= 3
    slider.focus()
    for _ in range(50):
        opened.page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "source on the left 50 %, result on the rest"
    assert abs(_level(stack, 0.25) - source) <= 3 and abs(_level(stack, 0.75) - result) <= 3
    opened.page.keyboard.press("End")
    assert abs(_level(stack, 0.75) - source) <= 3
    difference = _level(figure.locator(".difference"), 0.5)
    assert abs(difference - min(255, 4 * abs(source - result))) <= 12
    opened.page.context.close()


def test_a_phone_shows_half_of_each_and_a_page_without_scripts_shows_both(browser: Any, report: Path) -> None:
    opened = _open(browser, report, _PHONE)
    assert opened.page.get_by_role("slider").first.input_value() == "50"
    assert not opened.page.get_by_alt_text("Source at").first.is_visible()
    opened.page.context.close()
    plain = _open(browser, report, _PHONE, java_script_enabled=False)
    for alt in ("Source at", "Result at"):
        assert plain.page.get_by_alt_text(alt).first.is_visible()
    assert not plain.page.locator("input").first.is_visible()
    plain.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [_WIDE, _PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(browser: Any, report: Path, scheme: str, viewport: dict[str, int]) -> None:
    opened = _open(browser, report, viewport, color_scheme=scheme, bypass_csp=True)
    for details in opened.page.locator("summary").all():
        details.click()
    found = axe.Axe().run(opened.page).response["violations"]
    assert [(rule["id"], rule["impact"], rule["nodes"][0]["html"]) for rule in found] == []
    opened.page.context.close()


def test_an_injected_script_would_not_run(browser: Any, report: Path, tmp_path: Path) -> None:
    """The page's policy is a second wall behind the template's escaping."""
    text = report.read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.html"
    bad = '<script>document.title = "bad"</script><img src="http://127.0.0.1:9/x.png" onerror="document.title=1">'
    spoilt.write_text(text.replace("</main>", bad + "</main>"), encoding="utf-8")
    opened = _open(browser, spoilt, _WIDE)
    assert opened.page.title() == "Understudy report"
    assert len(opened.said) >= 2 and all("Content Security Policy" in message for message in opened.said)
    opened.page.context.close()
