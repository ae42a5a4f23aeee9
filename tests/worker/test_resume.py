"""Killed jobs resume; kept files are never trusted blindly, and never kept for long."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from conf import compose_settings
from pipeline.errors import Cancelled, NoPerson, UploadFailed
from pipeline.request import FurtherSubject, JobRequest
from tests.support.job_api import wait_until
from tests.support.job_runner import ROOT, WALK, WALK_SMALL, Runner, good_job
from worker.environment import WorkerEnvironment, read_worker_settings
from worker.job_folder import job_workspace, locked, remove_abandoned
from worker.logs import Redactor
from worker.resume import job_key, resumable_folder


@pytest.fixture
def worker(tmp_path: Path) -> WorkerEnvironment:
    return read_worker_settings({"UNDERSTUDY_STATE_DIR": str(tmp_path / "state")}, "local")


def _kept(worker: WorkerEnvironment, key: str) -> Path:
    assert worker.state_dir is not None
    return worker.state_dir / "understudy" / key


def test_finished_passes_are_kept_after_transient_errors(worker: WorkerEnvironment, tmp_path: Path) -> None:
    for error, stays in (
        (UploadFailed("x"), True),
        (Cancelled("x"), False),
        (NoPerson("x"), False),
        (RuntimeError(), False),
        (KeyboardInterrupt(), True),
        (None, False),
    ):
        try:
            with resumable_folder(worker, "k", tmp_path / "scratch") as passes:
                (passes / "done").touch()
                if error is not None:
                    raise error
        except BaseException as raised:
            assert raised is error
        assert _kept(worker, "k").exists() == stays
        if stays:
            with resumable_folder(worker, "k", tmp_path / "scratch") as passes:
                assert (passes / "done").exists()


def test_one_job_at_a_time_has_the_folder_and_without_one_there_is_scratch(
    worker: WorkerEnvironment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), resumable_folder(worker, "k", tmp_path / "a") as first:
        with resumable_folder(worker, "k", tmp_path / "b") as second:
            assert (first, second) == (_kept(worker, "k"), tmp_path / "b")
        assert first.exists() and "is running elsewhere" in caplog.text
    with resumable_folder(replace(worker, state_dir=None), "k", tmp_path / "a") as passes:
        assert passes == tmp_path / "a"
    file = tmp_path / "file"
    file.touch()
    with resumable_folder(replace(worker, state_dir=file), "k", tmp_path / "a") as passes:
        assert passes == tmp_path / "a"


def test_old_and_large_states_go_and_locked_ones_stay(worker: WorkerEnvironment, tmp_path: Path) -> None:
    small = replace(worker, state_max_bytes=250)
    for age, key in ((10, "a"), (20, "b"), (30, "c"), (90_000, "old"), (91_000, "locked")):
        folder = _kept(worker, key)
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(bytes(100))
        os.utime(folder, (time.time() - age,) * 2)
    with locked(_kept(worker, "locked.lock")), resumable_folder(small, "new", tmp_path / "s"):
        left = {path.name for path in _kept(worker, "").iterdir() if path.is_dir()}
    assert left == {"a", "b", "locked", "new"}


def test_the_key_is_of_all_that_decides_the_bytes(tmp_path: Path) -> None:
    settings = compose_settings("preview")
    wanted = JobRequest(WALK, tmp_path)
    same = replace(wanted, output_dir=tmp_path / "elsewhere", artifacts=("mask",))
    assert job_key(WALK, wanted, settings, "replace") == job_key(WALK, same, settings, "replace")
    # So large that numpy prints only its rim.
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[50, 50] = 1
    keys = {
        job_key(*each)
        for each in (
            (WALK, wanted, settings, "replace"),
            (WALK, wanted, settings, "frame"),
            (WALK.with_name("plate.mp4"), wanted, settings, "replace"),
            (WALK, replace(wanted, seed=1), settings, "replace"),
            (WALK, replace(wanted, end_s=1.0), settings, "replace"),
            (WALK, replace(wanted, reference=np.zeros((2, 3, 3), np.uint8)), settings, "replace"),
            (WALK, replace(wanted, reference=np.zeros((3, 2, 3), np.uint8)), settings, "replace"),
            (WALK, replace(wanted, more_references=(picture, picture)), settings, "replace"),
            (WALK, replace(wanted, more_references=(picture, 1 - picture)), settings, "replace"),
            (WALK, replace(wanted, further_subjects=(FurtherSubject(1, reference=picture),)), settings, "replace"),
            (WALK, replace(wanted, further_subjects=(FurtherSubject(1, reference=1 - picture),)), settings, "replace"),
            (WALK, replace(wanted, further_subjects=(FurtherSubject(1, seed=2),)), settings, "replace"),
            (WALK, wanted, compose_settings("preview", ("segment.count=3",)), "replace"),
        )
    }
    assert len(keys) == 13


def test_a_damaged_checkpoint_is_recreated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    runner = Runner(tmp_path, environment={"UNDERSTUDY_STATE_DIR": str(tmp_path / "state")})
    first = Path(runner.answer(good_job())["video_url"]).read_bytes()
    assert not list((tmp_path / "state").rglob("*.zip"))
    # A job that fails in its last pass leaves all the others.
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.run.finish", fails)
        assert runner.answer(good_job())["error_code"] == "OUT_OF_MEMORY"
    files = sorted(path for path in (tmp_path / "state").rglob("*") if path.suffix in (".zip", ".png", ".npz"))
    assert {"survey.zip", "masks.zip", "plan.zip", "chunk_0000.zip", "plates.npz"} <= {path.name for path in files}
    for path in files:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    assert Path(runner.answer(good_job())["video_url"]).read_bytes() == first
    # Survey, plan, light, plates and the chunk.
    assert runner.log.count("damaged checkpoint is made again") >= 5


def test_a_killed_job_resumes_and_gives_the_same_bytes(tmp_path: Path) -> None:
    asked = f'{{"input": {{"video_url": "{WALK_SMALL}", "start_s": 1.0, "end_s": 2.2}}}}'
    words = ["segment.chunk_seconds=0.4", "segment.count=1", "--test_input", asked]

    def start(name: str) -> subprocess.Popen[bytes]:
        own = {f"UNDERSTUDY_{each}": str(tmp_path / name / each.lower()) for each in ("OUTPUTS", "WORK", "STATE_DIR")}
        return subprocess.Popen(
            [sys.executable, "handler.py", *words],
            cwd=ROOT,
            env={**os.environ, **own},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    undisturbed = start("whole")
    try:
        for sign in ("survey.zip", "plates/plates.npz", "layers/chunk_0001.zip"):
            process = start("killed")
            try:
                # A finished job has removed its state: then it was too quick to be killed there, which is as good.
                wait_until(partial(_is_there_or_over, tmp_path / "killed" / "state_dir", sign, process), sign)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(30)
        assert start("killed").wait(120) == 0
        assert undisturbed.wait(120) == 0
    finally:
        undisturbed.kill()
    results = [(tmp_path / name / "outputs" / "local_test" / "result.mp4").read_bytes() for name in ("whole", "killed")]
    assert results[0] == results[1]
    assert not list((tmp_path / "killed" / "state_dir").rglob("*.zip"))
    # Killed jobs could not tidy up after themselves; the next run does.
    assert not list((tmp_path / "killed" / "work").iterdir())


def _is_there_or_over(folder: Path, sign: str, process: subprocess.Popen[bytes]) -> bool:
    return bool(list(folder.rglob(sign))) or process.poll() is not None


def test_a_running_jobs_folder_is_not_abandoned(tmp_path: Path) -> None:
    with job_workspace(tmp_path, "a") as folder:
        (folder / "x").touch()
        assert remove_abandoned(tmp_path) == 0 and (folder / "x").exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "gone", "stays"),
    [
        (
            "GET https://me:word@host.example/a/b?Signature=abc&x=1#frag failed",
            ["word", "abc", "frag"],
            "host.example/a/b",
        ),
        ("X-Amz-Signature=deadbeef", ["deadbeef"], "X-Amz-Signature"),
        ('{"Authorization": "Bearer abcdef"}', ["abcdef"], "Authorization"),
        ("key is hunter22 indeed", ["hunter22"], "indeed"),
        ("s3://bucket/key and /etc/ssl/cert.pem", [], "/etc/ssl/cert.pem"),
    ],
)
def test_secrets_do_not_reach_the_log(text: str, gone: list[str], stays: str) -> None:
    redacted = Redactor({"MY_API_KEY": "hunter22", "SSL_CERT_KEYFILE": "/etc/ssl/cert.pem", "SHORT_KEY": "ab"})(text)
    assert stays in redacted and not any(word in redacted for word in gone)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "NO_SPACE"),
        (OSError("4096 requested and 12 written"), "NO_SPACE"),
        (OSError(errno.EROFS, "Read-only file system"), "NO_SPACE"),
        (MemoryError(), "OUT_OF_MEMORY"),
    ],
)
def test_finished_passes_are_kept_when_disk_or_memory_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.run.plate_clip", fails)
    runner = Runner(tmp_path, environment={"UNDERSTUDY_STATE_DIR": str(tmp_path / "state")})
    answer = runner.answer(good_job())
    assert answer["error_code"] == code
    kept = {path.name for path in (tmp_path / "state").rglob("*.zip")}
    assert kept >= {"survey.zip", "masks.zip", "plan.zip"}
    monkeypatch.undo()
    assert runner.answer(good_job())["frames_replaced"] > 0
    assert "resuming from the checkpoints of an earlier attempt" in runner.log


def test_a_vanished_state_folder_is_reported_as_a_disk_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"

    def goes_away(*_: object, **__: object) -> None:
        shutil.rmtree(state)
        (state / "understudy" / "x").write_bytes(b"")

    monkeypatch.setattr("pipeline.run.estimate_lighting", goes_away)
    runner = Runner(tmp_path, environment={"UNDERSTUDY_STATE_DIR": str(state)})
    assert runner.answer(good_job())["error_code"] == "NO_SPACE"
