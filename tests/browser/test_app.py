"""The page in a real browser: a whole job, errors, cancel, reload, a phone's width, axe-core.

``make test-browser`` runs it: besides Playwright and Chromium it needs ``.venv-app``, which ``make app`` sets up.
Screenshots are in the tests' temporary folders; ``UNDERSTUDY_TEST_PICTURES`` selects another folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python import sync_playwright as axe
from playwright import sync_api
from playwright.sync_api import expect

from tests.support.job_runner import ROOT, WALK

_PYTHON = ROOT / ".venv-app/bin/python"
# Read at import: the tests' own environment hides the developer's variables.
_SHOTS = os.environ.get("UNDERSTUDY_TEST_PICTURES")
_CHROMIUM = os.environ.get("UNDERSTUDY_TEST_CHROMIUM") or shutil.which("chromium")
# Without these it checks for updates at every start.
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_WIDE = {"width": 1280, "height": 1000}
_PHONE = {"width": 390, "height": 844}
_LONG = 120_000
"""ms; only so that a hang ends."""


@dataclass
class Opened:
    """An opened page, and its requests to other hosts."""

    page: Any
    pictures: Path
    elsewhere: list[str] = field(default_factory=list)

    def upload(self) -> None:
        self.page.set_input_files("#video_file input[type=file]", str(WALK))
        expect(self.page.locator("#frame img")).to_be_visible(timeout=_LONG)

    def part(self, start: str, end: str) -> None:
        self.page.get_by_label("From (seconds)").fill(start)
        self.page.get_by_label("To (seconds").fill(end)

    def says(self, words: str, where: str = "#status") -> None:
        expect(self.page.locator(where)).to_contain_text(words, timeout=_LONG)

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page for all tests of this file, as a process of its own."""
    folder = tmp_path_factory.mktemp("app")
    with _served(folder) as found:
        yield found


@contextmanager
def _served(folder: Path, *words: str) -> Iterator[str]:
    command = [str(_PYTHON), "app.py", "--port", "0", "--folder", str(folder), *words]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    # Without a limit, a page that never reports its address would block forever.
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, (folder / "log.txt").read_text()
        timer.cancel()
        yield found[0]
    finally:
        timer.cancel()
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def _open(
    browser: Any, address: str, pictures: Path, viewport: dict[str, int] = _WIDE, **more: Any
) -> Iterator[Opened]:
    context = browser.new_context(viewport=viewport, **more)
    opened = Opened(context.new_page(), Path(_SHOTS or pictures))

    def asked(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            opened.elsewhere.append(request.url)

    opened.page.on("request", asked)
    opened.page.goto(address)
    expect(opened.page.locator("#start")).to_be_visible()
    try:
        yield opened
    finally:
        # No test meets another test's job.
        if opened.page.locator("#cancel").is_enabled():
            opened.page.locator("#cancel").click()
        expect(opened.page.locator("#start")).to_be_enabled(timeout=_LONG)
        context.close()


def test_a_whole_job_from_upload_to_a_result_that_plays(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        page = opened.page
        opened.upload()
        shown = page.locator("#frame img")
        first = shown.get_attribute("src")
        page.get_by_label("number input for Frame at").fill("2.5")
        page.keyboard.press("Enter")
        # A click on the previous frame would be discarded with it.
        expect(shown).not_to_have_attribute("src", first)
        box = shown.bounding_box()
        # The subject is in the middle of the picture at that time.
        page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        expect(page.get_by_label("Person to replace")).to_have_value("the one I click in the frame")
        expect(page.get_by_label("x (px from the left)")).not_to_have_value("")
        opened.shot("clicked")
        opened.part("2.4", "2.7")
        page.get_by_role("button", name="Replace the person").click()
        opened.says("%")
        opened.shot("under_way")
        opened.says("Done")
        page.wait_for_function("document.querySelectorAll('#result video').length == 2")
        told = page.evaluate(
            """async () => {
                const video = document.querySelector('#result video[aria-label="Result"]');
                await video.play();
                await new Promise(done => video.ended ? done() : video.addEventListener('ended', done));
                return [video.videoWidth, video.videoHeight, video.currentTime > 0.2, video.muted, video.error];
            }"""
        )
        assert told == [640, 360, True, False, None]
        opened.says("frames replaced", "#result")
        report = page.frame_locator("#result iframe")
        expect(report.locator("h1")).to_be_visible(timeout=_LONG)
        opened.shot("result")
        link = page.get_by_role("link", name="report.html")
        assert requests.get(address.rstrip("/") + link.get_attribute("href"), timeout=10).text.startswith("<!")
        assert opened.elsewhere == []


def test_a_card_of_somebody_who_was_found_sets_whom_to_replace(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        opened.upload()
        opened.part("2.0", "2.3")
        opened.page.get_by_role("button", name="Find the people in the clip").click()
        opened.says("People in the clip", "#result")
        opened.says("subject 0: visible for 0.3 s", "#result")
        card = opened.page.locator("#people .thumbnail-item, #people .gallery-item").first
        expect(card).to_be_visible(timeout=_LONG)
        opened.shot("people")
        card.click()
        expect(opened.page.get_by_label("Person to replace")).to_have_value("the one I click in the frame")
        # x, y, seconds from the file's start.
        expect(opened.page.get_by_label("More points on the same person")).to_have_value(re.compile(r"^\d.*, 2\.\d+$"))
        assert not opened.elsewhere


def test_a_quick_look_shows_finished_frames(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        opened.upload()
        opened.part("2", "2.4")
        opened.page.get_by_role("button", name="Preview single frames").click()
        expect(opened.page.locator("#result img").first).to_be_visible(timeout=_LONG)
        assert opened.page.evaluate("document.querySelector('#result img').naturalWidth") == 640
        opened.shot("quick_look")


def test_an_estimate_is_shown_before_anything_is_done(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        opened.upload()
        # A preset whose models may be missing.
        opened.page.get_by_label("Preset").click()
        opened.page.get_by_role("option", name="balanced").click()
        opened.page.get_by_role("button", name="Estimate").click()
        opened.says("A40: about", "#result")
        opened.says("150 frames", "#result")
        opened.shot("estimate")


def test_errors_stand_beside_their_field(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        page = opened.page
        start = page.get_by_role("button", name="Replace the person")
        start.click()
        opened.says("Choose a file or give a URL", "#error-video_url")
        page.locator("#video_url textarea, #video_url input").first.fill("http://127.0.0.1:9/clip.mp4")
        start.click()
        # This one is the job's own.
        opened.says("Failed", "#status")
        expect(page.locator("#error-video_url [role=alert]")).to_be_visible()
        opened.shot("error")
        page.locator("#video_url textarea, #video_url input").first.fill("")
        opened.upload()
        expect(page.locator("#error-video_url")).to_be_hidden()
        opened.part("3", "1")
        start.click()
        opened.says("end_s: must be after start_s", "#error-range")


def test_cancel_ends_a_job_and_leaves_nothing(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        opened.upload()
        opened.page.get_by_role("button", name="Replace the person").click()
        opened.says("analyzing the clip")
        opened.page.get_by_role("button", name="Cancel").click()
        opened.says("Cancelled")
        expect(opened.page.locator("#result section")).to_have_count(0)
        opened.shot("cancelled")


def test_a_page_that_is_loaded_again_finds_its_job(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        opened.upload()
        opened.part("1", "3")
        opened.page.get_by_role("button", name="Replace the person").click()
        opened.says("analyzing the clip")
        opened.page.reload()
        opened.says("%")
        expect(opened.page.get_by_role("button", name="Replace the person")).to_be_disabled()
        opened.says("Done")
        expect(opened.page.locator("#result video")).to_have_count(2)
        # A later visitor sees it as well, also on a phone's width.
        with _open(browser, address, tmp_path, _PHONE) as phone:
            expect(phone.page.locator("#result video")).to_have_count(2, timeout=_LONG)
            phone.page.get_by_role("button", name="Advanced settings").click()
            expect(phone.page.get_by_label("foot lock: strength")).to_be_visible()
            assert phone.page.evaluate("document.documentElement.scrollWidth") <= _PHONE["width"]
            phone.shot("phone")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, address: str, tmp_path: Path, scheme: str) -> None:
    with _open(browser, address, tmp_path, color_scheme=scheme, bypass_csp=True) as opened:
        opened.upload()
        opened.part("2", "2.2")
        opened.page.get_by_role("button", name="Advanced settings").click()
        opened.page.get_by_role("button", name="Replace the person").click()
        opened.says("Done")
        expect(opened.page.locator("#result video")).to_have_count(2, timeout=_LONG)
        # The report has its own test; axe cannot look into the sandbox.
        found = axe.Axe().run(opened.page, options={"iframes": False}).response["violations"]
        opened.shot(f"axe_{scheme}")
        bad = [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")]
        assert bad == []


def test_the_keyboard_alone_starts_a_job(browser: Any, address: str, tmp_path: Path) -> None:
    with _open(browser, address, tmp_path) as opened:
        page = opened.page
        page.locator("#video_url textarea, #video_url input").first.focus()
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "start":
                break
        page.keyboard.press("Enter")
        opened.says("Choose a file or give a URL", "#error-video_url")


def test_only_the_pages_own_folder_is_served(address: str, tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    for path in (outside, ROOT / "README.md", Path("/etc/passwd")):
        assert requests.get(f"{address}gradio_api/file={path}", timeout=10).status_code in (403, 404)
    for path in ("results/..%2f..%2flog.txt", "results/%2e%2e/log.txt", "results/"):
        assert requests.get(address + path, timeout=10).status_code == 404
    # A site whose name resolves to this machine.
    assert requests.get(address, headers={"Host": "evil.example"}, timeout=10).status_code == 400
