"""What a job runs with, apart from its request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pipeline.runtime.callbacks import Progress
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.environment import WorkerEnvironment
from worker.models import ModelKeeper

MakeProgress = Callable[[float], AbstractContextManager[Progress]]
"""Maps the fraction of a job's time that its generator takes to a progress display."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The worker, its models, and a job's own id, cancellation and progress."""

    job_id: str
    arguments: Arguments
    worker: WorkerEnvironment
    cancel_token: CancelToken
    make_progress: MakeProgress
    models: ModelKeeper

    def tracked(self, progress: Progress) -> Progress:
        """Return ``progress``, which also records the job's stage in the cancel token."""

        def report(stage: str, done: int, total: int) -> None:
            self.cancel_token.stage = stage
            progress(stage, done, total)

        return report
