"""Send progress to the platform from one thread, in order, and never after the job has ended."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

log = logging.getLogger("understudy.progress")
_POST_SECONDS = 4.0
"""Timeout of one update: a stalled one might arrive after the job's result."""
_LAST_POST_SECONDS = 5.0
"""How long a job waits at its end for an update in flight."""


class ProgressPoster:
    """Posts the newest update that it was given; a context manager around a job.

    The SDK's ``progress_update`` starts a thread per update: they are unordered, and the last may arrive after the
    result.
    """

    def __init__(self, post: Callable[[dict[str, object]], None]) -> None:
        self._post = post
        self._newest: dict[str, object] | None = None
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __call__(self, update: dict[str, object]) -> None:
        with self._changed:
            self._newest = update
            self._changed.notify()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._newest = None
            self._changed.notify()
        self._thread.join(_LAST_POST_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._newest is not None)
                if self._ended or self._newest is None:
                    return
                update = self._newest
                self._newest = None
            try:
                self._post(update)
            except Exception as error:
                # A job does not fail because its progress could not be reported.
                log.warning("progress could not be posted (%s)", type(error).__name__)


def post_to_platform(job: dict[str, Any]) -> Callable[[dict[str, object]], None]:
    """Return a function that posts one update the way the SDK does and returns once it was accepted or has failed."""
    from runpod.http_client import AsyncClientSession
    from runpod.serverless.modules.rp_http import send_result

    async def send(update: dict[str, object]) -> None:
        async with AsyncClientSession() as session:
            await send_result(session, {"status": "IN_PROGRESS", "output": update}, job)

    return lambda update: asyncio.run(asyncio.wait_for(send(update), _POST_SECONDS))
