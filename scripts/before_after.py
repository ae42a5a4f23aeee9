"""Make the README's pictures from the bundled clip (``make pictures``). Runs the job of test_input.json."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from playwright.sync_api import sync_playwright

_ROOT = Path(__file__).resolve().parents[1]
_CLIP = _ROOT / "assets/walk_a/sample.mp4"
_FRAMES = (25, 75, 125)
"""Walking in, an arm in front of the body, walking out."""
_CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync")  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as outputs:
        environment = {**os.environ, "UNDERSTUDY_OUTPUTS": outputs}
        subprocess.run([sys.executable, "handler.py"], cwd=_ROOT, env=environment, check=True)
        made = Path(outputs) / "local_test"
        _write(_ROOT / "assets/before_after.jpg", _before_after(made / "result.mp4"))
        with _browser() as browser:
            _write(_ROOT / "assets/report.jpg", _report(browser, made / "report.html"))
            _write(_ROOT / "assets/page.jpg", _page(browser, Path(outputs) / "page"))


def _before_after(result: Path) -> Any:
    rows = []
    for clip in (_CLIP, result):
        with av.open(str(clip)) as container:
            pictures = [
                frame.to_ndarray(format="bgr24") for frame in container.decode(video=0) if frame.pts is not None
            ]
        rows.append(np.hstack([pictures[number] for number in _FRAMES]))
    return np.vstack(rows)


@contextmanager
def _browser() -> Iterator[Any]:
    chromium = os.environ.get("UNDERSTUDY_TEST_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_CHROMIUM_FLAGS))
        yield browser
        browser.close()


def _page(browser: Any, folder: Path) -> Any:
    """Return a screenshot of the web page after a job on half a second of the clip."""
    command = [str(_ROOT / ".venv-app/bin/python"), "app.py", "--port", "0", "--folder", str(folder)]
    server = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[2]
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.goto(address)
        page.set_input_files("#video_file input[type=file]", str(_CLIP))
        page.get_by_label("number input for Frame at").fill("2.5")
        page.keyboard.press("Enter")
        page.locator("#frame img").wait_for()
        page.get_by_label("To (seconds").fill("1.5")
        page.get_by_label("From (seconds)").fill("1")
        page.get_by_role("button", name="Replace the person").click()
        page.locator("#result video").last.wait_for(timeout=120_000)
        page.wait_for_function("[...document.querySelectorAll('#result video')].every(video => video.readyState >= 2)")
        # Down to the metrics; the report has a picture of its own.
        end = page.locator("#result h3").first.evaluate("title => title.getBoundingClientRect().top + window.scrollY")
        shot = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": end})
        return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
    finally:
        server.terminate()
        server.wait(60)


def _report(browser: Any, report: Path) -> Any:
    """Return the report's header, the moment in the middle of the clip with the slider on the person, and the plots."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(report.as_uri())
    moment = page.locator("figure.moment", has_text="middle of").first
    slider = moment.get_by_role("slider")
    slider.fill("46")
    slider.blur()
    shown = [_shot(part) for part in (page.locator("header"), moment, page.locator(".plots"))]
    width = max(picture.shape[1] for picture in shown)
    return np.vstack(
        [np.pad(part, ((0, 12), (0, width - part.shape[1]), (0, 0)), constant_values=255) for part in shown]
    )


def _shot(part: Any) -> Any:
    return cv2.imdecode(np.frombuffer(part.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def _write(path: Path, picture: Any) -> None:
    small = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
