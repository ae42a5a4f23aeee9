"""The RunPod worker's entry point: a job comes in, a result or an error with its code goes out.

``python handler.py --help`` lists the settings; ``docs/api.md`` describes the fields of a job.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from conf import DEFAULT_PRESET, compose_settings
from pipeline.errors import InvalidInput
from pipeline.runtime.callbacks import Progress
from worker.command_line import Arguments, parse_arguments
from worker.environment import WorkerEnvironment, read_worker_settings
from worker.logs import redact_sdk_log, set_up_logging
from worker.output import ErrorAnswer, read_answer
from worker.progress import ConsoleProgress, PlatformProgress, local_summary

if TYPE_CHECKING:
    from worker.models import ModelKeeper

Answer = dict[str, Any]


def make_handler(
    arguments: Arguments,
    worker: WorkerEnvironment,
    ended: Callable[[Answer], None] = lambda answer: None,
    models: ModelKeeper | None = None,
) -> Callable[[Answer], Any]:
    """Return the async handler that the SDK calls with each job; ``ended`` is called with every answer.

    Without ``models`` they are loaded when the first job needs them.
    """
    # Imported late: --help and the checks of the settings do not need it.
    from worker.job_handler import JobHandler
    from worker.models import ModelKeeper

    return JobHandler(
        arguments, worker, models or ModelKeeper(), lambda job: lambda share: _progress(job, arguments, share), ended
    ).run


def _progress(job: Answer, arguments: Arguments, generation_share: float) -> AbstractContextManager[Progress]:
    if arguments.origin == "local":
        return ConsoleProgress(generation_share)
    if arguments.origin == "api":
        return PlatformProgress(lambda update: None)
    from worker.progress_updates import ProgressPoster, post_to_platform

    return PlatformProgress(ProgressPoster(post_to_platform(job)), generation_share)


def _serve(arguments: Arguments, worker: WorkerEnvironment, models: ModelKeeper) -> None:
    """Run the SDK until it ends; locally it raises ``SystemExit`` after one job."""
    import runpod.serverless

    redact_sdk_log(os.environ)
    # The SDK's default level is DEBUG, which prints prompts and URLs.
    is_set = any(word.startswith("--rp_log_level") for word in arguments.for_sdk)
    sys.argv = [sys.argv[0], *arguments.for_sdk, *(() if is_set else ("--rp_log_level", "INFO"))]
    last: Answer = {}
    try:
        runpod.serverless.start({"handler": make_handler(arguments, worker, last.update, models)})
    except SystemExit:
        if arguments.origin == "local" and last.get("error_code") == "CANCELLED":
            raise SystemExit(130) from None
        raise
    finally:
        if arguments.origin == "local" and last:
            answer = read_answer(last)
            if not isinstance(answer, ErrorAnswer):
                print(local_summary(answer), file=sys.stderr)


def main(argv: list[str]) -> int:
    """Parse our arguments, check the worker, and pass the remaining arguments to the SDK."""
    try:
        arguments = parse_arguments(argv, os.environ)
        if arguments is None:
            return 0
        settings = compose_settings(arguments.preset or DEFAULT_PRESET, arguments.overrides)
        worker = read_worker_settings(os.environ, arguments.origin)
    except InvalidInput as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return 2
    # A local run shows progress and result; log events are for operators.
    level = logging.WARNING if arguments.origin == "local" and not arguments.check_only else logging.INFO
    set_up_logging(os.environ, as_json=arguments.origin == "platform", level=level)
    from worker.memory_size import check_memory_size
    from worker.presets import WorkerNotReady, check_weights

    try:
        check_memory_size(settings)
    except WorkerNotReady as error:
        logging.getLogger("understudy").error("this worker is not ready: %s", error)
        return 1
    from worker.fitness import prepare_worker
    from worker.job_folder import remove_abandoned
    from worker.models import ModelKeeper

    models = ModelKeeper()
    try:
        if arguments.check_only:
            check_weights(settings.preset, with_hashes=True)
        if arguments.check_only or arguments.origin != "local":
            prepare_worker(settings, worker, models)
        else:
            remove_abandoned(worker.work)
    except WorkerNotReady as error:
        logging.getLogger("understudy").error("this worker is not ready: %s", error)
        return 1
    if not arguments.check_only:
        _serve(arguments, worker, models)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
