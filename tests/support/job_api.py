"""A stand-in of RunPod's job API on loopback, which the real SDK polls, and a worker process that it gives jobs to."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.job_runner import ROOT, SECRET

_POLL_SECONDS = 0.1
_WAIT_SECONDS = 120.0


@dataclass
class JobApi:
    """What the platform knows: jobs to give out, jobs to stop, and all that workers posted."""

    port: int
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(job id, body) in the order in which they came."""
    taken: list[str] = field(default_factory=list)
    _jobs: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    _stops: queue.Queue[str] = field(default_factory=queue.Queue)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def give(self, job_id: str, asked: object) -> None:
        self._jobs.put({"id": job_id, "input": asked})

    def stop(self, job_id: str) -> None:
        self._stops.put(job_id)

    def posted(self, job_id: str) -> list[dict[str, Any]]:
        with self._changed:
            return [body for name, body in self.posts if name == job_id]

    def wait_for(self, job_id: str, *, progress: bool = False) -> dict[str, Any]:
        """Return a job's final post, or with ``progress`` its first one of progress."""

        def found() -> list[dict[str, Any]]:
            return [body for name, body in self.posts if name == job_id and (_is_progress(body) == progress)]

        with self._changed:
            assert self._changed.wait_for(lambda: bool(found()), _WAIT_SECONDS), self.posts
            return found()[0]

    def environment(self) -> dict[str, str]:
        base = f"http://127.0.0.1:{self.port}/v2/ep"
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{base}/job-take/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{base}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_AI_API_KEY": SECRET,
            "RUNPOD_POD_ID": "pod-1",
            "RUNPOD_ENDPOINT_ID": "ep",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    def _next(self, waiting: queue.Queue[Any]) -> Any:
        try:
            return waiting.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None

    def _take(self, job_id: str, body: dict[str, Any]) -> None:
        with self._changed:
            self.posts.append((job_id, body))
            self._changed.notify_all()


def _is_progress(body: dict[str, Any]) -> bool:
    return body.get("status") == "IN_PROGRESS"


@contextmanager
def job_api() -> Iterator[JobApi]:
    """Serve the job API until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/job-take/" in self.path:
                job = api._next(api._jobs)
                if job is not None:
                    api.taken.append(job["id"])
                self._say(job)
            else:
                stop = api._next(api._stops)
                self._say(None if stop is None else {"jobsToStop": [stop]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            api._take(self.path.partition("?")[0].rsplit("/", 1)[1], json.loads(body))
            self._say({})

        def _say(self, value: object) -> None:
            data = b"" if value is None else json.dumps(value).encode()
            self.send_response(204 if value is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = JobApi(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Worker:
    process: subprocess.Popen[str]
    log: Path

    def ends(self, with_signal: int | None = None) -> int:
        """Perhaps send a signal; return the exit code."""
        if with_signal is not None:
            self.process.send_signal(with_signal)
        return self.process.wait(_WAIT_SECONDS)

    def text(self) -> str:
        return self.log.read_text()


@contextmanager
def worker_process(folder: Path, environment: dict[str, str], *words: str) -> Iterator[Worker]:
    """Start ``python handler.py`` with its folders under ``folder``; it is killed when the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "worker.log"
    own = {
        "UNDERSTUDY_WORK": str(folder / "work"),
        "UNDERSTUDY_OUTPUTS": str(folder / "outputs"),
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "handler.py", *words],
            cwd=ROOT,
            env={**os.environ, **own, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Worker(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(30)


def wait_until(is_so: Any, what: str) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + _WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)
