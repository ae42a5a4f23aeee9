"""One job, from the request to the answer. Runs in a thread and does not depend on RunPod's SDK."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from conf import DEFAULT_PRESET, apply_caller_overrides, compose_settings
from pipeline.character import CharacterRequest, show_character
from pipeline.datatypes.clip import VideoInfo
from pipeline.errors import InvalidInput, UnderstudyError
from pipeline.estimate import estimate, generation_share, seconds_of_job
from pipeline.find_people import find_people
from pipeline.media.clip import Clip
from pipeline.media.sandbox import keep_ready, open_untrusted
from pipeline.mode_results import AnyResult, CharacterResult, PeopleResult
from pipeline.needs import disk_bytes, memory_bytes
from pipeline.request import JobRequest
from pipeline.run import run_job, run_stills
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.resources import check_disk, check_memory, resource_error, resource_errors, size_on_disk
from pipeline.settings import Settings
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.delivery.destination import Destination, choose_destination
from worker.delivery.kept_result import find_kept, kept_if_undelivered
from worker.environment import WorkerEnvironment
from worker.error_answers import bug_answer, error_answer
from worker.fan_out.chunk_job import ChunkAnswer, do_chunk_job, is_chunk_job
from worker.fan_out.work import check_fan_out, shared_work
from worker.input import JobInput, parse_request
from worker.job_context import JobContext, MakeProgress
from worker.job_folder import job_workspace
from worker.logs import job_id as logged_job_id
from worker.models import ModelKeeper
from worker.output import Answer, ErrorAnswer, EstimateAnswer, FileAnswer, wire_form
from worker.resume import job_key, resumable_folder
from worker.source.request_files import RequestFiles

log = logging.getLogger("understudy")
Work = Callable[[JobRequest, Path, Clip, Check, Progress], AnyResult]
"""Maps (request, checkpoint folder, opened clip, check, progress) to a result."""


def answer_job(
    job: dict[str, Any],
    arguments: Arguments,
    worker: WorkerEnvironment,
    cancel_token: CancelToken,
    make_progress: MakeProgress,
    models: ModelKeeper,
) -> dict[str, Any]:
    """Run a job and return its result, or its error with a code, as JSON values.

    Never raises, and leaves no files behind.
    """
    name = str(job.get("id") or uuid.uuid4())
    context = JobContext(name, arguments, worker, cancel_token, make_progress, models)
    token = logged_job_id.set(name)
    begin = time.monotonic()
    # The decoder process starts while the models are loaded and the source is fetched.
    keep_ready()
    try:
        raw = job.get("input")
        answer: Answer | ChunkAnswer
        if is_chunk_job(raw):
            answer = do_chunk_job(context, raw)
        else:
            models.let_go_of_bundle()
            answer = _run(context, parse_request(raw))
    except UnderstudyError as error:
        answer = error_answer(error)
    except Exception as error:
        known = resource_error(error, worker.work)
        answer = bug_answer(error) if known is None else error_answer(known)
    finally:
        seconds = round(time.monotonic() - begin, 2)
        logged_job_id.reset(token)
    code = answer.error_code if isinstance(answer, ErrorAnswer) else "OK"
    if arguments.origin != "local":
        # For the next job, while there is none.
        keep_ready()
    log.info("job ended", extra={"job_id": name, "code": code, "seconds": seconds})
    return wire_form(answer)


def _run(job: JobContext, request: JobInput) -> FileAnswer | EstimateAnswer:
    settings = compose_settings(request.preset or job.arguments.preset or DEFAULT_PRESET, job.arguments.overrides)
    settings = apply_caller_overrides(settings, request.overrides, job.arguments.locked)
    if request.mode == "estimate":
        return _estimate(job, request, settings)
    check_fan_out(request, job.worker)
    destination = choose_destination(
        job_id=job.job_id,
        upload_url=request.upload_url,
        artifact_upload_urls={str(name): url for name, url in request.artifact_upload_urls.items()},
        inline=request.inline,
        artifacts=request.artifacts,
        worker=job.worker,
        upload_headers=request.upload_headers,
    )
    destination.try_before(check=job.cancel_token.check)
    _log_begin(request, settings)
    if request.mode == "character":
        return _show_character(job, request, settings, destination)
    return _process_clip(job, request, settings, destination)


def _estimate(job: JobContext, request: JobInput, settings: Settings) -> EstimateAnswer:
    """Run the mode ``estimate``: open the clip and compute what it would take."""
    _log_begin(request, settings)
    with job_workspace(job.worker.work, job.job_id) as workspace, resource_errors(workspace):
        files = RequestFiles(settings, job.worker, workspace, job.cancel_token)
        job_request = files.job_request(request)
        with closing(_opened(job, job_request, settings, None, lambda stage, done, total: None)) as clip:
            info = clip.info
        needs = estimate(info, settings, request.fan_out, max(1, len(request.subjects)))
        return EstimateAnswer(preset=settings.preset, estimate=needs, warnings=info.warnings)


def _show_character(job: JobContext, request: JobInput, settings: Settings, destination: Destination) -> FileAnswer:
    """Run the mode ``character``: show the new person without a clip."""
    people, figure = job.models.load_character(settings)
    cancel_token = job.cancel_token
    with (
        job_workspace(job.worker.work, job.job_id) as workspace,
        resource_errors(workspace),
        job.make_progress(0.0) as progress,
    ):
        cancel_token.stage = "fetch"
        references = RequestFiles(settings, job.worker, workspace, cancel_token).character_references(request)
        character_request = CharacterRequest(workspace / "result", request.prompt, request.negative_prompt, references)
        cancel_token.stage = "character"
        shown = show_character(character_request, settings, people, figure, check=cancel_token.check, progress=progress)
        cancel_token.stage = "deliver"
        cancel_token.check()
        result = _with_warnings(shown, tuple(_locked_warnings(request, job.arguments)))
        return destination.deliver(result, check=cancel_token.check)


def _process_clip(job: JobContext, request: JobInput, settings: Settings, destination: Destination) -> FileAnswer:
    """Run one of the other modes, which work on a clip and keep checkpoints."""
    worker = job.worker
    cancel_token = job.cancel_token
    is_survey_only = request.mode == "people"
    work = _work_of(job, request, settings)
    with job_workspace(worker.work, job.job_id) as workspace, resource_errors(workspace):
        job_request = RequestFiles(settings, worker, workspace, cancel_token).job_request(request)
        with (
            job.make_progress(0.0 if is_survey_only else generation_share(settings)) as progress,
            closing(_opened(job, job_request, settings, workspace, progress)) as clip,
        ):
            late = [] if is_survey_only else _deadline_warnings(clip.info, settings, job_request, cancel_token)
            keeps = worker.state_dir is not None
            key = job_key(job_request.video, job_request, settings, request.mode, cancel_token.check) if keeps else ""
            needed = disk_bytes(clip.info, request.artifacts)
            check_memory(memory_bytes(clip.info, request.artifacts))
            with (
                resumable_folder(worker, key, workspace / "passes") as passes,
                resource_errors(passes, workspace, needed_bytes=needed),
            ):
                result = find_kept(passes, job_request.artifacts)
                if result is None:
                    check_disk(needed - size_on_disk(passes), workspace, passes)
                    result = work(job_request, passes, clip, cancel_token.check, job.tracked(progress))
                    result = _with_warnings(result, (*late, *_locked_warnings(request, job.arguments)))
                clip.close()
                cancel_token.stage = "deliver"
                with kept_if_undelivered(result, passes, job_request.artifacts):
                    # If the job was given up during its last step, the caller has already been answered.
                    cancel_token.check()
                    return destination.deliver(result, check=cancel_token.check)


def _work_of(job: JobContext, request: JobInput, settings: Settings) -> Work:
    """Return the function that does the work of the request's mode; its models are being loaded meanwhile."""
    if request.mode == "people":
        people = job.models.load_people(settings)
        return lambda job_request, passes, clip, check, progress: find_people(
            job_request, settings, people, passes, clip=clip, check=check, progress=progress
        )
    models = job.models.begin_to_load(settings)
    if request.fan_out > 1:
        return shared_work(request, settings, models, job.worker, job.cancel_token)
    run = run_stills if request.mode == "frame" else run_job
    return lambda job_request, passes, clip, check, progress: run(
        job_request, settings, models(), passes, clip=clip, check=check, progress=progress
    )


def _log_begin(request: JobInput, settings: Settings) -> None:
    log.info("job began", extra={"preset": settings.preset, "mode": request.mode})


def _opened(
    job: JobContext, job_request: JobRequest, settings: Settings, spool_folder: Path | None, progress: Progress
) -> Clip:
    job.cancel_token.stage = "open"
    return open_untrusted(
        job_request.video,
        settings.limits,
        start_s=job_request.start_s,
        end_s=job_request.end_s,
        check=job.cancel_token.check,
        progress=lambda done, total: progress("open", done, total),
        spool_folder=spool_folder,
    )


def _with_warnings(result: AnyResult, warnings: tuple[str, ...]) -> AnyResult:
    update = {"warnings": (*result.report.warnings, *warnings)}
    # One branch per type: the type checker cannot infer that result and report belong together.
    if isinstance(result, PeopleResult):
        return replace(result, report=result.report.model_copy(update=update))
    if isinstance(result, CharacterResult):
        return replace(result, report=result.report.model_copy(update=update))
    return replace(result, report=result.report.model_copy(update=update))


def _locked_warnings(request: JobInput, arguments: Arguments) -> list[str]:
    return [
        f"overrides.{key}: locked by the worker's operator; the operator's value was used"
        for key in request.overrides
        if key in arguments.locked
    ]


def _deadline_warnings(
    info: VideoInfo, settings: Settings, job_request: JobRequest, cancel_token: CancelToken
) -> list[str]:
    """Return a warning if the job may exceed its time limit; raise ``InvalidInput`` if it certainly would."""
    left = cancel_token.seconds_left()
    if left is None:
        return []
    quickest, expected = seconds_of_job(info, settings, 1 + len(job_request.further_subjects))
    if quickest > left:
        raise InvalidInput(
            f"the clip would take about {expected:.0f} s, and the time limit leaves {left:.0f} s: request a part of it",
            field="end_s",
        )
    if expected > left:
        return [f"the job was expected to take about {expected:.0f} s, and its time limit left {left:.0f} s"]
    return []
