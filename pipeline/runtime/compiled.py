"""numba's ``njit``, typed, and compiled once by processes that start together."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numba
from numba.core.compiler_lock import global_compiler_lock

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


def njit(**options: Any) -> _Decorator:
    """``numba.njit``, whose cache several processes may fill at the same time.

    numba itself does not lock its cache: processes that start together each compile every kernel, and two of them that
    add different argument types to one kernel give them the same file, so that a later process calls the wrong code.
    """
    plain = numba.njit(**options)
    if not options.get("cache"):
        return plain

    def decorated(function: _Function) -> _Function:
        kernel = plain(function)
        compile_here = kernel.compile

        def compile_once(signature: Any) -> Any:
            # numba's lock of this process first: a thread that has it may need this kernel for its own.
            with global_compiler_lock, _locked(kernel):
                return compile_here(signature)

        kernel.compile = compile_once
        return kernel

    return decorated


@contextmanager
def _locked(kernel: Any) -> Iterator[None]:
    """Let one process at a time compile ``kernel`` or load it from the cache, where there is a folder to write to."""
    folder = kernel._cache.cache_path
    name = f"{Path(kernel.py_func.__code__.co_filename).stem}.{kernel.__name__}.lock"
    try:
        lock = (Path(folder) / name).open("a")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
