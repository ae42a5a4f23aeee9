"""The page without a browser: its fields become a job's input, and one job runs at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conf import CALLER_KEYS, compose_settings
from pipeline.errors import InvalidInput
from pipeline.estimate import estimate_lines
from pipeline.result import Estimate
from tests.support.endpoint_server import API_KEY, endpoint_server
from webpage.form import (
    FIELDS,
    INPUTS,
    Fields,
    FurtherPerson,
    advanced_settings,
    job_input,
    place_of,
    read_fields,
    setting_of,
    value_of,
    with_point,
)
from webpage.job_runner import Answer, Busy, EndpointJob, JobRunner, JobStatus, Tell
from webpage.panels import error_beside, job_result, job_status, person_cards

_URL = "https://example.com/a.mp4"
_PREVIEW = compose_settings("preview")
_HIGH = compose_settings("high")
_SHOWN = {key: value_of(_PREVIEW, key) for key in CALLER_KEYS}


def _input(fields: Fields, **changed: Any) -> dict[str, Any]:
    settings = {key.replace("__", "."): value for key, value in changed.items()}
    return job_input(fields, _SHOWN | settings, _PREVIEW, "replace")


def test_only_changed_settings_are_sent() -> None:
    assert _input(Fields(video_url=_URL)) == {
        "video_url": _URL, "subject": "largest", "on_lost": "warn", "seed": 0, "mode": "replace",
    }  # fmt: skip
    asked = _input(Fields(video_url=_URL), segment__count=3, composite__feather_px=3.5)
    assert asked["overrides"] == {"segment.count": 3, "composite.feather_px": 3.5}


def test_values_of_another_preset_that_still_stand_there_are_not_the_users() -> None:
    """Somebody chooses a preset and starts at once: the controls show the one before for a moment."""
    quick = Fields(video_url=_URL, preset="high")
    assert "overrides" not in job_input(quick, _SHOWN, _HIGH, "replace", _PREVIEW)
    changed = {**_SHOWN, "generate.steps": 9}
    assert job_input(quick, changed, _HIGH, "replace", _PREVIEW)["overrides"] == {"generate.steps": 9}
    assert "generate.steps" in job_input(quick, _SHOWN, _HIGH, "replace")["overrides"]


@pytest.mark.parametrize(
    ("fields", "changed", "field"),
    [
        (Fields(), {}, "video_url"),
        (Fields(video_file="/a.mp4", video_url=_URL), {}, "video_url"),
        (Fields(video_url="file:///etc/passwd"), {}, "video_url"),
        (Fields(video_url=_URL, reference_urls="https://x/y.png\nftp://x/y.png"), {}, "reference_image_urls"),
        (Fields(video_url=_URL, reference_files=["/a.png"] * 5), {}, "reference_image_urls"),
        (Fields(video_url=_URL, further=[FurtherPerson(prompt="a coat")]), {}, "subjects"),
        (Fields(video_url=_URL, further=[FurtherPerson("0.5", "a coat")]), {}, "subjects"),
        (Fields(video_url=_URL, further=[FurtherPerson("64")]), {}, "subjects.1.subject"),
        (Fields(video_url=_URL, seed=1.5), {}, "seed"),
        (Fields(video_url=_URL, subject="point"), {}, "subject"),
        (Fields(video_url=_URL, subject="point", points="3, 4"), {}, "subject"),
        (Fields(video_url=_URL, subject="point", points="3, 4, 1", start_s=2.0), {}, "subject"),
        (Fields(video_url=_URL, subject="point", x=3, y=4, at_s=1.0, start_s=2.0), {}, "subject"),
        (Fields(video_url=_URL, prompt="a" * 3000), {}, "prompt"),
        (Fields(video_url=_URL, start_s=3.0, end_s=1.0), {}, "end_s"),
        (Fields(video_url=_URL), {"segment.count": 99}, "overrides.segment.count"),
        (Fields(video_url=_URL), {"segment.count": None}, "overrides.segment.count"),
        (Fields(video_url=_URL), {"segment.count": 1.5}, "overrides.segment.count"),
    ],
)
def test_errors_are_shown_beside_their_field(fields: Fields, changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        job_input(fields, {**_SHOWN, **changed}, _PREVIEW, "replace")
    assert raised.value.field == field and place_of(field) in FIELDS


def test_a_point_is_counted_from_the_part_that_is_used() -> None:
    asked = _input(Fields(video_url=_URL, subject="point", x=3, y=4, at_s=2.5, start_s=2.0))
    assert asked["subject"] == {"x": 3.0, "y": 4.0, "at_s": 0.5}
    kept = with_point(with_point("", 3, 4, 2.5), 30.5, 40, 3.0)
    assert with_point(kept, 3, 4, 2.5) == with_point(kept, None, None, 1.0) == kept
    asked = _input(Fields(video_url=_URL, subject="point", points=kept, x=3, y=4, at_s=2.5, start_s=2.0))
    assert asked["subject"] == [{"x": 3.0, "y": 4.0, "at_s": 0.5}, {"x": 30.5, "y": 40.0, "at_s": 1.0}]


def test_several_people_are_entries_of_a_list() -> None:
    fields = Fields(
        video_url=_URL,
        subject="leftmost",
        prompt="a coat",
        reference_files=["/p/front.png", "/p/back.png"],
        reference_urls=" https://example.com/side.png\n\n",
        further=[FurtherPerson(), FurtherPerson(" 0", "a skirt", ["/p/skirt.png"]), FurtherPerson()],
    )
    asked = _input(fields)
    first = {
        "subject": "leftmost",
        "prompt": "a coat",
        "reference_image_urls": ["/p/front.png", "/p/back.png", "https://example.com/side.png"],
    }
    assert asked["subjects"] == [first, {"subject": 0, "prompt": "a skirt", "reference_image_urls": ["/p/skirt.png"]}]
    assert not {"subject", "prompt", "reference_image_urls"} & set(asked)
    # The search for people and the preview of one person do not concern the others.
    for mode in ("people", "character"):
        assert "subjects" not in job_input(fields, _SHOWN, _PREVIEW, mode)
    alone = _input(replace(fields, further=()))
    assert alone.items() >= first.items() and "subjects" not in alone


def test_the_inputs_of_further_people_are_read_by_position() -> None:
    values = {**dict.fromkeys(INPUTS), "video_url": _URL, "number_3": "1", "prompt_3": "a skirt"}
    fields = read_fields(values)
    assert fields.video_url == _URL and fields.further[1] == FurtherPerson("1", "a skirt", None)


def test_fields_of_a_closed_section_that_were_never_displayed_ask_for_nothing() -> None:
    never = FurtherPerson(None, None, None)
    assert "subjects" not in _input(Fields(video_url=_URL, further=[never, never, never]))


def test_every_setting_has_a_control_a_range_and_a_sentence() -> None:
    every = [setting_of(_PREVIEW, key) for key in CALLER_KEYS]
    assert all(len(each.meaning) > 15 for each in every)
    assert all(each.minimum is not None for each in every if each.kind == "whole")
    assert "foot_lock.strength" not in [each.key for each in advanced_settings(_PREVIEW, ["foot_lock.strength"])]


class _Job:
    """A job that waits until it is let go."""

    def __init__(self, work: Callable[[Tell], Answer]) -> None:
        self.work = work
        self.cancelled = threading.Event()
        self.over = threading.Event()
        self.hangs = False

    def run(self, tell: Tell) -> Answer:
        assert self.over.wait(60)
        return self.work(tell)

    def cancel(self) -> None:
        self.cancelled.set()
        self.over.set()

    def stalled_answer(self) -> Answer | None:
        return {"error": "no sign of life", "error_code": "INTERNAL"} if self.hangs else None


def test_the_runner_does_one_job_at_a_time(tmp_path: Path) -> None:
    def work(tell: Tell) -> Answer:
        tell("survey", 40.0)
        tell("plate", None)
        raise ZeroDivisionError

    job = _Job(work)
    runner = JobRunner(lambda asked, job_id: job, tmp_path)
    assert runner.now() == JobStatus() and runner.wait(0)
    runner.cancel()
    runner.start({"video_url": _URL})
    assert runner.now().is_under_way and "starting" in job_status(runner.now())
    with pytest.raises(Busy):
        runner.start({"video_url": _URL})
    assert runner.now().number == 1
    runner.cancel()
    assert job.cancelled.is_set() and runner.wait(60)
    # A bug ends in words, and does not keep the next job away.
    assert runner.now().answer == {"error": "the job failed: ZeroDivisionError", "error_code": "INTERNAL"}
    assert "Failed" in job_status(runner.now()) and job_result(runner.now(), None) == ""
    runner.start({"video_url": _URL})
    assert runner.wait(60) and runner.now().number == 2


def test_a_hanging_job_is_reported_and_no_other_is_started(tmp_path: Path) -> None:
    job = _Job(lambda tell: {})
    runner = JobRunner(lambda asked, job_id: job, tmp_path)
    runner.start({"video_url": _URL})
    job.hangs = True
    answer = runner.now().answer
    assert answer is not None and "restart the page's server" in answer["error"]
    with pytest.raises(Busy):
        runner.start({"video_url": _URL})
    job.over.set()
    assert runner.wait(60) and runner.now().answer == answer


def test_a_job_on_an_endpoint_reports_errors_by_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = {"error_code": "TOO_LARGE", "field": "video_url"}
    states = [{"status": "IN_PROGRESS", "output": {"stage": "fetch", "percent": 1.0}},
              {"status": "FAILED", "error": "the clip is too large", "output": output}]  # fmt: skip
    told: list[str] = []
    with endpoint_server(lambda job_id, body: list(states)) as server:
        monkeypatch.setattr("runpod.endpoint_url_base", server.url)
        common = {"endpoint_id": "ep1", "api_key": API_KEY, "bucket": None, "poll_seconds": 0.01}
        job = EndpointJob({"video_url": _URL, "seed": 1}, tmp_path / "out", **common)
        answer = job.run(lambda stage, percent: told.append(stage))
        assert server.jobs["job-0"]["input"] == {"video_url": _URL, "seed": 1}
        file = EndpointJob({"video_url": "/tmp/a.mp4"}, tmp_path / "out", **common).run(lambda stage, percent: None)
        assert len(server.jobs) == 1
    assert answer == {"error": "the clip is too large", "error_code": "TOO_LARGE", "field": "video_url"}
    assert "fetch" in told and file["error_code"] == "NOT_SENT" and file["field"] == "video_url"


def test_callers_text_is_escaped_on_the_page(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    (tmp_path / "result.mp4").write_bytes(b"v")
    answer = {"warnings": [bad], "frames": 2, "frames_replaced": 1}
    moment = JobStatus(1, {"video_url": _URL}, tmp_path, answer=answer)
    assert "<script>" not in job_result(moment, bad) + error_beside(bad)
    failed = JobStatus(1, {}, tmp_path, answer={"error": bad, "error_code": "X", "field": bad})
    assert "<script>" not in job_status(failed)


def test_an_estimate_is_shown_as_sentences() -> None:
    told = {"frames": 30, "windows": 2, "tflop": 7.5, "seconds": {"A40": [1, 2, 3], "CPU": 4.0}, "cost_usd": {}}
    assert estimate_lines(Estimate.model_validate(told)) == [
        "30 frames, 8 TFLOP in 2 windows",
        "A40: about 2 s (1 to 3)",
        "CPU: about 4 s",
    ]
    shown = job_result(JobStatus(1, answer={"preset": "fast", "estimate": told, "warnings": []}), None)
    assert "<li>A40: about 2 s (1 to 3)</li>" in shown


def _person(number: int, **more: Any) -> dict[str, Any]:
    told = {
        "number": number, "chosen_by": ["largest"] if number == 0 else [], "first_s": 0.5, "last_s": 2.0, "seen_s": 1.5,
        "seen_frames": 45, "height_percent": 60.0, "still_frame": 30, "box_xyxy": [10.0, 20.0, 60.0, 220.0],
        "point": {"x": 35.0, "y": 120.0, "at_s": 1.0}, "others": [],
    }  # fmt: skip
    return {**told, **more}


def test_people_who_were_found_are_cards_with_their_stills(tmp_path: Path) -> None:
    answer = {
        "preset": "preview", "people": [_person(0), _person(1, point=None), _person(2)], "frames": 60,
        "duration_s": 2.0, "width": 640, "height": 360, "timings_s": {}, "warnings": ["a <b> warning"],
    }  # fmt: skip
    for number in (0, 1):
        (tmp_path / f"person_{number:02d}.png").write_bytes(b"")
    moment = JobStatus(number=1, folder=tmp_path, answer=answer)
    cards = person_cards(moment)
    # A person without a still is described in words only.
    assert [card.still.name for card in cards] == ["person_00.png", "person_01.png"]
    assert cards[0].point is not None and cards[0].point.at_s == 1.0 and cards[1].point is None
    assert cards[0].caption.startswith("0: visible for 1.5 s") and "(largest)" in cards[0].caption
    told = job_result(moment, None)
    assert "subject 2: visible for 1.5 s" in told and "a &lt;b&gt; warning" in told
    assert person_cards(JobStatus(number=1, folder=tmp_path, answer={"frames": 3})) == []


def test_a_character_is_requested_without_a_clip() -> None:
    fields = Fields(
        video_file="/clips/a.mp4", reference_files=["/pictures/a.png"], prompt="a coat", seed=5, subject="leftmost"
    )
    asked = job_input(fields, {}, compose_settings(), "character")
    assert asked["reference_image_urls"] == ["/pictures/a.png"] and asked["prompt"] == "a coat"
    assert asked["mode"] == "character" and "video_url" not in asked
    # Only the picture matters: the clip's fields may still be wrong.
    assert (asked["seed"] == 0 and "subject" not in asked) or asked["subject"] == "largest"


def test_a_character_turns_beside_its_picture(tmp_path: Path) -> None:
    answer = {
        "preset": "preview", "views": ["front"], "outline_overlap": 0.97, "frames": 48, "width": 448, "height": 672,
        "timings_s": {}, "warnings": ["a hat was left out"], "video_url": "x",
    }  # fmt: skip
    folder = tmp_path / "abc"
    folder.mkdir()
    for name in ("turntable.mp4", "character_front.png", "result.json"):
        (folder / name).write_bytes(b"x")
    moment = JobStatus(
        1, {"mode": "character", "reference_image_urls": ["/p/a b.png"]}, folder, "deliver", answer=answer
    )
    shown = job_result(moment, None, "/gradio_api/file=/p/a%20b.png")
    assert 'src="/results/abc/turntable.mp4" autoplay loop muted' in shown
    assert shown.index("/gradio_api/file=/p/a%20b.png") < shown.index("turntable.mp4")
    assert "97 % (IoU)" in shown and "Warning: a hat was left out" in shown
    assert "result.json" not in shown
