"""The job through the real SDK, as a user starts it, and its errors."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import handler
from pipeline.errors import InvalidInput
from tests.support.http_server import http_server
from tests.support.job_runner import ROOT, WALK, WALK_SMALL, Runner, good_job
from worker import answer as answering
from worker.command_line import Arguments, parse_arguments
from worker.environment import read_worker_settings
from worker.job_folder import folder_name


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def _video(path: Path, frames: int = 6, size_wh: tuple[int, int] = (160, 120)) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = np.full((size_wh[1], size_wh[0], 3), 40 + number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def test_the_command_a_user_types_replaces_the_person(tmp_path: Path) -> None:
    request = {
        "video_url": str(WALK_SMALL),
        "start_s": 1.5,
        "end_s": 1.9,
        "artifacts": ["analysis", "mask", "edit_region", "plate", "layer", "layers_debug", "report", "contact_sheet"],
    }
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "handler.py"),
            "preset=preview",
            "segment.count=3",
            "--test_input",
            json.dumps({"input": request}),
        ],
        cwd=ROOT,
        env={**os.environ, "UNDERSTUDY_OUTPUTS": str(tmp_path / "outputs"), "UNDERSTUDY_WORK": str(tmp_path / "work")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "outputs" / "local_test"
    assert str(folder / "result.mp4") in done.stderr
    for stage in ("survey", "plate", "perform", "finish"):
        assert f"{stage}: " in done.stderr
    result = json.loads((folder / "result.json").read_text())
    assert result["frames"] == result["frames_replaced"] == 12
    assert len(result["segments"]) == 3
    assert result["quality"]["changed_outside"] == 0
    assert result["quality"]["source_left_percent"] <= 0.5
    names = {path.name for path in folder.iterdir()}
    assert {
        "result.mp4", "result.json", "analysis.npz", "mask.mkv", "edit_region.mkv", "plate.mkv", "plate_0000.png",
        "layer.mkv", "layers_debug.mkv", "report.html", "contact_sheet.png",
    } <= names  # fmt: skip
    with np.load(folder / "analysis.npz") as analysis:
        assert analysis["placed_joints"].shape == (12, 21, 3) and analysis["world_from_source"].shape == (12, 3, 3)
    assert not any((tmp_path / "work").iterdir())


def test_a_failing_command_prints_the_reason_and_exits_with_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "handler.py"), "--test_input", '{"input": {"video_url": "nowhere.mp4"}}'],
        cwd=ROOT,
        env={**os.environ, "UNDERSTUDY_OUTPUTS": str(tmp_path / "outputs")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "no such file" in done.stdout + done.stderr
    assert not (tmp_path / "outputs").exists()


def test_help_and_a_wrong_setting_load_no_model() -> None:
    shown = subprocess.run(
        [sys.executable, "handler.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0
    for word in ("preset=NAME", "preview", "--test_input", "--rp_serve_api", "UNDERSTUDY_WEIGHTS", "segment.count"):
        assert word in shown.stdout
    wrong = subprocess.run(
        [sys.executable, "handler.py", "segment.count=99"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 2 and "segment.count" in wrong.stderr


def test_arguments_are_separated() -> None:
    arguments = parse_arguments(
        [
            "handler.py",
            "preset=preview",
            "segment.count=3",
            "--test_input",
            '{"input": {"prompt": "a=b"}}',
            "--rp_debugger",
        ],
        {"UNDERSTUDY_OVERRIDES": "output=lossless", "UNDERSTUDY_LOCKED": "output.codec, segment.count"},
    )
    assert arguments is not None
    assert arguments.preset == "preview" and arguments.overrides == ("output=lossless", "segment.count=3")
    assert arguments.for_sdk[:2] == ("--test_input", '{"input": {"prompt": "a=b"}}')
    assert arguments.locked == ("output.codec", "segment.count") and arguments.origin == "local"
    for words, environment, place in (
        (["--rp_serve_api"], {}, "api"),
        (["--rp_serve"], {}, "api"),
        ([], {"RUNPOD_WEBHOOK_GET_JOB": "http://x"}, "platform"),
        (["--check"], {}, "local"),
    ):
        found = parse_arguments(["handler.py", *words], environment)
        assert found is not None and found.origin == place and found.check_only == ("--check" in words)


@pytest.mark.parametrize("words", [["{bad"], ["[]"], ["{}"], ["5"], []])
def test_an_invalid_test_input_is_reported(words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_arguments(["handler.py", "--test_input", *words], {})
    assert caught.value.field == "--test_input"


def test_any_job_id_has_a_folder() -> None:
    for job_id in ("a/../b", "\ud800", "x" * 500, "..", ""):
        assert re.fullmatch(r"[0-9a-f]{32}", folder_name(job_id))


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        (None, "INVALID_INPUT", "input"),
        ({"video_url": "a.mp4", "nope": 1}, "INVALID_INPUT", "nope"),
        ({"video_url": "missing.mp4"}, "URL_REJECTED", "video_url"),
        ({"video_url": "file:///etc/passwd"}, "URL_REJECTED", "video_url"),
        ({"video_url": "http://127.0.0.1:9/a.mp4"}, "URL_REJECTED", "video_url"),
        ({"video_url": "http://[::1/a.mp4"}, "URL_REJECTED", "video_url"),
        ({"video_url": "a" * 1000}, "URL_REJECTED", "video_url"),
        ({"video_url": "~nobody_of_this_name/a.mp4"}, "URL_REJECTED", "video_url"),
        ({"video_url": "a.mp4", "preset": "nope"}, "INVALID_INPUT", "preset"),
        ({"video_url": "a.mp4", "overrides": {"limits.max_frames": 9}}, "INVALID_INPUT", "overrides.limits.max_frames"),
    ],
)
def test_bad_requests_have_their_code(runner: Runner, request_: object, code: str, field: str) -> None:
    runner.fails(request_, code, field)


def test_bad_clips_have_their_code_and_leave_nothing(runner: Runner, tmp_path: Path) -> None:
    text = tmp_path / "page.mp4"
    text.write_text("<html></html>")
    runner.fails({"video_url": str(text)}, "UNSUPPORTED_MEDIA")
    runner.fails({"video_url": str(_video(tmp_path / "empty.mp4"))}, "NO_PERSON")
    runner.fails({"video_url": str(_video(tmp_path / "one.mp4", 1))}, "NO_PERSON")
    Runner(tmp_path, overrides=("limits.max_frames=20",)).fails({"video_url": str(WALK)}, "TOO_LARGE")
    Runner(tmp_path, overrides=("limits.max_side_px=320",)).fails({"video_url": str(WALK)}, "TOO_LARGE")


def test_bad_references_have_their_code(runner: Runner, tmp_path: Path) -> None:
    nobody = tmp_path / "wall.png"
    cv2.imwrite(str(nobody), np.full((300, 200, 3), 120, np.uint8))
    suit = cv2.imread(str(ROOT / "assets" / "suit.png"), cv2.IMREAD_COLOR)
    assert suit is not None
    two = tmp_path / "two.png"
    cv2.imwrite(str(two), np.hstack([suit, suit]))
    noise = tmp_path / "noise.png"
    noise.write_bytes(b"no picture")
    for picture, code in ((nobody, "INVALID_INPUT"), (two, "INVALID_INPUT"), (noise, "UNSUPPORTED_MEDIA")):
        runner.fails({"video_url": str(WALK), "reference_image_url": str(picture)}, code, "reference_image_url")


def test_the_reference_at_fault_is_named(runner: Runner, tmp_path: Path) -> None:
    nobody = tmp_path / "wall.png"
    cv2.imwrite(str(nobody), np.full((300, 200, 3), 120, np.uint8))
    pictures = [str(ROOT / "assets" / "suit.png"), str(nobody)]
    runner.fails({"video_url": str(WALK), "reference_image_urls": pictures}, "INVALID_INPUT", "reference_image_urls.1")


def test_a_job_from_outside_may_not_name_paths(tmp_path: Path) -> None:
    outside = Runner(tmp_path, "platform")
    outside.fails({"video_url": str(WALK)}, "INVALID_INPUT", "upload_url")
    outside.fails({"video_url": str(WALK), "inline": True}, "URL_REJECTED", "video_url")


def test_with_the_http_server_paths_are_the_operators_choice(tmp_path: Path) -> None:
    runner = Runner(tmp_path, "api", environment={"UNDERSTUDY_LOCAL_ROOT": str(WALK_SMALL.parent)})
    answer = runner.answer(good_job())
    assert answer.get("video_url", "").startswith(str(tmp_path / "outputs")), answer
    secret = tmp_path / "secret.mp4"
    secret.write_text("x")
    for name in (str(secret), f"{WALK_SMALL.parent}/../../README.md", "/etc/passwd"):
        assert runner.answer({"video_url": name})["error_code"] == "URL_REJECTED"


def test_a_cancelled_job_ends_before_the_next_may_start(runner: Runner) -> None:
    assert runner.answer({"video_url": str(WALK)}, cancel_after=1.0) == {}
    assert not runner.left()
    runner.does_a_good_job()


def test_a_job_has_a_time_limit(tmp_path: Path) -> None:
    # 150 frames of 0.23 megapixels: expected to take minutes, and refused before any work, however slow the machine.
    short = Runner(
        tmp_path,
        overrides=("limits.seconds_per_megapixel=30.0",),
        environment={"UNDERSTUDY_JOB_SECONDS": "60"},
    )
    short.fails({"video_url": str(WALK)}, "INVALID_INPUT", "end_s")
    hopeful = Runner(
        tmp_path,
        overrides=("limits.seconds_per_megapixel=0.0001",),
        environment={"UNDERSTUDY_JOB_SECONDS": "1"},
    )
    hopeful.fails({"video_url": str(WALK)}, "TIMEOUT", then_good=False)


def test_a_bug_shows_the_caller_only_an_incident_number(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("https://name:word@bucket/x?Signature=abc and s3cr3t-of-the-worker")

    monkeypatch.setattr(answering, "run_job", broken)
    answer = runner.fails({"video_url": str(WALK)}, "INTERNAL")
    assert "Signature" not in json.dumps(answer) and "Traceback" not in json.dumps(answer)
    number = answer["error"].split()[-2]
    assert number in runner.log and "RuntimeError" in runner.log
    assert "abc" not in runner.log and "word@" not in runner.log


def test_the_same_job_again_replaces_its_result(runner: Runner) -> None:
    first = runner.answer(good_job())
    bytes_of_first = Path(first["video_url"]).read_bytes()
    second = runner.answer(good_job(artifacts=["mask"]))
    assert second["video_url"] == first["video_url"]
    assert Path(second["video_url"]).read_bytes() == bytes_of_first
    assert {path.name for path in runner.left()} == {"result.mp4", "result.json", "mask.mkv"}


def test_a_result_is_inline_where_it_is_small(runner: Runner, tmp_path: Path) -> None:
    answer = Runner(tmp_path, "platform", environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
    with http_server({"/a.mp4": WALK_SMALL.read_bytes()}) as server:
        done = answer.answer({**good_job(), "video_url": server.url("/a.mp4"), "inline": True})
    assert base64.b64decode(done["video_base64"])[4:8] == b"ftyp"
    assert not answer.left()


def test_after_a_hang_no_other_job_starts_and_a_cancel_releases_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    begun = []

    def hangs(*_: object) -> dict[str, object]:
        begun.append(1)
        over.wait(60)
        return {}

    monkeypatch.setattr(answering, "answer_job", hangs)
    worker = replace(read_worker_settings(Runner(tmp_path).variables, "api"), stall_seconds=0.2)

    async def jobs(cancelled: bool) -> dict[str, object]:
        handle = handler.make_handler(Arguments(None, (), (), "api", ()), worker)
        first = asyncio.ensure_future(handle({"id": "a", "input": {}}))
        if cancelled:
            await asyncio.sleep(0.1)
            first.cancel()
        await asyncio.wait([first])
        answer: dict[str, object] = await handle({"id": "b", "input": {}})
        return answer

    try:
        for cancelled in (False, True):
            begun.clear()
            assert asyncio.run(jobs(cancelled))["refresh_worker"] is True
            assert len(begun) == 1
    finally:
        over.set()
