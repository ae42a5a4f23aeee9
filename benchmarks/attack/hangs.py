"""Jobs that hang in each stage: answered in time, nothing delivered afterwards, the next job served."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import handler
from benchmarks.attack.bench import Bench, Tried, clear
from tests.support.job_runner import good_job
from worker import answer as answering
from worker.command_line import Arguments
from worker.environment import read_worker_settings

_STALL_SECONDS = 2.0


def run(bench: Bench) -> Iterator[Tried]:
    """Block a job before, during and after its work, longer than it may go without progress."""
    yield bench.good()
    for place in ("open_untrusted", "run_job", "choose_destination"):
        for is_after in (False, True):
            yield _hang(bench, place, is_after)
    yield bench.good()


def _hang(bench: Bench, place: str, is_after: bool) -> Tried:
    worker = bench.worker()
    settings = replace(read_worker_settings(worker.variables, "local"), stall_seconds=_STALL_SECONDS)
    goes_on = threading.Event()
    real = getattr(answering, place)
    held: list[int] = []

    def holding(*given: Any, **named: Any) -> Any:
        result = real(*given, **named) if is_after else None
        if not held:
            held.append(1)
            goes_on.wait(60.0)
        return result if is_after else real(*given, **named)

    async def jobs() -> tuple[dict[str, Any], float, dict[str, Any]]:
        handle = handler.make_handler(Arguments(None, (), (), "api", ()), settings, models=worker.models)
        begin = time.monotonic()
        first = await handle({"id": "held", "input": good_job()})
        seconds = time.monotonic() - begin
        goes_on.set()
        await asyncio.sleep(0.5)
        # The blocked job's thread must end first; under load the next job may take longer than the stall limit.
        for _ in range(20):
            second: dict[str, Any] = await handle({"id": "next", "input": good_job()})
            if "error_code" not in second:
                break
        return first, seconds, second

    setattr(answering, place, holding)
    try:
        first, seconds, second = asyncio.run(jobs())
    finally:
        setattr(answering, place, real)
    delivered = [path for path in worker.left() if path.parent.name == "held"]
    faults = []
    if first.get("error_code") not in ("TIMEOUT", "ENCODE_FAILED") or not first.get("refresh_worker"):
        faults.append(f"the held job was answered {first.get('error_code', 'OK')}")
    if delivered:
        faults.append(f"it delivered {len(delivered)} files after its answer")
    if "error_code" in second:
        faults.append(f"the next was answered {second['error_code']}: {second['error']}")
    clear(worker)
    when = "after" if is_after else "before"
    return Tried(f"held {when} {place}", str(first.get("error_code", "OK")), not faults, seconds, "; ".join(faults))
