"""The mode ``people`` through the worker: a list with stills, and no generator."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conf import compose_settings
from pipeline.find_people import find_people
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.mode_results import PeopleReport, PeopleResult
from pipeline.models.loaded import LoadedModels, load_people
from pipeline.request import JobRequest
from pipeline.settings import Settings
from tests.support.http_server import http_server
from tests.support.job_runner import WALK, Runner
from tests.support.media import ClipSpec, make_clip
from tests.support.put_server import put_server
from worker.delivery.destination import choose_destination
from worker.environment import read_worker_settings
from worker.input import parse_request
from worker.models import ModelKeeper
from worker.output import PeopleAnswer, read_answer
from worker.progress import JobPercent, local_summary

_ASKED = {"video_url": str(WALK), "mode": "people", "start_s": 2.0, "end_s": 2.3}


def _no_generator(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
    raise AssertionError("the mode people loads no generator")


def test_people_are_listed_with_stills_and_without_a_generator(tmp_path: Path) -> None:
    runner = Runner(tmp_path, models=ModelKeeper(_no_generator))
    raw = runner.answer(_ASKED)
    answer = read_answer(raw)
    assert isinstance(answer, PeopleAnswer), raw
    [person] = answer.people
    assert person.number == 0 and "largest" in person.chosen_by and person.seen_frames == answer.frames == 9
    parse_request({**_ASKED, "mode": "replace", "subject": raw["people"][0]["point"]})

    source = {frame.index: rgb_of(frame) for frame in open_clip(WALK, start_s=2.0, end_s=2.3).frames()}
    still = cv2.imread(str(answer.artifacts["people"]), cv2.IMREAD_COLOR)
    assert still is not None and still.shape == source[0].shape
    drawn = np.abs(still[..., ::-1].astype(int) - source[person.still_frame]).max(axis=2) > 0
    x0, y0, x1, y1 = (round(value) for value in person.box_xyxy)
    # The box is drawn; the person in it is not painted over, and nothing but it and its number is.
    assert drawn[y0 : y1 + 1, x0].all() and drawn[y0 : y1 + 1, min(x1, still.shape[1] - 1)].all()
    assert drawn[y0 + 40 : y1 - 5, x0 + 5 : x1 - 4].sum() == 0
    drawn[y0 - 3 : y1 + 4, x0 - 3 : x1 + 4] = False
    assert not drawn.any()
    assert "subject 0: visible for 0.3 s" in local_summary(answer)


def test_stills_are_delivered_as_a_clip_would_be(tmp_path: Path) -> None:
    inline = Runner(tmp_path).answer({**_ASKED, "inline": True})
    assert base64.b64decode(inline["artifacts_base64"]["people"])[:4] == b"\x89PNG" and len(inline["people"]) == 1
    with put_server() as server:
        url = f"http://127.0.0.1:{server.port}/people?Signature=1"
        runner = Runner(tmp_path, "platform", environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
        with http_server({"/a.mp4": WALK.read_bytes()}) as clips:
            answer = runner.answer({**_ASKED, "video_url": clips.url("/a.mp4"), "upload_url": url})
        assert answer["artifacts"]["people"] == url.partition("?")[0]
        assert [each.body[:4] for each in server.received] == [b"\x89PNG"]
    Runner(tmp_path).fails({**_ASKED, "artifacts": ["mask"]}, "INVALID_INPUT", "artifacts")


def test_a_clip_without_people_is_no_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, ClipSpec("empty", pts=tuple(range(0, 3072, 512))))
    answer = Runner(tmp_path).answer({"video_url": str(clip), "mode": "people"})
    assert answer["people"] == [] and answer["artifacts"] == {} and answer["frames"] == 6
    with put_server() as server:
        url = f"http://127.0.0.1:{server.port}/people?Signature=1"
        runner = Runner(tmp_path, environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
        answer = runner.answer({"video_url": str(clip), "mode": "people", "upload_url": url})
        assert answer["people"] == [] and server.received == []


def test_the_survey_is_not_done_twice(tmp_path: Path) -> None:
    settings = compose_settings("preview")
    request = JobRequest(WALK, tmp_path / "out", start_s=2.0, end_s=2.3)
    seen: list[Any] = []

    def progress(stage: str, done: int, total: int) -> None:
        seen.append((stage, done))

    first = find_people(request, settings, load_people(settings), tmp_path / "passes", progress=progress)
    assert ("people", 9) in seen
    seen.clear()
    second = find_people(request, settings, load_people(settings), tmp_path / "passes", progress=progress)
    assert ("people", 9) not in seen
    assert second.report.people == first.report.people
    (tmp_path / "passes" / "masks.zip").write_bytes(b"damaged")
    third = find_people(request, settings, load_people(settings), tmp_path / "passes", progress=progress)
    assert ("people", 9) in seen and third.report.people == first.report.people


def test_progress_of_the_one_pass_is_progress_of_the_job() -> None:
    percent = JobPercent()
    assert percent.update("people", 5, 10) == pytest.approx(50.0)
    assert percent.update("people", 10, 10) == pytest.approx(100.0)


def test_several_stills_are_one_zip_inline(tmp_path: Path) -> None:
    paths = [tmp_path / "person_00.png", tmp_path / "person_01.png"]
    for path in paths:
        path.write_bytes(b"picture")
    report = PeopleReport(
        preset="preview", people=(), frames=1, duration_s=1.0, width=2, height=2, timings_s={}, warnings=()
    )
    worker = read_worker_settings({}, "platform")
    destination = choose_destination(
        job_id="a", upload_url=None, artifact_upload_urls={}, inline=True, artifacts=(), worker=worker
    )
    answer = destination.deliver(PeopleResult({"people": paths}, report), check=lambda: None)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer.artifacts_base64["people"]))) as archive:
        assert archive.namelist() == ["person_00.png", "person_01.png"]
