"""Kill, stop and crash the decoder process in the middle of a job: that job fails, the next one is served."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil

from benchmarks.attack.bench import Bench, Tried
from pipeline.media.decoder_process import DecoderProcess
from tests.support.job_runner import WALK

_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGXCPU, signal.SIGBUS)


def run(bench: Bench) -> Iterator[Tried]:
    """Send each signal at several moments, then cancel while a clip is being opened."""
    yield bench.good()
    for number in _SIGNALS:
        for delay in (0.0, 1.0):
            killer = threading.Thread(target=_kill_decoders, args=(delay, number), daemon=True)
            killer.start()
            yield bench.job(
                f"{number.name} after {delay} s",
                {"video_url": str(WALK), "end_s": 1.5},
                # A job that no longer reads its clip is unaffected.
                allowed={"UNSUPPORTED_MEDIA", "TOO_LARGE", "OK"},
                most_seconds=120.0,
            )
            killer.join()
        yield bench.good()
    patience = DecoderProcess.silent_seconds
    DecoderProcess.silent_seconds = 2.0
    killer = threading.Thread(target=_kill_decoders, args=(0.3, signal.SIGSTOP), daemon=True)
    killer.start()
    yield bench.job(
        "stopped",
        {"video_url": str(WALK), "end_s": 1.5},
        allowed={"UNSUPPORTED_MEDIA", "TOO_LARGE", "OK"},
        most_seconds=60.0,
    )
    DecoderProcess.silent_seconds = patience
    for delay in (0.1, 1.0):
        yield bench.job(
            f"cancelled after {delay} s", {"video_url": str(WALK)}, allowed={"CANCELLED"}, cancel_after=delay
        )
    yield bench.good()
    left = [each for each in psutil.Process().children(recursive=True) if _is_decoder(each)]
    # One process may be waiting for the next clip.
    yield Tried("decoders afterwards", str(len(left)), len(left) <= 1, 0.0)


def _kill_decoders(delay: float, number: signal.Signals) -> None:
    """Send a signal to the decoder process of a job, once there is one."""
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        for each in psutil.Process().children(recursive=True):
            if _reads(each):
                time.sleep(delay)
                os.kill(each.pid, number)
                return
        time.sleep(0.02)


def _reads(process: psutil.Process) -> bool:
    """Return whether this is a decoder process that has the clip open."""
    try:
        return _is_decoder(process) and any(file.path == str(WALK) for file in process.open_files())
    except psutil.Error:
        return False


def _is_decoder(process: psutil.Process) -> bool:
    try:
        return "pipeline.media.decoder_main" in process.cmdline()
    except psutil.Error:
        return False
