"""Hostile jobs through the handler: what a caller sends, and what breaks while a job runs.

Fetching is in ``source/test_fetch.py``, delivery in ``delivery/``, full disks in ``test_full_disks.py``, cancelling in
``test_cancel.py``, the platform in ``test_job_api.py``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

import handler
from pipeline.errors import GpuError, OutOfMemory
from pipeline.media import encode
from pipeline.models.fakes import FailingGenerator
from tests.support.http_server import http_server
from tests.support.job_runner import SECRET, WALK, WALK_SMALL, Runner, good_job
from tests.support.models import models_with
from tests.support.s3_server import s3_server
from worker import answer as answering
from worker.command_line import Arguments
from worker.environment import read_worker_settings
from worker.models import ModelKeeper

_NAN = float("nan")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize("asked", [None, [], ["video_url"], "video_url", {}, 5, True])
def test_invalid_inputs_are_refused(runner: Runner, asked: object) -> None:
    runner.fails(asked, "INVALID_INPUT", "input")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nope": "geheim"}, "nope"),
        ({"seed": "geheim"}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"start_s": _NAN}, "start_s"),
        ({"end_s": float("inf")}, "end_s"),
        ({"start_s": -1.0}, "start_s"),
        ({"prompt": "geheim" * 2000}, "prompt"),
        ({"prompt": "geheim\0"}, "prompt"),
        ({"video_url": "geheim\0.mp4"}, "video_url"),
        ({"video_url": 5}, "video_url"),
        ({"artifacts": "geheim"}, "artifacts"),
        ({"artifacts": ["geheim"]}, "artifacts"),
        ({"subject": {"x": 1, "y": 2}}, "subject"),
        ({"overrides": {"segment.count": "geheim"}}, "overrides.segment.count"),
        ({"overrides": {"segment.count": 99}}, "overrides.segment.count"),
        ({"overrides": {"segment.count": [3]}}, "overrides.segment.count"),
        ({"upload_url": ""}, "upload_url"),
        ({"inline": "geheim"}, "inline"),
        # Names of presets that are paths, or no names.
        ({"preset": "../../geheim"}, "preset"),
        ({"preset": "/etc"}, "preset"),
        ({"preset": 5}, "preset"),
        ({"preset": ["preview"]}, "preset"),
        # Overrides that reach for more than settings.
        ({"overrides": {"_target_": "os.system"}}, "overrides._target_"),
        ({"overrides": {"segment.count": "${oc.env:RUNPOD_API_KEY}"}}, "overrides.segment.count"),
        ({"overrides": {"output.codec": "${oc.env:RUNPOD_API_KEY}"}}, "overrides.output.codec"),
        ({"overrides": {"hydra.run.dir": "/"}}, "overrides.hydra.run.dir"),
        ({"overrides": {"+x": 1}}, "overrides.+x"),
        ({"overrides": {"~segment": 1}}, "overrides.~segment"),
        ({"overrides": {"segment.count": "1,2,3"}}, "overrides.segment.count"),
        ({"overrides": {"limits.max_frames": 10**9}}, "overrides.limits.max_frames"),
    ],
)
def test_an_invalid_request_names_its_field_and_repeats_no_value(
    runner: Runner, change: dict[str, Any], field: str
) -> None:
    answer = runner.fails({**good_job(), **change}, "INVALID_INPUT")
    assert answer["field"].startswith(field)
    assert "geheim" not in json.dumps(answer).replace(f'"{answer["field"]}"', "")
    assert "geheim" not in runner.log
    if field == "preset" and isinstance(change["preset"], str):
        assert "preview" in answer["error"]


def test_a_clip_that_is_too_large(tmp_path: Path, runner: Runner) -> None:
    for name, size, rate in (("side", (16384, 16), 30), ("square", (5000, 5000), 30), ("fast", (64, 64), 1000)):
        path = tmp_path / f"{name}.mp4"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
            (stream.width, stream.height) = size
            stream.pix_fmt = "yuv420p"
            for number in range(6):
                picture = np.full((size[1], size[0], 3), number, np.uint8)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode(None))
        runner.fails({"video_url": str(path)}, "TOO_LARGE", "video_url")
    Runner(tmp_path, overrides=("limits.max_bytes=1000",)).fails({"video_url": str(WALK)}, "TOO_LARGE", "video_url")


def test_truncated_and_damaged_clips_are_processed_as_far_as_possible(tmp_path: Path, runner: Runner) -> None:
    whole = WALK_SMALL.read_bytes()
    beginning = tmp_path / "beginning.mp4"
    beginning.write_bytes(whole[: len(whole) // 3])
    answer = runner.answer({"video_url": str(beginning), "end_s": 0.3})
    assert answer["frames"] == 9
    truncated, *others = answer["warnings"]
    assert truncated == "The file is truncated: the part that is there is used."
    # In 0.3 s the subject uncovers next to nothing of what they hide.
    assert all("never shown by any frame" in warning for warning in others)
    noise = bytearray(whole)
    noise[len(whole) // 2 : len(whole) // 2 + 3000] = bytes(3000)
    middle = tmp_path / "middle.mp4"
    middle.write_bytes(noise)
    answer = runner.answer({"video_url": str(middle), "start_s": 1.1, "end_s": 1.5})
    assert answer["frames"] == 12


def _with_generator(runner: Runner, generator: FailingGenerator) -> Runner:
    return replace(runner, models=ModelKeeper(lambda settings, kept: models_with(generator, settings)))


def test_out_of_memory_is_retried_once_with_less(runner: Runner) -> None:
    made = FailingGenerator([OutOfMemory("full")])
    assert _with_generator(runner, made).answer(good_job())["frames_replaced"] == 6 and made.halved == 1
    for errors, can_use_less in (([OutOfMemory("full"), OutOfMemory("full")], True), ([OutOfMemory("full")], False)):
        failing = FailingGenerator(errors, can_use_less)  # type: ignore[arg-type]
        answer = _with_generator(runner, failing).answer(good_job(), "again")
        assert answer["error_code"] == "OUT_OF_MEMORY" and answer["refresh_worker"] is True
        assert failing.halved == 1


def test_a_failing_device_requests_a_new_worker(runner: Runner) -> None:
    failing = FailingGenerator([GpuError("the generator gave values that are not finite")])
    answer = _with_generator(runner, failing).fails(good_job(), "GPU_ERROR")
    assert answer["refresh_worker"] is True and failing.halved == 0
    runner.does_a_good_job()


def test_the_encoder_fails(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise av.error.ExternalError(542398533, "Generic error in an external library")

    with monkeypatch.context() as patch:
        patch.setattr(encode, "_open_output", broken, raising=True)
        runner.fails(good_job(), "ENCODE_FAILED")
    runner.does_a_good_job()


def test_a_hanging_encoder_replaces_the_worker_and_the_caller_gets_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def hanging(*_: object, check: Any, progress: Any, **__: object) -> None:
        check()
        progress("finish", 1, 10)
        over.wait(60)

    monkeypatch.setattr(answering, "run_job", hanging)
    runner = Runner(tmp_path, environment={"UNDERSTUDY_STALL_SECONDS": "4"})

    async def job() -> dict[str, Any]:
        worker = read_worker_settings(runner.variables, "local")
        answer: dict[str, Any] = await handler.make_handler(Arguments(None, (), (), "local", ()), worker)(
            {"id": "h", "input": good_job()}
        )
        over.set()
        return answer

    answer = asyncio.run(job())
    assert answer["error_code"] == "ENCODE_FAILED" and answer["refresh_worker"] is True


def test_a_bucket_that_is_half_set_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="is incomplete") as caught:
        read_worker_settings({"BUCKET_NAME": "b", "BUCKET_ACCESS_KEY_ID": "k"}, "platform")
    assert caught.value.field == "BUCKET_ENDPOINT_URL"  # type: ignore[attr-defined]


def test_the_same_job_goes_to_the_same_key(tmp_path: Path) -> None:
    with s3_server(tmp_path / "store") as store:
        runner = Runner(
            tmp_path, "platform", environment={**store.environment, "UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"}
        )
        with http_server({"/a.mp4": WALK_SMALL.read_bytes()}) as server:
            asked = {**good_job(), "video_url": server.url("/a.mp4")}
            first, second = runner.answer(asked, "same"), runner.answer(asked, "same")
            assert first["video_url"].partition("?")[0] == second["video_url"].partition("?")[0]
            assert "understudy/same/result.mp4" in first["video_url"]
            refused = Runner(
                tmp_path,
                "platform",
                environment={**runner.environment, "BUCKET_SECRET_ACCESS_KEY": "wrong-secret-key"},
            ).answer(asked, "same")
            assert refused["error_code"] == "UPLOAD_FAILED" and "video_url" not in refused
            assert "wrong-secret-key" not in json.dumps(refused)
        assert not runner.left()


def test_a_result_over_the_payload_limit_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Runner(tmp_path, "local", environment={"UNDERSTUDY_INLINE_MAX": "0M"})
    small.fails(good_job(inline=True), "RESULT_TOO_LARGE", "inline")
    monkeypatch.setattr("worker.delivery.local.ANSWER_MAX_BYTES", 1000)
    Runner(tmp_path).fails(good_job(inline=True), "RESULT_TOO_LARGE")


def test_consecutive_jobs_do_not_affect_each_other(runner: Runner) -> None:
    process = psutil.Process()
    runner.does_a_good_job()
    first = runner.does_a_good_job()
    gc.collect()
    files = process.num_fds()
    threads = threading.active_count()
    for asked in ({}, {"video_url": "x.mp4"}, {"video_url": str(WALK), "end_s": 0.0001, "start_s": 0.00001}, None):
        assert "error_code" in runner.answer(asked)
    runner.answer({"video_url": str(WALK_SMALL), "subject": 7, "end_s": 0.3})
    last = runner.does_a_good_job()
    gc.collect()
    assert process.num_fds() <= files + 2 and threading.active_count() <= threads + 2
    for each in (first, last):
        del each["timings_s"]
    assert first == last


def test_a_clip_without_people_or_without_the_chosen_subject_is_an_error(runner: Runner) -> None:
    runner.fails({"video_url": str(WALK.with_name("plate.mp4")), "end_s": 0.2}, "NO_PERSON")
    runner.fails({**good_job(), "subject": 5}, "INVALID_INPUT", "subject")
    runner.fails({**good_job(), "subject": {"x": 1.0, "y": 1.0, "at_s": 0.0}}, "INVALID_INPUT", "subject")


def test_without_a_network_only_fetching_fails(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", cut)
    monkeypatch.setattr(socket, "create_connection", cut)
    monkeypatch.setattr("worker.retrying.FIRST_PAUSE_SECONDS", 0.01)
    Runner(runner.folder, environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"}).fails(
        {"video_url": "http://127.0.0.1:9/a.mp4"}, "DOWNLOAD_FAILED", "video_url", then_good=True
    )
    assert SECRET not in runner.log
