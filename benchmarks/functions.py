"""Profile the pipeline's functions: CPU ms per frame and bytes touched, over all threads, from one job.

``benchmarks.speed --functions 40`` prints the tables. A function's own time is the CPU time of its thread between call
and return, without other functions of the pipeline: OpenCV, numpy and compiled kernels count towards their caller.
Generators count while they run, module bodies while they are imported, including what they import from outside. Bytes
are those of the arrays among a function's arguments, locals and result: a lower bound of what it touched. What cannot
be attributed is listed separately: threads started by libraries, and the decoder process.

Profiling costs about a tenth; figures of the whole job are measured without it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

_PACKAGE = str(Path(__file__).resolve().parents[1] / "pipeline") + os.sep


@dataclass(frozen=True, slots=True)
class FunctionCost:
    """One function, over all its calls."""

    name: str
    """``finish/composite.compose``; a nested function is listed separately, a comprehension counts towards its
    function."""
    calls: int
    own_seconds: float
    total_seconds: float
    """Including its callees in the same thread."""
    bytes_touched: int

    @property
    def room(self) -> str:
        """Its folder, ``imports``, or ``pipeline`` for modules outside the folders."""
        if self.name.endswith("<module>"):
            return "imports"
        return self.name.split("/")[0] if "/" in self.name else "pipeline"


class _Tally:
    __slots__ = ("bytes_touched", "calls", "own_ns", "total_ns")

    def __init__(self) -> None:
        self.calls = 0
        self.own_ns = 0
        self.total_ns = 0
        self.bytes_touched = 0


class Profiler:
    """Counts every call of the pipeline's functions, in all threads that start after it."""

    def __init__(self) -> None:
        self._threads: list[dict[CodeType, _Tally]] = []
        self._local = threading.local()

    def start(self) -> None:
        threading.setprofile(self._event)
        sys.setprofile(self._event)

    def stop(self) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    @property
    def seconds(self) -> float:
        """CPU time attributed to functions."""
        return sum(tally.own_ns for tallies in self._threads for tally in tallies.values()) / 1e9

    def costs(self) -> list[FunctionCost]:
        """Return the functions, most expensive first."""
        merged: dict[CodeType, _Tally] = {}
        for tallies in self._threads:
            for code, tally in tallies.items():
                whole = merged.setdefault(code, _Tally())
                for field in _Tally.__slots__:
                    setattr(whole, field, getattr(whole, field) + getattr(tally, field))
        found = [
            FunctionCost(_name(code), tally.calls, tally.own_ns / 1e9, tally.total_ns / 1e9, tally.bytes_touched)
            for code, tally in merged.items()
        ]
        return sorted(found, key=lambda cost: -cost.own_seconds)

    def _event(self, frame: FrameType, event: str, result: Any) -> None:
        if event == "call":
            code = frame.f_code
            if _counts(code):
                # Code, start, and the time of its callees.
                self._stack().append([code, time.thread_time_ns(), 0])
        elif event == "return":
            code = frame.f_code
            if _counts(code):
                stack = self._stack()
                if stack and stack[-1][0] is code:
                    self._returned(stack, frame, result)

    def _returned(self, stack: list[list[Any]], frame: FrameType, result: Any) -> None:
        code, begin, below = stack.pop()
        elapsed = time.thread_time_ns() - begin
        tally = self._local.tallies.setdefault(code, _Tally())
        tally.calls += 1
        tally.own_ns += elapsed - below
        tally.total_ns += elapsed
        if code.co_name != "<module>":
            tally.bytes_touched += _bytes_of((*frame.f_locals.values(), result))
        if stack:
            # The overhead of counting is attributed to no function.
            stack[-1][2] += elapsed

    def _stack(self) -> list[list[Any]]:
        stack: list[list[Any]] | None = getattr(self._local, "stack", None)
        if stack is None:
            stack = []
            self._local.stack = stack
            self._local.tallies = {}
            self._threads.append(self._local.tallies)
        return stack


def _counts(code: CodeType) -> bool:
    return code.co_filename.startswith(_PACKAGE) and (code.co_name[0] != "<" or code.co_name == "<module>")


def _bytes_of(values: Iterable[Any]) -> int:
    """Return the total bytes of the arrays among some values, each counted once."""
    arrays = {id(value): value.nbytes for value in values if isinstance(value, np.ndarray)}
    return sum(arrays.values())


def _name(code: CodeType) -> str:
    module = code.co_filename.removeprefix(_PACKAGE).removesuffix(".py")
    return f"{module}.{code.co_qualname.replace('<locals>.', '')}"


_JOB = """
import json, sys
from benchmarks.functions import profile_job
print(json.dumps(profile_job(*sys.argv[1:4], sys.argv[4:])))
"""


def profile_job(clip: str, work: str, preset: str, overrides: list[str]) -> dict[str, Any]:
    """Run a job under the profiler in this process, which has not imported the pipeline yet."""
    begin = time.process_time()
    profiler = Profiler()
    profiler.start()
    from conf import compose_settings
    from pipeline.models.loaded import load_models
    from pipeline.request import JobRequest
    from pipeline.run import run_job

    settings = compose_settings(preset, overrides)
    request = JobRequest(Path(clip), Path(work) / "out")
    result = run_job(request, settings, load_models(settings), Path(work) / "space")
    profiler.stop()
    whole = time.process_time() - begin
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "frames": result.report.frames,
        "elsewhere": whole - profiler.seconds,
        "decoder": children.ru_utime + children.ru_stime,
        "functions": [asdict(cost) for cost in profiler.costs()],
    }


def tables(clip: Path, work: Path, most: int, overrides: list[str], preset: str = "preview") -> str:
    """Profile a job in its own process; return one table by folder and one of the most expensive functions."""
    # Imported here, because this module is imported by the process being measured.
    from benchmarks.speed import measured

    run = measured([sys.executable, "-c", _JOB, str(clip), str(work), preset, *overrides])
    facts = json.loads(run.output.splitlines()[-1])
    frames = facts["frames"]
    costs = [FunctionCost(**cost) for cost in facts["functions"]]
    rooms: dict[str, float] = {"decoder's process": facts["decoder"], "libraries, start-up": facts["elsewhere"]}
    for cost in costs:
        rooms[cost.room] = rooms.get(cost.room, 0.0) + cost.own_seconds
    whole = sum(rooms.values())
    lines = [f"CPU by folder, {1000 * whole / frames:.1f} ms a frame of {frames}"]
    for room, seconds in sorted(rooms.items(), key=lambda item: -item[1]):
        lines.append(f"  {1000 * seconds / frames:7.2f} ms {100 * seconds / whole:4.0f} %  {room}")
    lines.append("   own ms  total ms   calls      MB  a frame")
    for cost in costs[:most]:
        lines.append(
            f"  {1000 * cost.own_seconds / frames:7.2f}   {1000 * cost.total_seconds / frames:7.2f} "
            f"{cost.calls / frames:7.2f} {cost.bytes_touched / frames / 1e6:7.1f}  {cost.name}"
        )
    return "\n".join(lines)
