"""numba's ``njit``, typed: numba's own decorator is untyped, and makes the decorated function untyped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


njit: Callable[..., _Decorator] = numba.njit
