"""A stand-in of RunPod on loopback: the job API that the real SDK polls, the endpoint's API in front of the same queue,
and worker processes that take jobs from it.
"""

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
    taken_by: dict[str, str] = field(default_factory=dict)
    """Worker by job id."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What each job's ``input`` is."""
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The state of each job for /status."""
    cancelled: list[str] = field(default_factory=list)
    calls: int = 0
    """Of the endpoint's API."""
    _jobs: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    _to_stop: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def give(self, job_id: str, asked: object) -> None:
        with self._changed:
            self.asked[job_id] = asked
            self.states[job_id] = {"id": job_id, "status": "IN_QUEUE"}
        self._jobs.put({"id": job_id, "input": asked})

    def stop(self, job_id: str) -> None:
        """Tell the worker that has a job to stop it."""
        with self._changed:
            self._to_stop.append(job_id)
            self._changed.notify_all()

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

    def call(self, method: str, path: str, key: str | None, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a call of the endpoint's API."""
        if key != f"Bearer {SECRET}":
            return 401, {}
        with self._changed:
            self.calls += 1
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v2", "ep", "run"]:
                job_id = f"sent-{len(self.asked)}"
                self.give(job_id, body["input"])
                return 200, {"id": job_id, "status": "IN_QUEUE"}
            case ["GET", "v2", "ep", "status", job_id] if job_id in self.states:
                return 200, self.states[job_id]
            case ["POST", "v2", "ep", "cancel", job_id] if job_id in self.states:
                with self._changed:
                    self.cancelled.append(job_id)
                    if self.states[job_id]["status"] == "IN_PROGRESS":
                        self.stop(job_id)
                    if self.states[job_id]["status"] in ("IN_QUEUE", "IN_PROGRESS"):
                        self.states[job_id] = {"id": job_id, "status": "CANCELLED"}
                return 200, self.states[job_id]
        return 404, {}

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

    def _stopped(self, worker: str) -> str | None:
        """Return the next job that a worker must stop, or None after a while."""

        def own() -> list[str]:
            return [job_id for job_id in self._to_stop if self.taken_by.get(job_id) == worker]

        with self._changed:
            self._changed.wait_for(lambda: bool(own()), _POLL_SECONDS)
            stopped = own()
            if not stopped:
                return None
            self._to_stop.remove(stopped[0])
            return stopped[0]

    def _given(self, worker: str) -> Any:
        """Return the next job that is not cancelled, and record who takes it."""
        try:
            job = self._jobs.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None
        with self._changed:
            if self.states[job["id"]]["status"] != "IN_QUEUE":
                return None
            self.taken.append(job["id"])
            self.taken_by[job["id"]] = worker
            self.states[job["id"]] = {"id": job["id"], "status": "IN_PROGRESS"}
            self._changed.notify_all()
        return job

    def _take(self, job_id: str, body: dict[str, Any]) -> None:
        with self._changed:
            if job_id in self.states and self.states[job_id]["status"] == "IN_PROGRESS":
                status = "FAILED" if "error" in body else "COMPLETED"
                output = body.get("output")
                self.states[job_id] = {
                    "id": job_id, "status": "IN_PROGRESS" if _is_progress(body) else status, "output": output,
                }  # fmt: skip
            self.posts.append((job_id, body))
            self._changed.notify_all()


def _worker_of(path: str) -> str:
    """Return the worker in a URL's path, which ends with its id."""
    return path.partition("?")[0].rsplit("/", 1)[1]


def _is_progress(body: dict[str, Any]) -> bool:
    return body.get("status") == "IN_PROGRESS"


@contextmanager
def job_api() -> Iterator[JobApi]:
    """Serve the job API until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "/job-take/" in self.path:
                self._say(api._given(_worker_of(self.path)))
            elif "/status/" in self.path:
                self._say_call({})
            else:
                stop = api._stopped(_worker_of(self.path))
                self._say(None if stop is None else {"jobsToStop": [stop]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "/job-done/" not in self.path:
                self._say_call(json.loads(body) if body else {})
                return
            api._take(self.path.partition("?")[0].rsplit("/", 1)[1], json.loads(body))
            self._say({})

        def _say_call(self, body: dict[str, Any]) -> None:
            path = self.path.partition("?")[0]
            key = self.headers.get("Authorization")
            status, answer = api.call(self.command, path, key, body)
            self._say(answer, status)

        def _say(self, value: object, status: int = 200) -> None:
            data = b"" if value is None else json.dumps(value).encode()
            self.send_response(204 if value is None else status)
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
def worker_process(
    folder: Path, environment: dict[str, str], *words: str, program: tuple[str, ...] = ("handler.py",)
) -> Iterator[Worker]:
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
            [sys.executable, *program, *words],
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
