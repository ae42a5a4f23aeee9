"""A hanging job is distinguished from a slow one; after its answer it delivers nothing, and the next is served."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import handler
from pipeline.errors import JobTimeout
from tests.support.job_runner import Runner, good_job
from worker import answer as answering
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.environment import read_worker_settings


def _busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_busy_thread_is_slow_and_a_sleeping_one_is_stuck() -> None:
    clock = CancelToken()
    time.sleep(0.3)
    assert clock.is_stuck(0.2) and not clock.is_stuck(10.0)
    clock.check()
    assert not clock.is_stuck(0.2)
    for _ in range(5):
        clock.check()
        _busy(0.3)
        # On a loaded machine others may have had the processor for most of that.
        if clock.seconds_since_check() < 0.6:
            break
    assert clock.seconds_since_check() > 0.2 and not clock.is_stuck(0.25)
    # What goes round in circles works as well: it is not waited for for ever.
    assert clock.is_stuck(0.01)


def test_the_first_reason_of_a_cancel_stays() -> None:
    clock = CancelToken()
    clock.cancel(JobTimeout("it hangs"))
    clock.cancel()
    with pytest.raises(JobTimeout, match="it hangs"):
        clock.check()


@pytest.mark.parametrize("state", [False, True])
def test_a_job_that_was_given_up_delivers_nothing_and_the_next_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: bool
) -> None:
    hangs = threading.Event()
    goes_on = threading.Event()
    real = answering.run_job

    def slow(*given: Any, **named: Any) -> Any:
        result = real(*given, **{**named, "check": lambda: None})
        if not hangs.is_set():
            hangs.set()
            goes_on.wait(60)
        return result

    monkeypatch.setattr(answering, "run_job", slow)
    runner = Runner(tmp_path, environment={"UNDERSTUDY_STATE_DIR": str(tmp_path / "state")} if state else {})
    worker = replace(read_worker_settings(runner.variables, "local"), stall_seconds=1.0)
    handle = handler.make_handler(Arguments(None, (), (), "api", ()), worker, models=runner.models)

    async def jobs() -> tuple[Any, Any, list[Path]]:
        given_up = await handle({"id": "first", "input": good_job()})
        goes_on.set()
        # The second waits for the first one's thread, which must end silently.
        long = replace(worker, stall_seconds=60.0)
        object.__setattr__(worker, "stall_seconds", long.stall_seconds)
        second = await handle({"id": "second", "input": good_job()})
        return given_up, second, [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]

    given_up, second, files = asyncio.run(jobs())
    assert given_up["error_code"] in ("TIMEOUT", "ENCODE_FAILED") and given_up["refresh_worker"] is True
    assert second.get("frames_replaced", 0) > 0, second
    assert files and {path.parent.name for path in files} == {"second"}
