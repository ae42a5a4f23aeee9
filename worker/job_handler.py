"""The handler that RunPod's SDK calls: one job at a time, each in a thread that is given up when it stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

from worker import answer as answering
from worker.cancellation import CancelToken, stopped_by_signals
from worker.command_line import Arguments
from worker.environment import WorkerEnvironment
from worker.error_answers import busy_answer, give_up
from worker.job_context import MakeProgress
from worker.models import ModelKeeper
from worker.threads import start_thread

Answer = dict[str, Any]
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0
"""How long a job waits for the thread of an earlier job that stalled and was given up."""


class JobHandler:
    """Answers jobs one after the other."""

    def __init__(
        self,
        arguments: Arguments,
        worker: WorkerEnvironment,
        models: ModelKeeper,
        make_progress: Callable[[Answer], MakeProgress],
        ended: Callable[[Answer], None],
    ) -> None:
        """``ended`` is called with every answer of a job that did not stall."""
        self._arguments = arguments
        self._worker = worker
        self._models = models
        self._make_progress = make_progress
        self._ended = ended
        # The SDK's HTTP server calls the handler for several jobs at once; models and memory suffice for one.
        self._turn = asyncio.Lock()
        # A thread cannot be killed: no job may start beside a stalled one, which ends at its next check for
        # cancellation.
        self._stalled: tuple[asyncio.Future[Answer], CancelToken] | None = None

    async def run(self, job: Answer) -> Answer:
        """Run a job of the SDK and return its answer."""
        async with self._turn:
            if self._stalled is not None:
                earlier, its_token = self._stalled
                await asyncio.wait([earlier], timeout=min(_GRACE_SECONDS, self._worker.stall_seconds))
                if not earlier.done():
                    return busy_answer(its_token)
                self._stalled = None
            cancel_token = CancelToken(self._worker.job_seconds)
            work = self._start(job, cancel_token)
            with stopped_by_signals(cancel_token) if self._arguments.origin == "local" else nullcontext():
                try:
                    await self._wait(work, cancel_token)
                except asyncio.CancelledError:
                    cancel_token.cancel()
                    await self._wait_for_cancelled(work, cancel_token)
                    raise
            if not work.done():
                self._stalled = (work, cancel_token)
                return give_up(cancel_token)
        answer = work.result()
        self._ended(answer)
        return answer

    def _start(self, job: Answer, cancel_token: CancelToken) -> asyncio.Future[Answer]:
        """Start a job in a thread.

        Not by ``to_thread``: the interpreter joins those threads at exit, and a stalled one would block it.
        """
        make_progress = self._make_progress(job)
        future = start_thread(
            lambda: answering.answer_job(job, self._arguments, self._worker, cancel_token, make_progress, self._models),
            "job",
        )
        return asyncio.wrap_future(future)

    async def _wait(self, work: asyncio.Future[Answer], cancel_token: CancelToken) -> None:
        """Wait until a job's thread has ended or counts as stalled."""
        while not (await asyncio.wait([work], timeout=_LOOK_SECONDS))[0]:
            if cancel_token.is_stuck(self._worker.stall_seconds):
                return

    async def _wait_for_cancelled(self, work: asyncio.Future[Answer], cancel_token: CancelToken) -> None:
        """Wait for a cancelled job, even if cancelled repeatedly: the next job must not start beside its thread."""
        while not work.done() and not cancel_token.is_stuck(self._worker.stall_seconds):
            with suppress(asyncio.CancelledError):
                await self._wait(work, cancel_token)
        if not work.done():
            self._stalled = (work, cancel_token)
