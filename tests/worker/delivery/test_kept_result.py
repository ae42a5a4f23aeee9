"""An undelivered result is found again by the same job, complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import JobTimeout, NoSpace, UploadFailed
from pipeline.result import JobResult
from tests.support.http_server import http_server
from tests.support.job_runner import WALK_SMALL, Runner, good_job
from tests.support.put_server import put_server
from tests.support.report_job import made_facts
from worker import answer as answering
from worker.delivery.kept_result import find_kept, kept_if_undelivered

_REPORT = made_facts(frames=3, warnings=["w"])


def _made(folder: Path) -> JobResult:
    folder.mkdir()
    for name in ("result.mp4", "mask.mkv", "plate_0000.png"):
        (folder / name).write_bytes(name.encode() * 50)
    artifacts = {"mask": [folder / "mask.mkv"], "plate": [folder / "plate_0000.png"]}
    return JobResult(folder / "result.mp4", artifacts, _REPORT)


def _fail(result: JobResult, passes: Path, error: type[Exception] = UploadFailed) -> None:
    with pytest.raises(error), kept_if_undelivered(result, passes, ("mask", "plate")):
        raise error("no")


@pytest.mark.parametrize("error", [UploadFailed, NoSpace, JobTimeout])
def test_an_undelivered_result_is_found_again(tmp_path: Path, error: type[Exception]) -> None:
    passes = tmp_path / "passes"
    passes.mkdir()
    _fail(_made(tmp_path / "made"), passes, error)
    for _ in range(2):
        found = find_kept(passes, ("plate", "mask"))
        assert found is not None and found.video is not None and found.report == _REPORT
        assert found.video.read_bytes() == b"result.mp4" * 50
        assert {name: [path.name for path in paths] for name, paths in found.artifacts.items()} == {
            "mask": ["mask.mkv"],
            "plate": ["plate_0000.png"],
        }
        # Failing again leaves it there.
        _fail(found, passes)
    assert find_kept(passes, ("mask",)) is None and find_kept(passes, ("plate", "mask")) is not None


def test_after_another_error_nothing_is_kept(tmp_path: Path) -> None:
    result = _made(tmp_path / "made")
    with pytest.raises(ValueError, match="no"), kept_if_undelivered(result, tmp_path / "passes", ()):
        raise ValueError("no")
    assert not (tmp_path / "passes").exists() and find_kept(tmp_path / "passes", ()) is None


@pytest.mark.parametrize("name", ["result.mp4", "mask.mkv", "plate_0000.png", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_result_is_not_used(tmp_path: Path, name: str, damage: str) -> None:
    passes = tmp_path / "passes"
    passes.mkdir()
    _fail(_made(tmp_path / "made"), passes)
    path = passes / "undelivered" / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    if damage == "remove":
        path.unlink()
    assert find_kept(passes, ("mask", "plate")) is None


def test_a_full_state_folder_leaves_the_jobs_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.delivery.kept_result.shutil.move", full)
    passes = tmp_path / "passes"
    passes.mkdir()
    _fail(_made(tmp_path / "made"), passes)
    assert not list(passes.iterdir())


def test_the_same_job_again_only_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    environment = {"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1", "UNDERSTUDY_STATE_DIR": str(state)}
    runner = Runner(tmp_path, "platform", environment=environment)
    with http_server({"/a.mp4": WALK_SMALL.read_bytes()}) as clips, put_server(403, 200) as server:
        asked = {**good_job(), "video_url": clips.url("/a.mp4"), "upload_url": server.url + "/r?Signature=1"}
        refused = runner.answer(asked, "a")
        assert refused["error_code"] == "UPLOAD_FAILED" and list(state.rglob("undelivered/result.mp4"))

        def again(*_: object, **__: object) -> None:
            raise AssertionError("the work is done again")

        monkeypatch.setattr(answering, "run_job", again)
        delivered = runner.answer(asked, "b")
    assert delivered["frames_replaced"] == 6
    assert server.received[0].body == server.received[1].body
    assert not list(state.rglob("*.mp4"))
