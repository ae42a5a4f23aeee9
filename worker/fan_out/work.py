"""Run a job that shares its chunks with other workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.errors import InvalidInput
from pipeline.media.clip import Clip
from pipeline.models.loaded import LoadedModels
from pipeline.request import JobRequest
from pipeline.result import JobResult
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from worker.cancellation import CancelToken
from worker.environment import WorkerEnvironment
from worker.fan_out.files import SharedFiles
from worker.fan_out.share import FanOut
from worker.input import JobInput
from worker.resume import code_hash

_LONGEST_JOB_SECONDS = 24 * 3600.0
"""RunPod's own limit for a job, used if the operator has set none."""


def check_fan_out(request: JobInput, worker: WorkerEnvironment) -> None:
    """Raise ``InvalidInput`` if a job requests fan-out and this worker cannot share chunks."""
    if request.fan_out == 1:
        return
    if request.fan_out > worker.fan_out_max:
        raise InvalidInput(f"this endpoint allows at most {worker.fan_out_max} workers per job", field="fan_out")
    if worker.bucket is None:
        raise InvalidInput("this worker has no bucket, which sharing chunks requires", field="fan_out")
    if worker.endpoint is None:
        raise InvalidInput(
            "this worker does not know its endpoint: RUNPOD_ENDPOINT_ID or RUNPOD_API_KEY is not set", field="fan_out"
        )


def shared_work(
    request: JobInput,
    settings: Settings,
    models: Callable[[], LoadedModels],
    worker: WorkerEnvironment,
    cancel_token: CancelToken,
) -> Callable[[JobRequest, Path, Clip, Check, Progress], JobResult]:
    """Return the function that runs a job whose chunks are shared with other workers; ``models`` waits for them."""

    def work(job_request: JobRequest, passes: Path, clip: Clip, check: Check, progress: Progress) -> JobResult:
        assert worker.endpoint is not None and worker.bucket is not None  # check_fan_out
        left = cancel_token.seconds_left()
        scratch = job_request.output_dir.parent / "shared"
        with SharedFiles(worker.bucket, job_request, settings, passes, scratch, code_hash()) as files:
            seconds = _LONGEST_JOB_SECONDS if left is None else max(left, 1.0)
            fan_out = FanOut(worker.endpoint, request.fan_out, files, worker.late_seconds, seconds)
            result = run_job(
                job_request, settings, models(), passes, clip=clip, check=check, progress=progress, share=fan_out.share
            )
        update = {"warnings": (*result.report.warnings, *fan_out.warnings), "fan_out": fan_out.report()}
        return replace(result, report=result.report.model_copy(update=update))

    return work
