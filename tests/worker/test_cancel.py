"""Cancelling a job in every stage."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import handler
from tests.support.http_server import drip, http_server
from tests.support.job_runner import WALK_SMALL, Runner
from tests.support.put_server import put_server
from worker.command_line import Arguments
from worker.environment import read_worker_settings
from worker.progress import ConsoleProgress


def test_a_job_can_be_cancelled_in_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker: each job must get as far as its stage after the one before was cancelled, and the last one ends."""
    runner = Runner(tmp_path, environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
    for stage in ("fetch", "survey", "plate", "perform", "finish", "deliver"):
        with monkeypatch.context() as patch:
            _cancel_in(stage, runner, patch)
        assert not runner.left(), stage
    runner.does_a_good_job()


def _cancel_in(stage: str, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()

    class Watched(ConsoleProgress):
        def __call__(self, at: str, done: int, total: int) -> None:
            if at == stage:
                began.set()
            super().__call__(at, done, total)

    monkeypatch.setattr(handler, "ConsoleProgress", Watched)
    worker = read_worker_settings(runner.variables, "local")

    async def cancelled(asked: dict[str, Any]) -> None:
        job = asyncio.ensure_future(
            handler.make_handler(Arguments(None, (), (), "local", ()), worker)({"id": "c", "input": asked})
        )
        await asyncio.to_thread(began.wait, 300)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    def hold(sock: socket.socket, over: threading.Event) -> None:
        began.set()
        drip(b"HTTP/1.1 200 OK\r\n\r\n")(sock, over)

    with http_server({"/slow.mp4": hold}) as server, put_server() as puts:
        asked: dict[str, Any] = {"video_url": str(WALK_SMALL), "start_s": 1.0, "end_s": 1.3}
        if stage == "fetch":
            asked["video_url"] = server.url("/slow.mp4")
        if stage == "deliver":
            monkeypatch.setattr("worker.delivery.presigned.requests.Session", None, raising=False)
            monkeypatch.setattr("worker.delivery.destination.put_file", _held(began))
            asked["upload_url"] = f"http://127.0.0.1:{puts.port}/x"
        asyncio.run(cancelled(asked))
    assert began.is_set(), stage


def _held(began: threading.Event) -> Any:
    def put_file(*_: object, check: Any, **__: object) -> None:
        began.set()
        while True:
            check()
            threading.Event().wait(0.01)

    return put_file
