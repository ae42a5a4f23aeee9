"""The RunPod edge: a job comes in, a result or an error with its code goes out.

``python handler.py --help`` says what can be set; ``docs/api.md`` says what a job may ask for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from conf import DEFAULT_PRESET, compose_settings
from pipeline.errors import InvalidInput
from worker.cancellation import JobClock, stopped_by_signals
from worker.command_line import Arguments, parse_arguments
from worker.environment import WorkerSettings, read_worker_settings
from worker.logs import redact_sdk_log, set_up_logging
from worker.progress import ConsoleProgress, PlatformProgress, Progress, local_summary

Answer = dict[str, Any]
_LOOK_SECONDS = 1.0


def make_handler(
    arguments: Arguments, worker: WorkerSettings, ended: Callable[[Answer], None] = lambda answer: None
) -> Callable[[Answer], Any]:
    """Return the async handler that the SDK calls with a job; ``ended`` is told every answer."""
    # Imported late: --help and a wrong setting need none of it.
    from worker.answer import answer_job, answer_of_a_hang
    from worker.threads import start_thread

    # The SDK's HTTP server calls for several jobs at once; the models and the memory are for one.
    turn = asyncio.Lock()
    # A thread cannot be ended from outside: after a hang no job may start beside it until the worker is replaced.
    hanging: list[JobClock] = []

    async def handler(job: Answer) -> Answer:
        async with turn:
            if hanging:
                return answer_of_a_hang(hanging[0])
            clock = JobClock(worker.job_seconds)
            # Not to_thread: its threads are waited for at the process's end, and one that hangs would keep it.
            work = asyncio.wrap_future(
                start_thread(
                    lambda: answer_job(job, arguments, worker, clock, lambda share: _progress(job, arguments, share)),
                    "job",
                )
            )
            with stopped_by_signals(clock) if arguments.place == "local" else nullcontext():
                try:
                    await _ended(work, clock, worker.stall_seconds)
                except asyncio.CancelledError:
                    clock.cancel()
                    # However often it is cancelled: the next job must not start beside this one's thread.
                    while not work.done() and clock.silent_seconds() <= worker.stall_seconds:
                        with suppress(asyncio.CancelledError):
                            await _ended(work, clock, worker.stall_seconds)
                    hanging.extend([] if work.done() else [clock])
                    raise
            if not work.done():
                hanging.append(clock)
                return answer_of_a_hang(clock)
        answer = work.result()
        ended(answer)
        return answer

    return handler


async def _ended(work: asyncio.Future[Answer], clock: JobClock, stall_seconds: float) -> None:
    """Wait until a job's thread has ended, or counts as hanging."""
    while not (await asyncio.wait([work], timeout=_LOOK_SECONDS))[0]:
        if clock.silent_seconds() > stall_seconds:
            return


def _progress(job: Answer, arguments: Arguments, generation_share: float) -> AbstractContextManager[Progress]:
    if arguments.place == "local":
        return ConsoleProgress(generation_share)
    if arguments.place == "api":
        return PlatformProgress(lambda update: None)
    from worker.progress_updates import UpdateSender, post_to_platform

    return PlatformProgress(UpdateSender(post_to_platform(job)), generation_share)


def _serve(arguments: Arguments, worker: WorkerSettings) -> None:
    """Hand over to the SDK until it ends; locally it ends by ``SystemExit``, after one job."""
    import runpod.serverless

    redact_sdk_log(os.environ)
    # The SDK's own default is DEBUG, which prints prompts and URLs.
    is_set = any(word.startswith("--rp_log_level") for word in arguments.for_sdk)
    sys.argv = [sys.argv[0], *arguments.for_sdk, *(() if is_set else ("--rp_log_level", "INFO"))]
    last: Answer = {}
    try:
        runpod.serverless.start({"handler": make_handler(arguments, worker, last.update)})
    except SystemExit:
        if arguments.place == "local" and last.get("error_code") == "CANCELLED":
            raise SystemExit(130) from None
        raise
    finally:
        if arguments.place == "local" and last and "error_code" not in last:
            print(local_summary(last), file=sys.stderr)


def main(argv: list[str]) -> int:
    """Take our arguments out of ``argv``, check the worker, hand the rest to the SDK."""
    try:
        arguments = parse_arguments(argv, os.environ)
        if arguments is None:
            return 0
        settings = compose_settings(arguments.preset or DEFAULT_PRESET, arguments.overrides)
        worker = read_worker_settings(os.environ, arguments.place)
    except InvalidInput as error:
        print(f"{error.field}: {error.message}", file=sys.stderr)
        return 2
    # Locally the progress and the result are told; events are for operators.
    level = logging.WARNING if arguments.place == "local" and not arguments.check_only else logging.INFO
    set_up_logging(os.environ, as_json=arguments.place == "platform", level=level)
    from worker.fitness import Unfit, check_weights, make_ready

    try:
        if arguments.check_only:
            check_weights(settings.preset, with_hashes=True)
        if arguments.check_only or arguments.place != "local":
            make_ready(settings, worker)
    except Unfit as error:
        logging.getLogger("understudy").error("this worker is not fit: %s", error)
        return 1
    if not arguments.check_only:
        _serve(arguments, worker)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
