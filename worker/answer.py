"""One job, from the request to the answer. Runs in a thread and does not depend on RunPod's SDK."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from conf import DEFAULT_PRESET, apply_caller_overrides, compose_settings
from pipeline.character import CharacterRequest, show_character
from pipeline.datatypes.clip import VideoInfo
from pipeline.errors import (
    EncodeFailed,
    InvalidInput,
    JobTimeout,
    UnderstudyError,
)
from pipeline.estimate import estimate, generation_share, seconds_of_job
from pipeline.find_people import find_people
from pipeline.media.clip import Clip
from pipeline.media.sandbox import keep_ready, open_untrusted
from pipeline.needs import disk_bytes, memory_bytes
from pipeline.request import JobRequest
from pipeline.result import AnyResult, CharacterResult, PeopleResult
from pipeline.run import run_job, run_stills
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.resources import check_disk, check_memory, resource_error, resource_errors, size_on_disk
from pipeline.settings import Settings
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.delivery.destination import Destination, choose_destination
from worker.delivery.kept_result import find_kept, kept_if_undelivered
from worker.environment import WorkerEnvironment
from worker.fan_out.chunk_job import ChunkAnswer, do_chunk_job, is_chunk_job
from worker.fan_out.work import check_fan_out, shared_work
from worker.input import JobInput, parse_request
from worker.job_folder import job_workspace
from worker.logs import job_id as logged_job_id
from worker.models import ModelKeeper
from worker.output import Answer, ErrorAnswer, EstimateAnswer, FileAnswer, full_sentence, wire_form
from worker.resume import job_key, resumable_folder
from worker.source.request_files import RequestFiles

log = logging.getLogger("understudy")
Work = Callable[[JobRequest, Path, Clip, Check, Progress], AnyResult]
"""Maps (request, checkpoint folder, opened clip, check, progress) to a result."""


def answer_job(
    job: dict[str, Any],
    arguments: Arguments,
    worker: WorkerEnvironment,
    clock: CancelToken,
    make_progress: Callable[[float], AbstractContextManager[Progress]],
    models: ModelKeeper,
) -> dict[str, Any]:
    """Run a job and return its result, or its error with a code, as JSON values.

    Never raises, and leaves no files behind.
    """
    name = str(job.get("id") or uuid.uuid4())
    token = logged_job_id.set(name)
    begin = time.monotonic()
    try:
        asked = job.get("input")
        answer: Answer | ChunkAnswer
        if is_chunk_job(asked):
            answer = do_chunk_job(name, asked, worker, clock, make_progress, models)
        else:
            models.let_go_of_bundle()
            answer = _run(name, asked, arguments, worker, clock, make_progress, models)
    except UnderstudyError as error:
        answer = error_answer(error)
    except Exception as error:
        told = resource_error(error, worker.work)
        answer = _bug(error) if told is None else error_answer(told)
    finally:
        seconds = round(time.monotonic() - begin, 2)
        logged_job_id.reset(token)
    code = answer.error_code if isinstance(answer, ErrorAnswer) else "OK"
    log.info("job ended", extra={"job_id": name, "code": code, "seconds": seconds})
    return wire_form(answer)


def give_up(clock: CancelToken) -> dict[str, Any]:
    """Cancel a job that no longer makes progress and return its error, which asks for a fresh worker.

    Should the job's thread resume after all, it delivers nothing: the caller has been answered and may retry.
    """
    seconds = clock.seconds_since_check()
    log.error("the job has stalled", extra={"stage": clock.stage, "seconds": round(seconds)})
    kind = EncodeFailed if clock.stage == "finish" else JobTimeout
    error = kind(f'the job made no progress in stage "{clock.stage}"')
    clock.cancel(error)
    return wire_form(error_answer(error).model_copy(update={"refresh_worker": True}))


def busy_answer(clock: CancelToken) -> dict[str, Any]:
    """Return the error of a job that cannot start because the thread of a stalled job is still running."""
    error = JobTimeout(f'an earlier job is stuck in stage "{clock.stage}" and occupies the worker; try again')
    return wire_form(error_answer(error).model_copy(update={"refresh_worker": True}))


def error_answer(error: UnderstudyError) -> ErrorAnswer:
    """Return the answer for an error: sentence, code, and the field that caused it, if any."""
    answer = ErrorAnswer(error=full_sentence(error.message, error.code, error.field), error_code=error.code)
    if error.field is not None:
        answer = answer.model_copy(update={"field": error.field})
    if error.refresh_worker:
        answer = answer.model_copy(update={"refresh_worker": True})
    return answer


def _bug(error: BaseException) -> ErrorAnswer:
    number = uuid.uuid4().hex[:12]
    log.error("internal error %s", number, exc_info=error)
    told = f"an internal error occurred; the log has the details under {number}"
    return ErrorAnswer(error=full_sentence(told, "INTERNAL"), error_code="INTERNAL")


def _run(
    job_id: str,
    asked: Any,
    arguments: Arguments,
    worker: WorkerEnvironment,
    clock: CancelToken,
    make_progress: Callable[[float], AbstractContextManager[Progress]],
    models: ModelKeeper,
) -> FileAnswer | EstimateAnswer:
    request = parse_request(asked)
    # The decoder process starts while the models are loaded and the source is fetched.
    keep_ready()
    settings = compose_settings(request.preset or arguments.preset or DEFAULT_PRESET, arguments.overrides)
    settings = apply_caller_overrides(settings, request.overrides, arguments.locked)
    if request.mode == "estimate":
        log.info("job began", extra={"preset": settings.preset, "mode": request.mode})
        with job_workspace(worker.work, job_id) as workspace, resource_errors(workspace):
            wanted = RequestFiles(settings, worker, workspace, clock).job_request(request)
            with closing(_opened(wanted, settings, None, clock, lambda stage, done, total: None)) as clip:
                info = clip.info
            told = estimate(info, settings, request.fan_out, max(1, len(request.subjects)))
            return EstimateAnswer(preset=settings.preset, estimate=told, warnings=info.warnings)
    check_fan_out(request, worker)
    destination = choose_destination(
        job_id=job_id,
        upload_url=request.upload_url,
        artifact_upload_urls={str(name): url for name, url in request.artifact_upload_urls.items()},
        inline=request.inline,
        artifacts=request.artifacts,
        worker=worker,
        upload_headers=request.upload_headers,
    )
    destination.try_before(check=clock.check)
    log.info("job began", extra={"preset": settings.preset, "mode": request.mode})
    if request.mode == "character":
        return _character(job_id, request, settings, worker, clock, make_progress, models, destination, arguments)
    work = _work_of(request, settings, worker, clock, models)
    with job_workspace(worker.work, job_id) as workspace, resource_errors(workspace):
        wanted = RequestFiles(settings, worker, workspace, clock).job_request(request)
        with (
            make_progress(0.0 if request.mode == "people" else generation_share(settings)) as progress,
            closing(_opened(wanted, settings, workspace, clock, progress)) as clip,
        ):
            late = [] if request.mode == "people" else _deadline_warnings(clip.info, settings, wanted, clock)
            keeps = worker.state_dir is not None
            key = job_key(wanted.video, wanted, settings, request.mode, clock.check) if keeps else ""
            needed = disk_bytes(clip.info, request.artifacts)
            check_memory(memory_bytes(clip.info, request.artifacts))
            with (
                resumable_folder(worker, key, workspace / "passes") as passes,
                resource_errors(passes, workspace, needed_bytes=needed),
            ):
                result = find_kept(passes, wanted.artifacts)
                if result is None:
                    check_disk(needed - size_on_disk(passes), workspace, passes)

                    def tell(stage: str, done: int, total: int) -> None:
                        clock.stage = stage
                        progress(stage, done, total)

                    result = work(wanted, passes, clip, clock.check, tell)
                    result = _with_warnings(result, (*late, *_locked_warnings(request, arguments)))
                clip.close()
                clock.stage = "deliver"
                with kept_if_undelivered(result, passes, wanted.artifacts):
                    # If the job was given up during its last step, the caller has already been answered.
                    clock.check()
                    return destination.deliver(result, check=clock.check)


def _character(
    job_id: str,
    request: JobInput,
    settings: Settings,
    worker: WorkerEnvironment,
    clock: CancelToken,
    make_progress: Callable[[float], AbstractContextManager[Progress]],
    models: ModelKeeper,
    destination: Destination,
    arguments: Arguments,
) -> FileAnswer:
    """Run the mode ``character``: show the new person without a clip."""
    people, figure = models.load_character(settings)
    with (
        job_workspace(worker.work, job_id) as workspace,
        resource_errors(workspace),
        make_progress(0.0) as progress,
    ):
        clock.stage = "fetch"
        references = RequestFiles(settings, worker, workspace, clock).character_references(request)
        wanted = CharacterRequest(workspace / "result", request.prompt, request.negative_prompt, references)
        clock.stage = "character"
        shown = show_character(wanted, settings, people, figure, check=clock.check, progress=progress)
        clock.stage = "deliver"
        clock.check()
        return destination.deliver(
            _with_warnings(shown, tuple(_locked_warnings(request, arguments))), check=clock.check
        )


def _work_of(
    request: JobInput, settings: Settings, worker: WorkerEnvironment, clock: CancelToken, models: ModelKeeper
) -> Work:
    """Return the function that does the work of the request's mode, with its models loaded."""
    if request.mode == "people":
        people = models.load_people(settings)
        return lambda wanted, passes, clip, check, progress: find_people(
            wanted, settings, people, passes, clip=clip, check=check, progress=progress
        )
    loaded = models.load(settings)
    if request.fan_out > 1:
        return shared_work(request, settings, loaded, worker, clock)
    run = run_stills if request.mode == "frame" else run_job
    return lambda wanted, passes, clip, check, progress: run(
        wanted, settings, loaded, passes, clip=clip, check=check, progress=progress
    )


def _with_warnings(result: AnyResult, warnings: tuple[str, ...]) -> AnyResult:
    told = {"warnings": (*result.report.warnings, *warnings)}
    # One branch per type: the type checker cannot infer that result and report belong together.
    if isinstance(result, PeopleResult):
        return replace(result, report=result.report.model_copy(update=told))
    if isinstance(result, CharacterResult):
        return replace(result, report=result.report.model_copy(update=told))
    return replace(result, report=result.report.model_copy(update=told))


def _locked_warnings(request: JobInput, arguments: Arguments) -> list[str]:
    return [
        f"overrides.{key}: locked by the worker's operator; the operator's value was used"
        for key in request.overrides
        if key in arguments.locked
    ]


def _opened(
    wanted: JobRequest, settings: Settings, spool_folder: Path | None, clock: CancelToken, progress: Progress
) -> Clip:
    clock.stage = "open"
    return open_untrusted(
        wanted.video,
        settings.limits,
        start_s=wanted.start_s,
        end_s=wanted.end_s,
        check=clock.check,
        progress=lambda done, total: progress("open", done, total),
        spool_folder=spool_folder,
    )


def _deadline_warnings(info: VideoInfo, settings: Settings, wanted: JobRequest, clock: CancelToken) -> list[str]:
    """Return a warning if the job may exceed its time limit; raise ``InvalidInput`` if it certainly would."""
    left = clock.seconds_left()
    if left is None:
        return []
    quickest, expected = seconds_of_job(info, settings, 1 + len(wanted.further_subjects))
    if quickest > left:
        raise InvalidInput(
            f"the clip would take about {expected:.0f} s, and the time limit leaves {left:.0f} s: request a part of it",
            field="end_s",
        )
    if expected > left:
        return [f"the job was expected to take about {expected:.0f} s, and its time limit left {left:.0f} s"]
    return []
