"""When another try may help, how long to wait before it, and when to give up: the same for every store and server."""

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
"""What stores of S3's and Azure's kind name a failure that passes, whatever its status is: S3 says 400 to some."""
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")
_DELAY = re.compile(r"\d{1,7}")
_T = TypeVar("_T")


class ServerFailed(Exception):
    """A failure that another try may mend; ``wait_seconds`` is what the server asks for, None where it does not."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


def is_passing(status: int, code: str = "") -> bool:
    """Return whether an HTTP answer is one that may be another one in a while; ``code`` is the store's own name."""
    return status >= 500 or status in _PASSING_STATUS or code in _PASSING_CODES


def error_code(body: bytes) -> str:
    """Return the name that S3, Azure and their kind give an error in an answer's body; "" where there is none."""
    found = _ERROR_CODE.search(body)
    return found[1].decode("ascii") if found else ""


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, a number or a date; None where it is missing or makes no sense."""
    text = str(headers.get("Retry-After") or headers.get("retry-after") or "").strip()
    if _DELAY.fullmatch(text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def pause_seconds(tries: int, wait_seconds: float | None) -> float:
    """Return how long to wait after so many tries, at least as long as the server asks for.

    Doubled each time, and spread by a half, so that the workers that one outage stopped do not come back as one.
    """
    pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 16))
    return max(pause * random.uniform(0.75, 1.25), wait_seconds or 0.0)


class _StopBefore(stop_base):
    """Ends where the next try would come after a time of ``time.monotonic``."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __call__(self, retry_state: RetryCallState) -> bool:
        return time.monotonic() + retry_state.upcoming_sleep >= self._deadline


def try_until(
    deadline: float, work: Callable[[], _T], stop: threading.Event, *, most_tries: int | None = None
) -> tuple[_T, int]:
    """Return ``work()`` and how often it was tried; after ``ServerFailed`` it is tried again.

    Ends with the last ``ServerFailed`` where the next try would come after ``deadline`` (of ``time.monotonic``), after
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
