"""A job shared by four worker processes, of which one is killed and one stalls: the same bytes as alone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks.card_worker import models_of
from conf import compose_settings
from pipeline.request import JobRequest
from pipeline.run import run_job
from tests.support.card_workers import OVERRIDES, card_workers
from tests.support.job_api import wait_until

CHUNKS = 12


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of the same clip, done by one."""
    from benchmarks.card_worker import write_clip

    folder = tmp_path_factory.mktemp("alone")
    clip = write_clip(folder / "clip.mp4", CHUNKS)
    settings = compose_settings("preview", OVERRIDES[1:])
    result = run_job(JobRequest(clip, folder / "out"), settings, models_of(0.0).load(settings), folder / "work")
    assert result.video is not None and len(list((folder / "work" / "layers").iterdir())) == CHUNKS
    return result.video.read_bytes()


def test_one_worker_dies_and_one_stalls_and_the_bytes_are_the_same(tmp_path: Path, alone: bytes) -> None:
    with card_workers(tmp_path, 4, CHUNKS, 0.7, UNDERSTUDY_LATE_SECONDS="4") as group:
        api = group.api
        api.give("big", {"video_url": group.clip_url, "fan_out": 4})
        wait_until(lambda: "big" in api.taken_by, "nobody takes the job")
        others = {name for name in group.workers if name != api.taken_by["big"]}

        def at_work() -> list[str]:
            return [
                api.taken_by[job]
                for job, state in api.states.items()
                if job != "big" and state["status"] == "IN_PROGRESS" and job in api.taken_by
            ]

        wait_until(lambda: set(at_work()) == others, "the chunks are not shared")
        killed, stalled, _ = sorted(others)
        group.workers[killed].process.send_signal(signal.SIGKILL)
        group.workers[stalled].process.send_signal(signal.SIGSTOP)
        try:
            output = api.wait_for("big")["output"]
        finally:
            group.workers[stalled].process.send_signal(signal.SIGCONT)
        shared = output["fan_out"]
        assert shared["workers"] == 4 and shared["chunks_here"] + shared["chunks_elsewhere"] == CHUNKS
        assert shared["chunks_elsewhere"] > 0 and shared["chunks_taken_over"] >= 2
        assert group.result("big").read_bytes() == alone
        # Only the result is left in the bucket, and no chunk is still requested.
        wait_until(lambda: not any("fan_out" in name for name in group.bucket.names()), "chunks stay in the bucket")
        left = [j for j, state in api.states.items() if j != "big" and state["status"] in ("IN_QUEUE", "IN_PROGRESS")]
        assert left == []


def test_a_cancelled_job_takes_its_chunks_with_it(tmp_path: Path) -> None:
    with card_workers(tmp_path, 2, 4, 3.0) as group:
        api = group.api
        api.give("big", {"video_url": group.clip_url, "fan_out": 2})
        wait_until(lambda: any(job.startswith("sent") for job in api.taken_by), "the chunks are not shared")
        sent = [job for job in api.states if job.startswith("sent")]
        api.stop("big")
        wait_until(lambda: set(sent) <= set(api.cancelled), "chunks are not cancelled")
        wait_until(lambda: not any("fan_out" in name for name in group.bucket.names()), "chunks stay in the bucket")
        # Both workers do the next job.
        api.give("next", {"video_url": group.clip_url, "start_s": 0.0, "end_s": 0.5})
        assert api.wait_for("next")["output"]["frames_replaced"] == 5
