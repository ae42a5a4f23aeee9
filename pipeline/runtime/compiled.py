"""numba's ``njit`` with a type.

numba has no types of its own: under its bare decorator a function, and with it what is called, is untyped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


njit: Callable[..., _Decorator] = numba.njit
