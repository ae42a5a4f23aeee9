"""Run a job through the handler as the SDK would, and collect its answer, log and leftover files."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import handler
from worker.command_line import Arguments
from worker.environment import JobOrigin, read_worker_settings
from worker.logs import Redactor, _JsonFormatter
from worker.models import ModelKeeper

ROOT = Path(__file__).resolve().parents[2]
WALK = ROOT / "assets" / "walk_a" / "sample.mp4"
WALK_SMALL = Path(__file__).with_name("walk_small.mp4")
"""Its first 2.6 seconds at half the size, for jobs whose pictures matter little: they take half the time."""
SECRET = "s3cr3t-of-the-worker"


@dataclass(frozen=True)
class Runner:
    """A worker that takes one job after the other, in this process."""

    folder: Path
    place: JobOrigin = "local"
    overrides: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    models: ModelKeeper = field(default_factory=ModelKeeper)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "UNDERSTUDY_OUTPUTS": str(self.folder / "outputs"),
            "UNDERSTUDY_WORK": str(self.folder / "work"),
            "RUNPOD_API_KEY": SECRET,
            **self.environment,
        }

    def answer(self, asked: object, job_id: str = "job-1", *, cancel_after: float | None = None) -> dict[str, Any]:
        """Return the answer to a job with this ``input``; ``{}`` where it was cancelled."""
        worker = read_worker_settings(self.variables, self.place)
        arguments = Arguments(None, self.overrides, (), self.place, ())

        async def run() -> dict[str, Any]:
            job = asyncio.ensure_future(
                handler.make_handler(arguments, worker, models=self.models)({"id": job_id, "input": asked})
            )
            if cancel_after is not None:
                await asyncio.wait([job], timeout=cancel_after)
                job.cancel()
                # Cancelled twice: the second cancel must not let the next job start while the thread runs.
                await asyncio.sleep(0)
                job.cancel()
            try:
                answer: dict[str, Any] = await job
            except asyncio.CancelledError:
                assert not any(_is_busy(thread) for thread in threading.enumerate())
                return {}
            return answer

        stream = io.StringIO()
        log = logging.StreamHandler(stream)
        log.setFormatter(_JsonFormatter(Redactor(self.variables)))
        root = logging.getLogger()
        before = root.level
        root.addHandler(log)
        root.setLevel(logging.DEBUG)
        try:
            answer = asyncio.run(run())
        finally:
            root.removeHandler(log)
            root.setLevel(before)
        text = json.dumps(answer, allow_nan=False)
        (self.folder / "log.txt").write_text(stream.getvalue())
        assert SECRET not in text + stream.getvalue()
        return answer

    @property
    def log(self) -> str:
        """What the last job logged."""
        return (self.folder / "log.txt").read_text()

    def left(self) -> list[Path]:
        """Return the contents of the worker's folders."""
        return [
            path for name in ("work", "outputs", "state") for path in (self.folder / name).rglob("*") if path.is_file()
        ]

    def fails(self, asked: object, code: str, field: str | None = None, *, then_good: bool = False) -> dict[str, Any]:
        """Run a job that must fail with ``code``, see that nothing is left, and perhaps that the next job is right."""
        answer = self.answer(asked)
        assert answer.get("error_code") == code, answer
        assert answer["error"] and isinstance(answer["error"], str)
        assert field is None or answer.get("field") == field, answer
        assert not self.left()
        if then_good:
            self.does_a_good_job()
        return answer

    def does_a_good_job(self) -> dict[str, Any]:
        """Run a short job to its end and clear its result away."""
        answer = self.answer(good_job(), "good")
        assert answer.get("frames_replaced", 0) > 0, answer
        for path in self.left():
            path.unlink()
        return answer


def good_job(**more: Any) -> dict[str, Any]:
    """Return a job of six frames."""
    return {"video_url": str(WALK_SMALL), "start_s": 2.0, "end_s": 2.2, **more}


def _is_busy(thread: threading.Thread) -> bool:
    import sys
    import traceback

    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and any(step.name == "answer_job" for step in traceback.extract_stack(frame))
