"""The endpoint's API, as used by a job that shares its chunks; its refusals end no job."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.card_worker import models_of, write_clip
from tests.support.endpoint_server import API_KEY, endpoint_server
from tests.support.job_runner import Runner
from tests.support.s3_server import s3_server
from worker.fan_out.endpoint import EndpointCalls, EndpointFailed, OwnEndpoint, read_endpoint


def test_the_endpoint_is_read_from_the_environment_and_shows_no_key() -> None:
    found = read_endpoint({"RUNPOD_ENDPOINT_ID": "abc", "RUNPOD_API_KEY": "the-key"})
    assert found == OwnEndpoint("https://api.runpod.ai/v2/abc", "the-key") and "the-key" not in repr(found)
    assert read_endpoint({"RUNPOD_ENDPOINT_ID": "abc"}) is None and read_endpoint({"RUNPOD_API_KEY": "k"}) is None


def test_calls_are_tried_again_where_that_helps() -> None:
    with endpoint_server(
        lambda job, body: [{"status": "IN_PROGRESS"}, {"status": "COMPLETED", "output": {}}]
    ) as server:
        calls = EndpointCalls(OwnEndpoint(f"{server.url}/ep1", API_KEY), threading.Event())
        server.refusals = [429, 503]
        job = calls.send({"chunk": "x"}, 60, 60)
        assert server.jobs[job]["policy"] == {"executionTimeout": 60_000, "ttl": 60_000}
        calls.cancel(job)
        assert server.cancelled == [job] and calls.status(job)[0] == "CANCELLED"
        with pytest.raises(EndpointFailed, match="404"):
            calls.status("none")
        calls.close()
        refused = EndpointCalls(OwnEndpoint(f"{server.url}/ep1", "wrong"), threading.Event())
        with pytest.raises(EndpointFailed, match="401"):
            refused.send({}, 60, 60)
        refused.close()


def test_a_job_whose_endpoint_refuses_continues_alone(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 4)
    with s3_server(tmp_path / "s3") as bucket, endpoint_server(lambda job, body: [{"status": "IN_QUEUE"}]) as server:
        runner = Runner(
            tmp_path,
            overrides=("segment.chunk_seconds=0.5", "segment.count=1"),
            environment={
                **bucket.environment,
                "RUNPOD_ENDPOINT_ID": "ep1",
                "RUNPOD_ENDPOINT_BASE_URL": server.url,
            },
            models=models_of(0.2),
        )
        # The runner's key is not the one that the endpoint wants.
        answer = runner.answer({"video_url": str(clip), "fan_out": 3, "preset": "preview"})
        assert answer["frames_replaced"] == 20, answer
        assert answer["fan_out"] == {"workers": 3, "chunks_here": 4, "chunks_elsewhere": 0, "chunks_taken_over": 0}
        assert any("401" in warning for warning in answer["warnings"]), answer["warnings"]
        assert not any("fan_out" in name for name in bucket.names())
