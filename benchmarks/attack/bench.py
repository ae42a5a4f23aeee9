"""The test bench of a group of attacks: a worker that answers jobs, and a record of each outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.job_runner import Runner, good_job

EXTRA_SECONDS = 5.0
_UNDEFINED = frozenset({"INTERNAL"})


@dataclass(frozen=True)
class Tried:
    """One attack and its outcome."""

    name: str
    outcome: str
    """The answer's code, ``OK``, or what happened instead of an answer."""
    is_defined: bool
    seconds: float
    note: str = ""


@dataclass
class Bench:
    """A working folder, and a worker whose models are loaded once."""

    folder: Path
    seed: int = 0
    _good_seconds: float = 0.0
    _workers: dict[tuple[tuple[str, str], ...], Runner] = field(default_factory=dict)

    def worker(self, environment: Mapping[str, str] | None = None) -> Runner:
        """Return a worker with these environment variables; all share their models."""
        key = tuple(sorted((environment or {}).items()))
        if key not in self._workers:
            models = {"models": self._workers[()].models} if self._workers else {}
            self._workers[key] = Runner(self.folder, environment=dict(key), **models)  # type: ignore[arg-type]
        return self._workers[key]

    def good(self, worker: Runner | None = None) -> Tried:
        """Run a job that must succeed, as it must after every attack; nothing but its result may be left."""
        worker = worker or self.worker()
        begin = time.monotonic()
        answer = worker.answer(good_job(), "good")
        seconds = time.monotonic() - begin
        self._good_seconds = max(self._good_seconds, seconds)
        is_good = answer.get("frames_replaced", 0) > 0
        clear(worker)
        return Tried("a good job afterwards", str(answer.get("error_code", "OK")), is_good, seconds)

    def job(
        self,
        name: str,
        asked: object,
        *,
        allowed: Collection[str],
        worker: Runner | None = None,
        most_seconds: float | None = None,
        most_mib: float = 1500.0,
        **how: Any,
    ) -> Tried:
        """Answer a hostile job; defined means a code of ``allowed``, in time, with bounded memory and no files left."""
        worker = worker or self.worker()
        before = _rss_mib()
        begin = time.monotonic()
        with Peak() as peak:
            answer = worker.answer(asked, "attack", **how)
        seconds = time.monotonic() - begin
        outcome = str(answer.get("error_code", "OK" if answer else "CANCELLED"))
        faults = []
        if outcome not in allowed or outcome in _UNDEFINED:
            faults.append(f"expected {' or '.join(sorted(allowed))}: {answer.get('error', '')}")
        limit = most_seconds or 2 * self._good_seconds + EXTRA_SECONDS
        if seconds > limit:
            faults.append(f"took {seconds:.1f} s of {limit:.1f}")
        if peak.mib - before > most_mib:
            faults.append(f"took {peak.mib - before:.0f} MiB")
        if outcome != "OK" and worker.left():
            faults.append(f"left {len(worker.left())} files")
        clear(worker)
        return Tried(name, outcome, not faults, seconds, "; ".join(faults))


def clear(worker: Runner) -> None:
    """Remove a job's results."""
    for path in worker.left():
        path.unlink()


def timed(name: str, work: Callable[[], object], most_seconds: float) -> Tried:
    """Run something that must end in time, without an exception."""
    begin = time.monotonic()
    try:
        work()
    except Exception as error:
        return Tried(name, type(error).__name__, False, time.monotonic() - begin, str(error)[:200])
    seconds = time.monotonic() - begin
    return Tried(name, "OK", seconds <= most_seconds, seconds, "" if seconds <= most_seconds else "too slow")


class Peak:
    """The peak memory of this process and its children while the block runs, by sampling."""

    def __enter__(self) -> Peak:
        import threading

        self.mib = _rss_mib()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self.mib = max(self.mib, _rss_mib())


def _rss_mib() -> float:
    total = 0
    process = psutil.Process()
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20
