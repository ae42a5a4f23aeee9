"""Full, read-only and vanished disks in every pass: ``NO_SPACE``, and finished passes are kept for the next attempt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

from benchmarks.attack.bench import Bench, Tried
from tests.support.job_runner import WALK, Runner
from worker import answer as answering

_SIZES = ("64k", "256k", "512k", "1m", "1500k", "2m", "3m", "4m", "5m", "6m", "7m", "8m", "9m")
_ASKED = {"video_url": str(WALK), "start_s": 1.5, "end_s": 2.2}


def run(bench: Bench) -> Iterator[Tried]:
    """Answer a job on each disk, once as it is and once as if it had filled up after the work began."""
    yield bench.good()
    if not _can_mount(bench.folder / "probe"):
        yield Tried("full disks: no right to mount here", "not tried", True, 0.0)
        return
    models = bench.worker().models
    for size in _SIZES:
        for is_known in (True, False):
            checked = nullcontext() if is_known else _unchecked()
            with checked, _disk(bench.folder / f"disk-{size}", size) as folder:
                worker = Runner(folder, models=models)
                how = "" if is_known else ", filling up"
                yield bench.job(f"{size}{how}", _ASKED, allowed={"NO_SPACE", "OK"}, worker=worker, most_seconds=120.0)
    for size in ("100k", "1m", "4m", "8m"):
        with _unchecked(), _disk(bench.folder / f"state-{size}", size) as folder:
            variables = {"UNDERSTUDY_STATE_DIR": str(folder)}
            worker = Runner(bench.folder, environment=variables, models=models)
            yield _kept(bench, worker, folder, size)
    with _disk(bench.folder / "readonly", "8m") as folder:
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        worker = Runner(bench.folder, environment={"UNDERSTUDY_WORK": str(folder / "work")}, models=models)
        yield bench.job("work folder read-only", _ASKED, allowed={"NO_SPACE"}, worker=worker)
    yield bench.good()


def _unchecked() -> AbstractContextManager[object]:
    """Skip the check of the disk before the work, as if it filled up afterwards."""
    return patch.object(answering, "check_disk", lambda *_: None)


def _kept(bench: Bench, worker: Runner, folder: Path, size: str) -> Tried:
    """Answer a job whose state volume is small."""
    from worker import resume

    least = resume._LEAST_FREE_BYTES
    resume._LEAST_FREE_BYTES = 0
    try:
        tried = bench.job(
            f"state volume of {size}", _ASKED, allowed={"NO_SPACE", "OK"}, worker=worker, most_seconds=120.0
        )
    finally:
        resume._LEAST_FREE_BYTES = least
    # Files kept on that disk are not leftovers: the next attempt resumes from them.
    is_only_kept = tried.note.startswith("left") and ";" not in tried.note
    return Tried(tried.name, tried.outcome, tried.is_defined or is_only_kept, tried.seconds, tried.note)


def _can_mount(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    try:
        with _disk(folder, "1m"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
