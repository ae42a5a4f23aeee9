"""Limit glibc's arenas and return freed memory to the system: pictures are allocated and freed by the megabyte."""

from __future__ import annotations

import ctypes
from functools import lru_cache

_M_ARENA_MAX = -8
_ARENAS = 2
"""By default each thread gets its own arena (up to eight per core), which keeps freed memory."""
_M_MMAP_THRESHOLD = -3
_M_TRIM_THRESHOLD = -1
_LARGE_BYTES = 4 * 2**20
"""Buffers of at least this size are mapped separately and unmapped when freed (``M_MMAP_THRESHOLD``), and a free heap
top of this size is returned (``M_TRIM_THRESHOLD``). glibc's dynamic limits grow to 32 and 64 MiB, and a long clip's
peak grows with the resulting fragmentation.

Setting only the first leaves the second at 128 KiB: pages are returned and requested again all the time (9 % of the
job's CPU time).
"""


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


@lru_cache(maxsize=1)
def limit_malloc_arenas() -> None:
    """Let all threads share two arenas and keep large buffers outside them; once per process, before it has threads.

    No effect without glibc.
    """
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def trim_malloc() -> None:
    """Return free memory to the system; takes milliseconds, so call it between passes, not between frames."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
