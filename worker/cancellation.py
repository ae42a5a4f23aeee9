"""Cancellation and time limits of a job."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import Cancelled, JobTimeout, UnderstudyError

_BUSY_SHARE = 0.2
"""Fraction of one core: a job that uses more CPU time than this is slow, not stalled."""
_PATIENCE = 4.0
"""Factor by which a busy job may exceed the stall limit; finite, since an endless loop is busy as well."""


class CancelToken:
    """A token that the job's thread checks at every frame and that any other thread may set."""

    def __init__(self, seconds: float | None = None) -> None:
        self._stop = threading.Event()
        self._seconds = seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._reason: UnderstudyError = Cancelled("the job was cancelled")
        self._last_check = time.monotonic()
        self._cpu_last_check = time.process_time()
        self.stage = "fetch"
        """Current stage of the job; set by whoever reports progress."""

    def cancel(self, reason: UnderstudyError | None = None) -> None:
        """Make the job end at its next check; the first ``reason`` given is the one it raises."""
        if not self._stop.is_set():
            self._reason = reason or self._reason
            self._stop.set()

    def check(self) -> None:
        """Raise ``Cancelled`` or ``JobTimeout`` if the job must stop."""
        self._last_check = time.monotonic()
        self._cpu_last_check = time.process_time()
        if self._stop.is_set():
            raise self._reason
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise JobTimeout(f"the job did not finish within {self._seconds:g} s")

    def seconds_left(self) -> float | None:
        """Return the seconds left, or None if there is no limit."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def seconds_since_check(self) -> float:
        """Return the seconds since the job's last check; large if it has stalled or is in one long step."""
        return time.monotonic() - self._last_check

    def is_stuck(self, stall_seconds: float) -> bool:
        """Return whether the job counts as stalled: no check for ``stall_seconds`` while idle, or for far longer."""
        silent = self.seconds_since_check()
        worked = time.process_time() - self._cpu_last_check
        is_slow = worked > _BUSY_SHARE * silent and silent <= _PATIENCE * stall_seconds
        return silent > stall_seconds and not is_slow


@contextmanager
def stopped_by_signals(cancel_token: CancelToken) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM cancel a local job. On the platform the SDK handles signals: it exits after the job."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        for each in signals:
            loop.add_signal_handler(each, cancel_token.cancel)
    except (ValueError, RuntimeError):
        # Not the main thread: its event loop handles the signals.
        yield
        return
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
