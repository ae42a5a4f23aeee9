"""A stand-in for RunPod's endpoint API on loopback, as its documents describe it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

API_KEY = "key-of-the-test"
State = dict[str, Any] | int
"""The answer to one /status, without the id; or an HTTP status instead of one."""
Worker = Callable[[str, dict[str, Any]], list[State]]
"""Takes a job's id and body, returns its states in turn; the last one is given for ever."""


@dataclass(slots=True)
class EndpointServer:
    """Requests so far, and the remaining states of each job."""

    worker: Worker
    port: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Bodies by job id, in the order in which they came."""
    cancelled: list[str] = field(default_factory=list)
    most_at_once: int = 0
    refusals: list[int] = field(default_factory=list)
    """HTTP statuses for the next calls of /run, instead of a job."""
    states: dict[str, list[State]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"

    def answer(self, method: str, path: str, key: str | None, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if key != f"Bearer {API_KEY}":
            return 401, {}
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v2", "ep1", "run"]:
                with self.lock:
                    if self.refusals:
                        return self.refusals.pop(0), {}
                return 200, {"id": self._take(body), "status": "IN_QUEUE"}
            case ["POST", "v2", "ep1", "runsync"]:
                job_id = self._take(body)
                self.threads[-1].join(30)
                return 200, {"id": job_id, **self.states[job_id][-1]}  # type: ignore[dict-item]
            case ["POST", "v2", "ep1", "retry", job_id] if job_id in self.states:
                return 200, {"id": job_id, "status": "IN_QUEUE"}
            case ["GET", "v2", "ep1", "status", job_id] if job_id in self.states:
                with self.lock:
                    left = self.states[job_id]
                    state = left.pop(0) if len(left) > 1 else left[0]
                return (state, {}) if isinstance(state, int) else (200, {"id": job_id, **state})
            case ["POST", "v2", "ep1", "cancel", job_id] if job_id in self.states:
                with self.lock:
                    self.cancelled.append(job_id)
                    self.states[job_id] = [{"status": "CANCELLED"}]
                return 200, {"id": job_id, "status": "CANCELLED"}
        return 404, {}

    def _take(self, body: dict[str, Any]) -> str:
        with self.lock:
            job_id = f"job-{len(self.jobs)}"
            self.jobs[job_id] = body
            self.states[job_id] = [{"status": "IN_QUEUE"}]
            self.threads.append(threading.Thread(target=self._work, args=(job_id, body), daemon=True))
            self.threads[-1].start()
        return job_id

    def _work(self, job_id: str, body: dict[str, Any]) -> None:
        states = list(self.worker(job_id, body))
        with self.lock:
            if job_id not in self.cancelled:
                self.states[job_id] = states
            under_way = [left for left in self.states.values() if len(left) > 1]
            self.most_at_once = max(self.most_at_once, len(under_way))


@contextmanager
def endpoint_server(worker: Worker) -> Iterator[EndpointServer]:
    """Serve the endpoint ``ep1`` until the block ends."""
    told = EndpointServer(worker)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = told.answer(
                self.command,
                self.path.partition("?")[0],
                self.headers.get("Authorization"),
                json.loads(text) if text else {},
            )
            body = json.dumps(answer).encode()
            self.send_response(status)
            # Said, so that no client sends its next call into a connection that is being closed.
            self.send_header("Connection", "close")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        for each in (thread, *told.threads):
            each.join(60)
        server.server_close()
