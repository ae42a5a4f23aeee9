"""The RunPod worker's entry point: a job comes in, a result or an error with its code goes out.

``python handler.py --help`` lists the settings; ``docs/api.md`` describes the fields of a job.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from conf import DEFAULT_PRESET, compose_settings
from pipeline.errors import InvalidInput
from pipeline.runtime.callbacks import Progress
from worker.cancellation import CancelToken, stopped_by_signals
from worker.command_line import Arguments, parse_arguments
from worker.environment import WorkerEnvironment, read_worker_settings
from worker.logs import redact_sdk_log, set_up_logging
from worker.output import ErrorAnswer, read_answer
from worker.progress import ConsoleProgress, PlatformProgress, local_summary

if TYPE_CHECKING:
    from worker.models import ModelKeeper

Answer = dict[str, Any]
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0
"""How long a job waits for the thread of an earlier job that stalled and was given up."""


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
    from worker.answer import answer_job, busy_answer, give_up
    from worker.models import ModelKeeper
    from worker.threads import start_thread

    kept = models or ModelKeeper()

    # The SDK's HTTP server calls the handler for several jobs at once; models and memory suffice for one.
    turn = asyncio.Lock()
    # A thread cannot be killed: no job may start beside a stalled one, which ends at its next check for cancellation.
    hanging: list[tuple[asyncio.Future[Answer], CancelToken]] = []

    async def handler(job: Answer) -> Answer:
        async with turn:
            if hanging:
                await asyncio.wait([hanging[0][0]], timeout=min(_GRACE_SECONDS, worker.stall_seconds))
                if not hanging[0][0].done():
                    return busy_answer(hanging[0][1])
                hanging.clear()
            clock = CancelToken(worker.job_seconds)
            # Not to_thread: the interpreter joins those threads at exit, and a stalled one would block it.
            work = asyncio.wrap_future(
                start_thread(
                    lambda: answer_job(
                        job, arguments, worker, clock, lambda share: _progress(job, arguments, share), kept
                    ),
                    "job",
                )
            )
            with stopped_by_signals(clock) if arguments.place == "local" else nullcontext():
                try:
                    await _ended(work, clock, worker.stall_seconds)
                except asyncio.CancelledError:
                    clock.cancel()
                    # Even if cancelled repeatedly: the next job must not start while this thread is running.
                    while not work.done() and not clock.is_stuck(worker.stall_seconds):
                        with suppress(asyncio.CancelledError):
                            await _ended(work, clock, worker.stall_seconds)
                    if not work.done():
                        hanging.append((work, clock))
                    raise
            if not work.done():
                hanging.append((work, clock))
                return give_up(clock)
        answer = work.result()
        ended(answer)
        return answer

    return handler


async def _ended(work: asyncio.Future[Answer], clock: CancelToken, stall_seconds: float) -> None:
    """Wait until a job's thread has ended or counts as stalled."""
    while not (await asyncio.wait([work], timeout=_LOOK_SECONDS))[0]:
        if clock.is_stuck(stall_seconds):
            return


def _progress(job: Answer, arguments: Arguments, generation_share: float) -> AbstractContextManager[Progress]:
    if arguments.place == "local":
        return ConsoleProgress(generation_share)
    if arguments.place == "api":
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
        if arguments.place == "local" and last.get("error_code") == "CANCELLED":
            raise SystemExit(130) from None
        raise
    finally:
        if arguments.place == "local" and last:
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
        worker = read_worker_settings(os.environ, arguments.place)
    except InvalidInput as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return 2
    # A local run shows progress and result; log events are for operators.
    level = logging.WARNING if arguments.place == "local" and not arguments.check_only else logging.INFO
    set_up_logging(os.environ, as_json=arguments.place == "platform", level=level)
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
        if arguments.check_only or arguments.place != "local":
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
