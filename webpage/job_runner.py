"""Run one job at a time for the page, on this machine or on a RunPod endpoint. Independent of Gradio."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from client.endpoint import ClipToSend, EndpointClient, Failed
from client.references import local_references
from pipeline.runtime.callbacks import Progress
from worker.answer import answer_job
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.delivery.bucket_settings import Bucket
from worker.environment import WorkerEnvironment
from worker.error_answers import give_up
from worker.models import ModelKeeper
from worker.output import plain_sentence
from worker.progress import JobPercent, seconds_left
from worker.threads import start_thread

Answer = dict[str, Any]
Tell = Callable[[str, float | None], None]
"""Called with a stage and, if known, the percentage of the job that is done."""


class Busy(Exception):
    """A job is already running."""


class Job(Protocol):
    """A job that has not been started."""

    def run(self, tell: Tell) -> Answer:
        """Run the job and return the worker's answer or error; its files are then in the folder of its id."""
        ...

    def cancel(self) -> None:
        """Make the job end soon, even if it has not been started."""
        ...

    def stalled_answer(self) -> Answer | None:
        """Return the error of a job that has stalled, or None if it has not."""
        ...


def _plain(answer: Answer) -> Answer:
    """Return an answer whose error message omits field and code, which the page shows separately."""
    if "error_code" not in answer:
        return answer
    return {**answer, "error": plain_sentence(answer["error"], answer["error_code"], answer.get("field"))}


class LocalJob:
    """A job on this machine."""

    def __init__(
        self, job_input: Answer, job_id: str, arguments: Arguments, worker: WorkerEnvironment, models: ModelKeeper
    ) -> None:
        self._job = {"id": job_id, "input": job_input}
        self._arguments = arguments
        self._worker = worker
        self._models = models
        self._cancel_token = CancelToken(worker.job_seconds)

    def run(self, tell: Tell) -> Answer:
        def progress(share: float) -> AbstractContextManager[Progress]:
            percent = JobPercent(share)
            return nullcontext(lambda stage, done, total: tell(stage, percent.update(stage, done, total)))

        return answer_job(self._job, self._arguments, self._worker, self._cancel_token, progress, self._models)

    def cancel(self) -> None:
        self._cancel_token.cancel()

    def stalled_answer(self) -> Answer | None:
        return give_up(self._cancel_token) if self._cancel_token.is_stuck(self._worker.stall_seconds) else None


class EndpointJob:
    """A job on a RunPod endpoint, through the same client as ``client/__main__.py``."""

    def __init__(
        self,
        job_input: Answer,
        folder: Path,
        *,
        endpoint_id: str,
        api_key: str,
        bucket: Bucket | None,
        inline: bool = False,
        poll_seconds: float = 2.0,
    ) -> None:
        self._clip = ClipToSend(job_input.get("video_url", ""), folder)
        self._client = EndpointClient(
            endpoint_id,
            api_key,
            {name: value for name, value in job_input.items() if name != "video_url"},
            bucket,
            inline=inline,
            poll_seconds=poll_seconds,
        )

    def run(self, tell: Tell) -> Answer:
        if self._client.bucket is None:
            local = {}
            if local_references(self._client.request):
                local["field"] = "reference_image_urls"
            if self._clip.source and "://" not in self._clip.source:
                local["field"] = "video_url"
            if local:
                message = "a local file requires a bucket (BUCKET_... in this environment): give a URL instead"
                return {"error": message, "error_code": "NOT_SENT", **local}
        try:
            return self._client.run(self._clip, lambda state, percent=None: tell(state, percent))
        except Failed as error:
            answer = {"error": str(error), "error_code": error.code}
            if error.field is not None:
                answer |= {"field": error.field, "error": str(error).removeprefix(f"{error.field}: ")}
            return answer

    def cancel(self) -> None:
        self._client.stopped.set()

    def stalled_answer(self) -> Answer | None:
        """Return None: the endpoint watches its own jobs."""
        return None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """State of the last job."""

    number: int = 0
    """Number of the job, from 1; 0 before the first one."""
    job_input: Mapping[str, Any] = field(default_factory=dict)
    """The ``input`` of the job."""
    folder: Path | None = None
    """Folder of its files after success."""
    stage: str = ""
    percent: float = 0.0
    left_seconds: float | None = None
    is_cancelled: bool = False
    """Whether its cancellation was requested."""
    answer: Mapping[str, Any] | None = None
    """None while it is running."""

    @property
    def is_under_way(self) -> bool:
        return self.number > 0 and self.answer is None


class JobRunner:
    """Runs one job at a time. Methods are thread-safe: every open page calls them."""

    def __init__(self, make_job: Callable[[Answer, str], Job], results: Path) -> None:
        """``make_job`` takes a job's input and id; the job's files go to ``results``/id."""
        self._make_job = make_job
        self._results = results
        self._lock = threading.Lock()
        self._now = JobStatus()
        self._job: Job | None = None
        self._begin = 0.0
        self._ended = threading.Event()
        self._ended.set()

    def start(self, job_input: Answer) -> None:
        """Start a job. Raises ``Busy``."""
        with self._lock:
            if not self._ended.is_set():
                raise Busy("a job is already running: wait for it, or cancel it")
            job_id = uuid.uuid4().hex
            self._job = job = self._make_job(job_input, job_id)
            self._now = JobStatus(self._now.number + 1, dict(job_input), self._results / job_id, "waiting")
            self._begin = time.monotonic()
            self._ended.clear()
        start_thread(lambda: self._run(job), "page job")

    def cancel(self) -> None:
        """Cancel the running job, if there is one."""
        with self._lock:
            if self._job is not None and self._now.is_under_way:
                self._job.cancel()
                self._now = replace(self._now, is_cancelled=True)

    def now(self) -> JobStatus:
        """Return the job's state. A stalled job counts as failed, but blocks further ones."""
        with self._lock:
            stalled = self._job.stalled_answer() if self._job is not None and self._now.is_under_way else None
            if stalled is not None:
                message = f"{_plain(stalled)['error']}; restart the page's server"
                self._now = replace(self._now, answer={**stalled, "error": message})
            return self._now

    def wait(self, seconds: float) -> bool:
        """Wait until the job ends; return whether it has ended."""
        return self._ended.wait(seconds)

    def _run(self, job: Job) -> None:
        try:
            answer = _plain(job.run(self._tell))
        except Exception as error:
            # Without an answer the page would show the job as running forever.
            answer = {"error": f"the job failed: {type(error).__name__}", "error_code": "INTERNAL"}
        with self._lock:
            if self._now.answer is None:
                self._now = replace(self._now, answer=answer, percent=100.0, left_seconds=None)
            self._ended.set()

    def _tell(self, stage: str, percent: float | None) -> None:
        with self._lock:
            if self._now.answer is None:
                # Never decreasing, as on the platform.
                done = max(self._now.percent, percent or 0.0)
                left = seconds_left(time.monotonic() - self._begin, done)
                self._now = replace(self._now, stage=stage, percent=done, left_seconds=left)
