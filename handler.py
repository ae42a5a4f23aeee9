"""The RunPod edge: a job comes in, a result or an error with its code goes out.

``python handler.py --help`` says what can be set; ``docs`` of the request are in the README.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from conf import DEFAULT_PRESET, apply_caller_overrides, compose_settings
from pipeline.errors import Cancelled, InvalidInput, NoSpace, UnderstudyError
from pipeline.job.command_line import Arguments, parse_arguments
from pipeline.job.deliver import deliver_locally
from pipeline.job.fetch import fetch, read_reference
from pipeline.job.request import Request, SubjectPoint, parse_request
from pipeline.job.workspace import folder_name, job_workspace
from pipeline.progress import ConsoleProgress, PlatformProgress
from pipeline.run import JobRequest, run_job
from pipeline.subject import PointChoice

log = logging.getLogger("understudy")
Answer = dict[str, Any]


def make_handler(arguments: Arguments) -> Callable[[Answer], Any]:
    """Return the async handler that the SDK calls with a job."""

    async def handler(job: Answer) -> Answer:
        stop = threading.Event()
        work = asyncio.ensure_future(asyncio.to_thread(_answer, job, arguments, stop))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # The thread must be gone before the next job may start.
            stop.set()
            await asyncio.wait([work])
            raise

    return handler


def _answer(job: Answer, arguments: Arguments, stop: threading.Event) -> Answer:
    try:
        answer = _run(job, arguments, stop)
        json.dumps(answer, allow_nan=False)
        return answer
    except UnderstudyError as error:
        return _told(error)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _told(NoSpace("there is no space left on the disk"))
        return _bug(error)
    except Exception as error:
        return _bug(error)


def _run(job: Answer, arguments: Arguments, stop: threading.Event) -> Answer:
    def check() -> None:
        if stop.is_set():
            raise Cancelled("the job was cancelled")

    request = parse_request(job.get("input"))
    settings = compose_settings(request.preset or arguments.preset or DEFAULT_PRESET, arguments.overrides)
    settings = apply_caller_overrides(settings, request.overrides, arguments.locked)
    if not arguments.is_local:
        raise InvalidInput("this worker has no destination for results: it runs local jobs only", field="input")
    job_id = str(job.get("id") or uuid.uuid4())
    with job_workspace(job_id) as workspace:
        limits = settings.limits
        video = fetch(
            request.video_url,
            workspace / "source",
            field="video_url",
            max_bytes=limits.max_bytes,
            seconds=limits.fetch_seconds,
            local_paths=arguments.is_local,
            check=check,
        )
        reference = None
        if request.reference_image_url is not None:
            picture = fetch(
                request.reference_image_url,
                workspace / "reference",
                field="reference_image_url",
                max_bytes=limits.max_reference_bytes,
                seconds=limits.fetch_seconds,
                local_paths=arguments.is_local,
                check=check,
            )
            reference = read_reference(picture, limits)
        wanted = JobRequest(
            video=video,
            output_dir=workspace / "result",
            artifacts=tuple(request.artifacts),
            seed=request.seed,
            subject=_choice(request),
            on_lost=request.on_lost,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            reference=reference,
            start_s=request.start_s,
            end_s=request.end_s,
        )
        with _progress(job) as progress:
            result = run_job(wanted, settings, workspace / "passes", check=check, progress=progress)
        answer = deliver_locally(result, arguments.outputs, folder_name(job_id))
    _say(answer)
    return answer


def _progress(job: Answer) -> Any:
    if os.environ.get("RUNPOD_WEBHOOK_POST_OUTPUT"):
        from runpod.serverless import progress_update

        return nullcontext(PlatformProgress(lambda update: progress_update(job, update)))
    return ConsoleProgress()


def _choice(request: Request) -> Any:
    subject = request.subject
    return PointChoice(subject.x, subject.y, subject.at_s) if isinstance(subject, SubjectPoint) else subject


def _say(answer: Answer) -> None:
    quality = answer["quality"]
    lines = [f"Result: {Path(answer['video_url']).resolve()}"]
    lines += [f"Warning: {warning}" for warning in answer["warnings"]]
    lines.append(
        f"{answer['frames_replaced']} of {answer['frames']} frames replaced; "
        f"foot slide {quality['foot_slide_percent'] or 0:.2f} % of body height; "
        f"{quality['changed_outside']} samples changed outside the edit region"
    )
    print("\n".join(lines), file=sys.stderr)


def _told(error: UnderstudyError) -> Answer:
    answer: Answer = {"error": error.message, "error_code": error.code}
    if error.field is not None:
        answer["field"] = error.field
    if error.refresh_worker:
        answer["refresh_worker"] = True
    return answer


def _bug(error: BaseException) -> Answer:
    number = uuid.uuid4().hex[:12]
    log.error("internal error %s", number, exc_info=error)
    return {"error": f"an internal error happened; the log has it as {number}", "error_code": "INTERNAL"}


def main(argv: list[str]) -> int:
    """Take our arguments out of ``argv``, check the operator's settings, hand the rest to the SDK."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        arguments = parse_arguments(argv, os.environ)
        if arguments is None:
            return 0
        compose_settings(arguments.preset or DEFAULT_PRESET, arguments.overrides)
    except InvalidInput as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return 2
    # Imported late: it takes a second, and --help does not need it.
    import runpod.serverless

    # The SDK's own default is DEBUG, which prints prompts and URLs.
    is_set = any(word.startswith("--rp_log_level") for word in arguments.for_sdk)
    level = () if is_set else ("--rp_log_level", "INFO")
    sys.argv = [argv[0], *arguments.for_sdk, *level]
    runpod.serverless.start({"handler": make_handler(arguments)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
