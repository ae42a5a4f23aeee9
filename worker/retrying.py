"""Retry policy for every store and server: which failures are transient, how long to wait, when to give up."""

from __future__ import annotations

import email.utils
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_when_event_set,
)
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_base

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
_PASSING_STATUS = frozenset({408, 425, 429})
_PASSING_CODES = frozenset(
    {
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "IncompleteBody",
        "InternalError",
        "ServiceUnavailable",
        "ServerBusy",
        "OperationTimedOut",
        "OperationAborted",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "XMinioServerNotInitialized",
    }
)
"""Error codes of S3-like stores and Azure for transient failures, whatever the status (S3 uses 400 for some)."""
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
_DELAY = re.compile(r"\d{1,7}")
_T = TypeVar("_T")


class ServerFailed(Exception):
    """A transient failure. ``wait_seconds`` is the delay that the server requested, or None."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


def is_passing(status: int, code: str = "") -> bool:
    """Return whether an HTTP response reports a transient failure; ``code`` is the store's own error code."""
    return status >= 500 or status in _PASSING_STATUS or code in _PASSING_CODES


def error_code(body: bytes) -> str:
    """Return the error code that S3, Azure and similar stores put into a response body; "" if there is none."""
    found = _ERROR_CODE.search(body)
    return found[1].decode("ascii") if found else ""


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date; None if it is missing or invalid."""
    text = str(headers.get("Retry-After") or headers.get("retry-after") or "").strip()
    if _DELAY.fullmatch(text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def pause_seconds(tries: int, wait_seconds: float | None) -> float:
    """Return how long to wait after ``tries`` attempts, at least as long as the server requested.

    Exponential backoff with 25 % of jitter to either side, so that workers stopped by one outage do not all return at
    once.
    """
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 16))
    return max(pause * random.uniform(0.75, 1.25), wait_seconds or 0.0)


class _StopBefore(stop_base):
    """Stops retrying if the next attempt would start after a time of ``time.monotonic``."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __call__(self, retry_state: RetryCallState) -> bool:
        return time.monotonic() + retry_state.upcoming_sleep >= self._deadline


def try_until(
    deadline: float, work: Callable[[], _T], stop: threading.Event, *, most_tries: int | None = None
) -> tuple[_T, int]:
    """Return ``work()`` and the number of attempts; ``ServerFailed`` leads to another one.

    Raises the last ``ServerFailed`` if the next attempt would start after ``deadline`` (of ``time.monotonic``), after
    ``most_tries``, or once ``stop`` is set, which also ends a pause.
    """

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        return pause_seconds(state.attempt_number, error.wait_seconds if isinstance(error, ServerFailed) else None)

    ends: stop_base = stop_when_event_set(stop) | _StopBefore(deadline)
    if most_tries is not None:
        ends = ends | stop_after_attempt(most_tries)
    retrying = Retrying(
        retry=retry_if_exception_type(ServerFailed),
        stop=ends,
        wait=pause,
        sleep=sleep_using_event(stop),
        reraise=True,
    )
    result = retrying(work)
    return result, retrying.statistics["attempt_number"]
