"""When a job must stop: it was cancelled, or its time is over."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import Cancelled, JobTimeout


class CancelToken:
    """A token that the job's thread asks at every frame, and that any other thread may set."""

    def __init__(self, seconds: float | None = None) -> None:
        self._stop = threading.Event()
        self._seconds = seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._last_check = time.monotonic()
        self.stage = "fetch"
        """What the job is doing; whoever reports progress sets it."""

    def cancel(self) -> None:
        """Let the job end at its next look at the clock."""
        self._stop.set()

    def check(self) -> None:
        """Raise ``Cancelled`` or ``JobTimeout`` where the job must stop."""
        self._last_check = time.monotonic()
        if self._stop.is_set():
            raise Cancelled("the job was cancelled")
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise JobTimeout(f"the job did not end within {self._seconds:g} s")

    def seconds_left(self) -> float | None:
        """Return the time left; None where there is no limit."""
        return None if self._deadline is None else self._deadline - time.monotonic()

    def seconds_since_check(self) -> float:
        """Return how long the job has not looked at the clock: it hangs, or does one thing for long."""
        return time.monotonic() - self._last_check


@contextmanager
def stopped_by_signals(clock: CancelToken) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM cancel a local job; on the platform the SDK has its own way: it ends after the job."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        for each in signals:
            loop.add_signal_handler(each, clock.cancel)
    except (ValueError, RuntimeError):
        # Not the main thread: whoever runs the loop there has the signals.
        yield
        return
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
