"""The report page: its contents, and what it must not contain or load."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.plan import Presence
from pipeline.report.moments import Moment, MomentPictures, choose_moments, even_moments
from pipeline.report.page import LayersShown, ReportInputs, write_html, write_reports
from pipeline.result import Quality, SubjectReport
from pipeline.settings import Settings
from tests.support.report_job import (
    T,
    info_of,
    made_facts,
    result_level,
    source_level,
)

_BOTH = frozenset({"report", "contact_sheet"})


def _write(folder: Path, job: ReportInputs, settings: Settings | None = None) -> dict[str, list[Path]]:
    folder.mkdir(exist_ok=True)
    return write_reports(folder, _BOTH, replace(job, settings=settings or Settings()))


def test_layers_are_shown_for_frames_with_the_subject_and_a_legend(tmp_path: Path, job: ReportInputs) -> None:
    asked: list[list[int]] = []

    def pictures(frames: Sequence[int]) -> dict[int, Picture]:
        asked.append(list(frames))
        # Of one frame nothing is known.
        return {frame: np.full((120, 160, 3), frame, np.uint8) for frame in frames[1:]}

    layers = LayersShown(pictures, {"the <subject>": (255, 0, 0), "other people": (0, 0, 255)})
    wanted = frozenset({"report"})
    page = write_reports(tmp_path, wanted, replace(job, layers=layers))["report"][0].read_text(encoding="utf-8")
    (frames,) = asked
    assert 3 <= len(frames) <= 6 and frames == sorted(set(frames))
    assert all(job.plans[0].subject.presence[frame] > 0 for frame in frames)
    shown = [
        int(frame) for frame in re.findall(r"Layers at [\d.]+ s\">\s*<figcaption><b>[\d.]+ s</b>, frame (\d+)", page)
    ]
    assert shown == frames[1:]
    assert "background: #ff0000" in page and "the &lt;subject&gt;" in page
    bare = write_reports(tmp_path, wanted, job)["report"][0].read_text(encoding="utf-8")
    assert "Layers" not in bare


class _Page(HTMLParser):
    """Gathers what a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)


def test_the_page_is_complete_and_loads_nothing(job: ReportInputs, tmp_path: Path) -> None:
    text = _write(tmp_path, job)["report"][0].read_text(encoding="utf-8")
    page = _Page(text)
    assert len(page.links) > 10 and all(link.startswith(("data:image/webp;base64,", "#")) for link in page.links)
    assert len(set(page.ids)) == len(page.ids)
    inner = {link[1:] for link in page.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", text))
    assert inner and inner <= set(page.ids)
    assert page.scripts == 1 and page.handlers == []
    script = text[text.index("<script>") + len("<script>") : text.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    colors = set(re.findall(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", text[text.index("<svg") :]))
    assert colors == set() and "var(--first)" in text
    for word in ("Foot slide", "39.0 dB", "a foot was not seen", "segment.count", "seed 7", "numpy 2.4"):
        assert word in text


def test_hostile_text_stays_text_and_the_environment_stays_out(
    job: ReportInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET_SECRET_ACCESS_KEY", "v3ry-s3cret")
    bad = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7 * 7 }}"
    facts = made_facts(warnings=[bad], preset=bad, versions={bad: bad}, timings_s={bad: 1.0})
    text = _write(tmp_path, replace(job, facts=facts))["report"][0].read_text(encoding="utf-8")
    page = _Page(text)
    assert page.scripts == 1 and page.handlers == [] and "x" not in page.links
    assert "{{ 7 * 7 }}" in text and "&lt;img src=x" in text
    assert "s3cret" not in text


def test_the_same_job_gives_the_same_bytes(job: ReportInputs, tmp_path: Path) -> None:
    runs = [_write(tmp_path / name, job) for name in ("a", "b")]
    for name in _BOTH:
        assert runs[0][name][0].read_bytes() == runs[1][name][0].read_bytes()


def test_changed_settings_stand_out(job: ReportInputs, tmp_path: Path) -> None:
    settings = Settings.model_validate({"output": {"crf": 21}})
    text = _write(tmp_path, job, settings)["report"][0].read_text(encoding="utf-8")
    assert re.findall(r'class="changed"><td>([\w.]+)</td><td>([^<]+)', text) == [("output.crf", "21")]


def test_a_page_of_noise_stays_under_three_megabytes(tmp_path: Path, job: ReportInputs) -> None:
    noise = np.random.default_rng(3)
    pictures = [
        MomentPictures(Moment(frame, "whole", ("noise",)), *noise.integers(0, 256, (2, 480, 854, 3), np.uint8))
        for frame in range(13)
    ]
    path = write_html(tmp_path / "report.html", pictures, job)
    assert path.stat().st_size < 3_000_000


def test_the_contact_sheet_shows_source_above_result_in_rows_of_four(job: ReportInputs, tmp_path: Path) -> None:
    sheet = cv2.imread(str(_write(tmp_path, job)["contact_sheet"][0]))
    assert sheet is not None and sheet.shape == (2 * (2 * 240 + 6 + 12), 4 * 326, 3)
    frames = [moment.frame for moment in even_moments(T, 8)]
    assert frames[0] == 0 and frames[-1] == T - 1
    for number, frame in enumerate(frames):
        row, column = divmod(number, 4)
        top, left = row * 498, column * 326
        assert abs(int(sheet[top + 100, left + 100, 0]) - source_level(frame)) <= 2
        assert abs(int(sheet[top + 346, left + 100, 0]) - result_level(frame)) <= 2


def test_further_subjects_have_moments_and_a_row_of_their_own(tmp_path: Path, job: ReportInputs) -> None:
    late = np.where(np.arange(T) < 60, Presence.ABSENT, Presence.FOUND).astype(np.uint8)
    (plan,) = job.plans
    other = replace(plan, subject=replace(plan.subject, presence=late))
    moments = choose_moments([plan, other], info_of(T), job.series)
    of_other = {(moment.frame, reason) for moment in moments for reason in moment.reasons if "subject 2" in reason}
    assert {(60, "subject 2 comes in"), (74, "subject 2: middle of their frames")} <= of_other
    middle = next(moment for moment in moments if moment.frame == 74)
    assert (middle.view, middle.subject) == ("person", 1)

    people = tuple(
        SubjectReport(
            number=number,
            frames_replaced=70 - number,
            frames_absent=20,
            frames_uncertain=5,
            contacts=3,
            quality=Quality(frames_replaced=70 - number, foot_slide_percent=0.25),
        )
        for number in (0, 1)
    )
    facts = job.facts.model_copy(update={"subjects": people})
    both = replace(job, plans=[plan, other], facts=facts)
    page = write_reports(tmp_path, frozenset({"report"}), both)["report"][0].read_text(encoding="utf-8")
    rows = re.findall(r'<th scope="row">subject (\d)</th><td>(\d+)</td>.*?<td>0\.25 %</td><td>not known</td>', page)
    assert rows == [("1", "70"), ("2", "69")]
    alone = _write(tmp_path / "alone", job)["report"][0].read_text(encoding="utf-8")
    assert "subject 2" not in alone and "<h2>Subjects</h2>" not in alone
