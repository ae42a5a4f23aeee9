"""glibc's heap, kept small: pictures come and go by the megabyte, and what is freed should go back to the system."""

from __future__ import annotations

import ctypes
from functools import lru_cache

_M_ARENA_MAX = -8
_ARENAS = 2
"""Each thread would get one of its own (up to eight a core), and keep there what it has freed."""


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


@lru_cache(maxsize=1)
def settle_heap() -> None:
    """Let all threads share two arenas; once a process, before it has threads. Nothing happens without glibc."""
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim_heap() -> None:
    """Give free memory back to the system; milliseconds, so between passes and not between frames."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
