"""Prefetching and ordered parallel maps in threads: decoding, compression and compiled code release the GIL.

The results do not depend on the number of threads. Threads live as long as the iterator: close it
(``contextlib.closing``) or exhaust it to end them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_T = TypeVar("_T")

_MOST_THREADS = 3
"""More hold more pictures, and wait for the interpreter."""


def usable_cores() -> int:
    """Return how many cores this process may use (``taskset`` and container pinning count, CPU quotas do not)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prefetch(items: Iterable[_T], depth: int = 2) -> Generator[_T]:
    """Yield ``items``; a thread computes up to ``depth`` of them ahead. An exception of ``items`` is raised at its
    position in the order. Closing waits for the item in progress, then closes ``items`` if it is a generator.
    """
    iterator = iter(items)
    end = object()
    # Log records of the thread belong to the same job.
    context = copy_context()

    def following() -> object:
        return next(iterator, end)

    # One thread takes its tasks in order, so that each `next` gives the next item.
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[object]] = deque()
        try:
            while True:
                while len(waiting) < depth:
                    waiting.append(pool.submit(context.run, following))
                item = waiting.popleft().result()
                if item is end:
                    return
                yield item  # type: ignore[misc]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(iterator, Generator):
                iterator.close()


def parallel_map(function: Callable[[_In], _Out], items: Iterable[_In], threads: int | None = None) -> Generator[_Out]:
    """Yield ``function(item)`` for each item in order, up to ``threads`` of them at a time: by default one for each
    core, and at most three.

    Items are taken in the caller's thread, at most ``threads + 1`` more than were requested. ``function`` must not
    change anything that another call reads. The first exception in order is raised; nothing follows it.
    """
    if threads is None:
        threads = min(usable_cores(), _MOST_THREADS)
    with ThreadPoolExecutor(threads, thread_name_prefix="map") as pool:
        waiting: deque[Future[_Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
