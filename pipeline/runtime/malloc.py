"""Limit glibc's arenas and return freed memory to the system: pictures are allocated and freed by the megabyte."""

from __future__ import annotations

import ctypes
from functools import lru_cache

_M_ARENA_MAX = -8
_ARENAS = 2
"""Each thread would get one of its own (up to eight a core), and keep there what it has freed."""
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1
_LARGE_BYTES = 4 * 2**20
"""A buffer of so many bytes has pages of its own, gone when it is freed, and a heap's free end of so many goes back.

glibc's own limits climb to 32 and 64 MiB with the buffers that it sees, and a long clip's peak with the holes between
them. Naming the first alone leaves the second at 128 KiB: pages go back and are taken again all the time (9 % of the
job's CPU time).
"""


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


@lru_cache(maxsize=1)
def limit_malloc_arenas() -> None:
    """Let all threads share two arenas and large buffers lie outside of them; once a process, before it has threads.

    Nothing happens without glibc.
    """
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def trim_malloc() -> None:
    """Give free memory back to the system; milliseconds, so between passes and not between frames."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
