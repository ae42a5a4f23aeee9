"""A job that shares its chunks, from its request to its result."""

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
from worker.fan_out.share import FanOut
from worker.input import JobInput
from worker.resume import code_hash

_LONGEST_JOB_SECONDS = 24 * 3600.0
"""RunPod's own limit for a job, where the operator has set none."""


def check_fan_out(request: JobInput, worker: WorkerEnvironment) -> None:
    """Raise ``InvalidInput`` where a job cannot share its chunks, before any work."""
    if request.fan_out == 1:
        return
    if request.fan_out > worker.fan_out_max:
        raise InvalidInput(f"a job here may ask for at most {worker.fan_out_max} workers", field="fan_out")
    if worker.bucket is None:
        raise InvalidInput("this worker has no bucket, through which chunks are shared", field="fan_out")
    if worker.endpoint is None:
        raise InvalidInput(
            "this worker knows no endpoint of its own: RUNPOD_ENDPOINT_ID and RUNPOD_API_KEY", field="fan_out"
        )


def shared_work(
    request: JobInput, settings: Settings, loaded: LoadedModels, worker: WorkerEnvironment, clock: CancelToken
) -> Callable[[JobRequest, Path, Clip, Check, Progress], JobResult]:
    """Return what does a job whose chunks are shared with other workers."""

    def work(wanted: JobRequest, passes: Path, clip: Clip, check: Check, progress: Progress) -> JobResult:
        assert worker.endpoint is not None and worker.bucket is not None  # check_fan_out
        left = clock.seconds_left()
        with FanOut(
            worker.endpoint,
            worker.bucket,
            request.fan_out,
            wanted,
            settings,
            passes,
            wanted.output_dir.parent / "shared",
            code_hash(),
            worker.late_seconds,
            _LONGEST_JOB_SECONDS if left is None else max(left, 1.0),
        ) as fan_out:
            result = run_job(
                wanted, settings, loaded, passes, clip=clip, check=check, progress=progress, share=fan_out.share
            )
        told = {"warnings": (*result.report.warnings, *fan_out.warnings), "fan_out": fan_out.report()}
        return replace(result, report=result.report.model_copy(update=told))

    return work
