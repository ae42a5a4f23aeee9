"""The report: which moments are chosen, what the plots are made of, what the page holds and what it may not."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.plan import Presence
from pipeline.report.moments import Moment, MomentPictures, choose_moments, even_moments, read_moments
from pipeline.report.page import LayersShown, ReportInputs, write_html, write_reports
from pipeline.report.plots import draw_plots, foot_speed_bh, thinned
from pipeline.report.verdicts import judge_figures, telling_figures
from pipeline.result import Quality, SubjectReport
from pipeline.settings import Settings
from tests.support.report_job import (
    BODY_HEIGHT_PX,
    FPS,
    T,
    info_of,
    made_facts,
    made_job,
    made_plan,
    made_series,
    result_level,
    source_level,
)

_BOTH = frozenset({"report", "contact_sheet"})


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return made_job(tmp_path_factory.mktemp("report"))


def _write(folder: Path, job: ReportInputs, settings: Settings | None = None) -> dict[str, list[Path]]:
    folder.mkdir(exist_ok=True)
    return write_reports(folder, _BOTH, replace(job, settings=settings or Settings()))


def test_layers_are_shown_where_the_subject_is_with_what_their_colors_mean(tmp_path: Path, job: ReportInputs) -> None:
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


def test_moments_are_chosen_by_rule() -> None:
    chosen = {
        (moment.frame, moment.view): moment.reasons
        for moment in choose_moments([made_plan()], info_of(T), made_series())
    }
    assert chosen == {
        (10, "whole"): ("the subject comes in",),
        (19, "whole"): ("middle of segment 1 (approach)",),
        (25, "feet"): ("a planted foot slides most",),
        (33, "person"): ("strongest seam",),
        (37, "feet"): ("longest contact of the right foot",),
        (42, "person"): ("the subject is not clearly visible",),
        (44, "whole"): ("middle of segment 2 (hold)",),
        (56, "person"): ("strongest flicker",),
        (59, "feet"): ("longest contact of the left foot",),
        (66, "person"): ("background that fits least",),
        (69, "whole"): ("middle of segment 3 (exit)",),
        (79, "whole"): ("the subject leaves",),
    }


def test_what_is_not_known_chooses_nothing() -> None:
    plan = made_plan()
    series = made_series()
    nobody = replace(plan.subject, presence=np.zeros(T, np.uint8))
    feetless = replace(plan.contacts, plant_id=np.full((T, 2), -1))
    unknown = {name: np.full_like(values, np.nan) for name, values in series.items()} | {"frame": series["frame"]}
    moments = choose_moments([replace(plan, subject=nobody, contacts=feetless)], info_of(T), unknown)
    assert [moment.frame for moment in moments] == [14, 44, 74]
    assert moments[0].reasons == ("middle of segment 1 (approach), without the subject",)
    empty = {name: values[:0] for name, values in series.items()}
    assert len(choose_moments([replace(plan, subject=nobody, contacts=feetless)], info_of(T), empty)) == 3


def test_pictures_are_those_of_their_frames_in_both_files(job: ReportInputs) -> None:
    moments = [Moment(70, "feet", ()), Moment(12, "whole", ()), Moment(12, "person", ())]
    pictures = read_moments(job.source, job.written, job.plans, moments)
    assert [picture.moment for picture in pictures] == moments
    for picture in pictures:
        assert abs(float(picture.source.mean()) - source_level(picture.moment.frame)) <= 1.5
        assert abs(float(picture.result.mean()) - result_level(picture.moment.frame)) <= 1.5
        assert picture.source.shape == picture.result.shape
    # The person's box is 30 x 60 px with a pad of 7.2 px; the feet's is a point.
    assert pictures[2].source.shape == (74, 56, 3)
    assert pictures[0].source.shape[0] < 20 < pictures[0].source.shape[1]


@pytest.mark.parametrize("middle", [(0.0, 0.0), (160.0, 120.0), (-500.0, 60.0), (80.0, 900.0)])
def test_a_close_up_at_the_border_stays_in_the_picture(job: ReportInputs, middle: tuple[float, float]) -> None:
    x, y = middle
    boxes = np.tile([x - 15, y - 30, x + 15, y + 30], (T, 1))
    plan = replace(job.plans[0], subject=replace(job.plans[0].subject, boxes_xyxy=boxes))
    (picture,) = read_moments(job.source, job.written, [plan], [Moment(30, "person", ())])
    assert picture.source.shape == (74, 56, 3)


def test_a_foot_that_goes_with_the_ground_has_no_speed() -> None:
    plan = made_plan(cuts=(0, 75))
    seconds = np.arange(T) / FPS
    pan = np.tile(np.eye(3), (T, 1, 1))
    pan[:, 0, 2] = 4.0 * np.arange(T)
    # A point of the ground moves by -4 px a frame in the picture.
    ground = np.zeros((T, 2, 2)) + 80.0
    ground[..., 0] -= 4.0 * np.arange(T)[:, None]
    plan = replace(plan, camera=replace(plan.camera, world_from_source=pan))
    plan = replace(plan, contacts=replace(plan.contacts, plant_id=np.full((T, 2), -1)))
    still = foot_speed_bh(ground, plan, seconds)
    assert np.nanmax(still) < 1e-9
    assert np.isnan(still[[0, 75]]).all() and np.isfinite(np.delete(still, [0, 75], axis=0)).all()
    walking = ground + np.arange(T)[:, None, None] * [0.0, 1.5]
    assert np.nanmin(foot_speed_bh(walking, plan, seconds)) == pytest.approx(1.5 * FPS / BODY_HEIGHT_PX)


def test_in_a_contact_the_anchor_is_the_ground() -> None:
    plan = made_plan()
    anchors = plan.contacts.anchors + np.arange(T)[:, None, None] * [2.0, 0.0]
    plan = replace(plan, contacts=replace(plan.contacts, anchors=anchors))
    ankles = np.full((T, 2, 2), 70.0) + np.arange(T)[:, None, None] * [2.0, 0.0]
    speed = foot_speed_bh(ankles, plan, np.arange(T) / FPS)
    assert np.nanmax(speed[51:70, 0]) < 1e-9
    # The camera says that the ground stands still.
    assert speed[75, 0] == pytest.approx(2.0 * FPS / BODY_HEIGHT_PX)


def test_a_thinned_curve_keeps_its_peaks_and_its_gaps() -> None:
    values = np.random.default_rng(1).normal(size=20_000)
    values[777] = 50.0
    values[15_003] = -50.0
    values[9_000:9_400] = np.nan
    seconds, kept = thinned(np.arange(20_000.0), values, 600)
    assert len(kept) <= 600 and np.all(np.diff(seconds) > 0)
    assert np.nanmax(kept) == 50.0 and np.nanmin(kept) == -50.0
    assert np.isnan(kept[(seconds >= 9_000) & (seconds < 9_400)]).all()
    assert np.array_equal(kept, values[seconds.astype(int)], equal_nan=True)


def test_plots_of_a_long_clip_stay_small() -> None:
    frames = 20_000
    noise = np.random.default_rng(2).normal(80.0, 5.0, (frames, 2, 2))
    series = made_series(frames) | {"ankles_unlocked": noise, "ankles_locked": noise}
    plots = draw_plots(made_plan(frames), info_of(frames), series, [5, 90])
    assert sum(len(plot.svg) for plot in plots) < 500_000


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


def test_the_page_is_whole_and_reaches_nothing(job: ReportInputs, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("quality", "verdict"),
    [
        ({"changed_outside": 0}, "good"),
        ({"changed_outside": 1}, "poor"),
        ({"psnr_outside_db": 42.0}, "good"),
        ({"psnr_outside_db": 40.0}, "fair"),
        ({"psnr_outside_db": 30.0}, "poor"),
        ({"source_left_percent": 0.6}, "fair"),
        ({"new_to_subject_scale": 0.85}, "fair"),
        ({"new_to_subject_scale": 1.3}, "poor"),
        ({"warping_error_result": 0.012, "warping_error_source": 0.011}, "fair"),
        ({"warping_error_result": 0.012, "warping_error_source": None}, "not known"),
        ({"foot_slide_percent": None}, "not known"),
        ({"frames_uncertain": 3, "frames_replaced": 100}, "fair"),
        ({"foot_slide_unlocked_percent": 9.0}, "note"),
    ],
)
def test_figures_are_judged_by_their_aims(quality: dict[str, float | int | None], verdict: str) -> None:
    (judged,) = [
        figure for figure in judge_figures(Quality.model_validate(quality)) if figure.name == next(iter(quality))
    ]
    assert judged.verdict == verdict


def test_every_figure_has_a_rule_and_a_meaning() -> None:
    judged = judge_figures(Quality.model_validate(dict.fromkeys(Quality.model_fields)))
    assert {figure.name for figure in judged} == set(Quality.model_fields)
    assert all(figure.meaning for figure in judged)


def test_the_most_telling_figures_are_those_that_miss_their_aim() -> None:
    quality = Quality(foot_slide_percent=0.1, changed_outside=3, psnr_outside_db=40.0, seam_gradient_ratio=1.0)
    assert telling_figures(quality) == [
        "Changed outside the edit region: 3 samples (poor; aim: 0)",
        "PSNR outside the edit region: 40.0 dB (fair; aim: at least 42 dB)",
        "Foot slide: 0.10 % of body height (good)",
    ]
    assert telling_figures(Quality(foot_slide_percent=None)) == []


def test_moments_of_one_kind_that_lie_close_are_one() -> None:
    series = made_series()
    series["warping_error_result"][35] = 0.02
    series["warping_error_result"][56] = 0.01
    series["plate_fit"][:] = 0.9
    close = [moment for moment in choose_moments([made_plan()], info_of(T), series) if moment.view == "person"]
    assert [(moment.frame, moment.reasons) for moment in close] == [
        (33, ("strongest seam", "strongest flicker")),
        (42, ("the subject is not clearly visible",)),
    ]


def _first(value: Any, frames: int) -> Any:
    """Return the value's first frames."""
    arrays = {name: getattr(value, name) for name in value.SHAPES}
    return replace(value, **{name: array[:frames] for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize("frames", [1, 2])
def test_plots_of_next_to_nothing_are_drawn(frames: int) -> None:
    plan = made_plan(T)
    plan = replace(
        plan,
        segments=(replace(plan.segments[0], stop=frames),),
        camera=_first(plan.camera, frames),
        subject=_first(plan.subject, frames),
        contacts=_first(plan.contacts, frames),
        crop=_first(plan.crop, frames),
    )
    # No frame was edited: nothing was pushed.
    series = {name: values[:0] for name, values in made_series().items()} | {
        name: np.full((frames, 2, 2), np.nan) for name in ("ankles_unlocked", "ankles_locked")
    }
    assert all("</svg>" in plot.svg for plot in draw_plots(plan, info_of(frames), series, [0]))


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
