"""Work in daemon threads: an unresponsive server delays neither a cancellation nor a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_POLL_SECONDS = 0.05
_T = TypeVar("_T")


def wait_until(is_done: Callable[[], bool], check: Callable[[], None], deadline: float) -> bool:
    """Return True once ``is_done``, False once ``deadline`` (of ``time.monotonic``) has passed.

    ``check`` is called several times a second and may raise.
    """
    while not is_done():
        check()
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def start_thread(work: Callable[[], _T], name: str) -> Future[_T]:
    """Run ``work`` in a daemon thread and return its future."""
    ended: Future[_T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            ended.set_exception(error)
        else:
            ended.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended
