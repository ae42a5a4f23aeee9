"""Several worker processes with simulated GPUs, on one stand-in for RunPod, with one bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.card_worker import write_clip
from tests.support.http_server import http_server
from tests.support.job_api import JobApi, Worker, job_api, wait_until, worker_process
from tests.support.job_runner import SECRET
from tests.support.s3_server import S3Server, s3_server

OVERRIDES = ("preset=preview", "segment.chunk_seconds=0.5", "segment.count=1", "output=lossless")


@dataclass(frozen=True)
class CardWorkers:
    """The workers by the names under which they take jobs, and what they talk to."""

    api: JobApi
    bucket: S3Server
    workers: dict[str, Worker]
    clip: Path
    clip_url: str

    def result(self, job_id: str) -> Path:
        """Return the video that a job put into the bucket."""
        [found] = (self.bucket.folder / self.bucket.bucket / "understudy" / job_id).glob("result.*")
        return found

    def worker_of(self, job_id: str) -> Worker:
        return self.workers[self.api.taken_by[job_id]]


@contextmanager
def card_workers(
    folder: Path, count: int, chunks: int, card_seconds: float, **environment: Any
) -> Iterator[CardWorkers]:
    """Start ``count`` workers whose cards take ``card_seconds`` a chunk, and wait until all ask for jobs."""
    clip = write_clip(folder / "clip.mp4", chunks)
    with ExitStack() as opened:
        api = opened.enter_context(job_api())
        bucket = opened.enter_context(s3_server(folder / "s3"))
        clips = opened.enter_context(http_server({"/clip.mp4": clip.read_bytes()}))
        common = {
            **bucket.environment,
            "UNDERSTUDY_OVERRIDES": " ".join(OVERRIDES),
            "UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1",
            "RUNPOD_API_KEY": SECRET,
            "RUNPOD_ENDPOINT_BASE_URL": f"http://127.0.0.1:{api.port}/v2",
            "CARD_SECONDS": str(card_seconds),
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        workers = {
            f"pod-{number}": opened.enter_context(
                worker_process(
                    folder / f"pod-{number}",
                    {**api.environment(), **common, "RUNPOD_POD_ID": f"pod-{number}"},
                    program=("-m", "benchmarks.card_worker"),
                )
            )
            for number in range(count)
        }
        for name, worker in workers.items():
            wait_until(lambda worker=worker: "Starting Serverless Worker" in worker.text(), f"{name} never starts")
        yield CardWorkers(api, bucket, workers, clip, clips.url("/clip.mp4"))
