"""The job through the real SDK, as a user starts it, and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import handler
from pipeline.errors import DownloadTimeout, InvalidInput
from pipeline.job.command_line import Arguments, parse_arguments
from pipeline.job.deliver import deliver_locally
from pipeline.job.fetch import fetch
from pipeline.job.workspace import folder_name
from pipeline.run import JobResult

_ROOT = Path(__file__).resolve().parents[1]
_WALK = _ROOT / "assets" / "walk_a" / "sample.mp4"


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arguments:
    monkeypatch.setenv("UNDERSTUDY_WORK", str(tmp_path / "work"))
    return Arguments(None, (), (), tmp_path / "outputs", True, ())


def _run(arguments: Arguments, request: object, job_id: str = "job-1") -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(handler.make_handler(arguments)({"id": job_id, "input": request}))
    json.dumps(answer, allow_nan=False)
    return answer


def _nothing_left(arguments: Arguments) -> bool:
    work = Path(os.environ["UNDERSTUDY_WORK"])
    return (not work.exists() or not any(work.iterdir())) and (
        not arguments.outputs.exists() or not any(arguments.outputs.iterdir())
    )


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
        "video_url": str(_WALK),
        "start_s": 1.5,
        "end_s": 2.3,
        "artifacts": ["analysis", "mask", "edit_region", "plate", "layer", "report", "contact_sheet"],
    }
    done = subprocess.run(
        [
            sys.executable,
            str(_ROOT / "handler.py"),
            "preset=preview",
            "segment.count=3",
            "--test_input",
            json.dumps({"input": request}),
        ],
        cwd=_ROOT,
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
    assert result["frames"] == 24 and result["frames_replaced"] == 24
    assert len(result["segments"]) == 3
    assert result["quality"]["changed_outside"] == 0
    assert result["quality"]["source_left_percent"] <= 0.5
    names = {path.name for path in folder.iterdir()}
    assert {
        "result.mp4", "result.json", "analysis.npz", "mask.mkv", "edit_region.mkv", "plate.mkv", "plate_0000.png",
        "layer.mkv", "report.html", "contact_sheet.png",
    } <= names  # fmt: skip
    with np.load(folder / "analysis.npz") as analysis:
        assert analysis["placed_joints"].shape == (24, 21, 3) and analysis["world_from_source"].shape == (24, 3, 3)
    assert not any((tmp_path / "work").iterdir())


def test_a_failing_command_says_why_and_exits_with_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(_ROOT / "handler.py"), "--test_input", '{"input": {"video_url": "nowhere.mp4"}}'],
        cwd=_ROOT,
        env={**os.environ, "UNDERSTUDY_OUTPUTS": str(tmp_path / "outputs")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1 and "no such file" in done.stdout + done.stderr
    assert not (tmp_path / "outputs").exists()


def test_help_and_a_wrong_setting_load_no_model() -> None:
    shown = subprocess.run(
        [sys.executable, "handler.py", "--help"], cwd=_ROOT, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0
    for word in ("preset=NAME", "preview", "--test_input", "--rp_serve_api", "UNDERSTUDY_WEIGHTS", "segment.count"):
        assert word in shown.stdout
    wrong = subprocess.run(
        [sys.executable, "handler.py", "segment.count=99"], cwd=_ROOT, capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 2 and "segment.count" in wrong.stderr


def test_arguments_are_parted() -> None:
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
    assert arguments.locked == ("output.codec", "segment.count") and arguments.is_local
    served = parse_arguments(["handler.py", "--rp_serve_api"], {})
    assert served is not None and not served.is_local
    shortened = parse_arguments(["handler.py", "--rp_serve"], {})
    assert shortened is not None and not shortened.is_local


@pytest.mark.parametrize("words", [["{bad"], ["[]"], ["{}"], ["5"], []])
def test_a_test_input_that_is_no_job_is_told(words: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_arguments(["handler.py", "--test_input", *words], {})
    assert caught.value.field == "--test_input"


def test_a_slow_server_is_left_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_ALLOW_PRIVATE_DOWNLOAD_URLS", "1")
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        # Where the client never comes, the thread still ends, and with it the test.
        server.settimeout(20.0)
        with contextlib.suppress(OSError), server.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not over.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        # Were the deadline not seen while a chunk fills, only this would end the server and the test.
        guard = threading.Timer(20.0, over.set)
        guard.start()
        try:
            with pytest.raises(DownloadTimeout):
                fetch(
                    f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4",
                    tmp_path / "source",
                    field="video_url",
                    max_bytes=10**6,
                    seconds=0.5,
                    local_paths=False,
                    check=lambda: None,
                )
            assert not over.is_set()
        finally:
            guard.cancel()
            over.set()
            thread.join()


def test_a_result_that_is_no_json_leaves_nothing(tmp_path: Path) -> None:
    made = tmp_path / "work" / "result.mp4"
    made.parent.mkdir()
    made.write_bytes(b"x")
    with pytest.raises(ValueError):
        deliver_locally(JobResult(made, {}, {"duration_s": float("nan")}), tmp_path / "outputs", "job")
    assert not any((tmp_path / "outputs").iterdir())


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
        ({"video_url": "http://capture.invalid/a.mp4"}, "URL_REJECTED", "video_url"),
        ({"video_url": "a" * 1000}, "URL_REJECTED", "video_url"),
        ({"video_url": "~nobody_of_this_name/a.mp4"}, "URL_REJECTED", "video_url"),
        ({"video_url": "a.mp4", "preset": "nope"}, "INVALID_INPUT", "preset"),
        ({"video_url": "a.mp4", "overrides": {"limits.max_frames": 9}}, "INVALID_INPUT", "overrides.limits.max_frames"),
    ],
)
def test_bad_requests_have_their_code(arguments: Arguments, request_: object, code: str, field: str) -> None:
    answer = _run(arguments, request_)
    assert answer["error_code"] == code and answer["field"] == field and answer["error"]
    assert _nothing_left(arguments)


def test_bad_clips_have_their_code_and_leave_nothing(arguments: Arguments, tmp_path: Path) -> None:
    text = tmp_path / "page.mp4"
    text.write_text("<html></html>")
    assert _run(arguments, {"video_url": str(text)})["error_code"] == "UNSUPPORTED_MEDIA"
    assert _run(arguments, {"video_url": str(_video(tmp_path / "empty.mp4"))})["error_code"] == "NO_PERSON"
    assert _run(arguments, {"video_url": str(_video(tmp_path / "one.mp4", 1))})["error_code"] == "NO_PERSON"
    long = Arguments(None, ("limits.max_frames=20",), (), arguments.outputs, True, ())
    assert _run(long, {"video_url": str(_WALK)})["error_code"] == "TOO_LARGE"
    small = Arguments(None, ("limits.max_side_px=320",), (), arguments.outputs, True, ())
    assert _run(small, {"video_url": str(_WALK)})["error_code"] == "TOO_LARGE"
    assert _nothing_left(arguments)


def test_bad_references_have_their_code(arguments: Arguments, tmp_path: Path) -> None:
    nobody = tmp_path / "wall.png"
    cv2.imwrite(str(nobody), np.full((300, 200, 3), 120, np.uint8))
    suit = cv2.imread(str(_ROOT / "assets" / "suit.png"), cv2.IMREAD_COLOR)
    assert suit is not None
    two = tmp_path / "two.png"
    cv2.imwrite(str(two), np.hstack([suit, suit]))
    noise = tmp_path / "noise.png"
    noise.write_bytes(b"no picture")
    for picture, code in ((nobody, "INVALID_INPUT"), (two, "INVALID_INPUT"), (noise, "UNSUPPORTED_MEDIA")):
        answer = _run(arguments, {"video_url": str(_WALK), "reference_image_url": str(picture)})
        assert (answer["error_code"], answer["field"]) == (code, "reference_image_url"), picture.name
    assert _nothing_left(arguments)


def test_a_job_from_outside_may_not_name_paths(arguments: Arguments) -> None:
    outside = Arguments(None, (), (), arguments.outputs, False, ())
    assert _run(outside, {"video_url": str(_WALK)})["error_code"] == "INVALID_INPUT"
    assert _nothing_left(arguments)


def test_a_cancelled_job_ends_before_the_next_may_start(arguments: Arguments) -> None:
    async def cancel_soon() -> None:
        job = asyncio.ensure_future(handler.make_handler(arguments)({"id": "c", "input": {"video_url": str(_WALK)}}))
        await asyncio.sleep(1.0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(cancel_soon())
    assert _nothing_left(arguments)


def test_a_bug_tells_the_caller_a_number_and_no_more(arguments: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("https://bucket/x?Signature=abc")

    monkeypatch.setattr(handler, "run_job", broken)
    answer = _run(arguments, {"video_url": str(_WALK)})
    assert answer["error_code"] == "INTERNAL" and "Signature" not in json.dumps(answer)
    assert _nothing_left(arguments)


def test_the_same_job_again_replaces_its_result(arguments: Arguments) -> None:
    request = {"video_url": str(_WALK), "start_s": 2.0, "end_s": 2.2}
    first = _run(arguments, request)
    bytes_of_first = Path(first["video_url"]).read_bytes()
    second = _run(arguments, {**request, "artifacts": ["mask"]})
    assert second["video_url"] == first["video_url"]
    assert Path(second["video_url"]).read_bytes() == bytes_of_first
    assert {path.name for path in Path(first["video_url"]).parent.iterdir()} == {
        "result.mp4",
        "result.json",
        "mask.mkv",
    }
    shutil.rmtree(arguments.outputs)
    assert _nothing_left(arguments)
