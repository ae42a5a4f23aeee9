"""Values that hold arrays: their shapes are checked when they are made, and a ``repr`` shows shapes, not numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np

Shape = tuple[int | str, ...]
"""Sizes of the axes; a letter stands for any size, the same wherever it occurs in the value."""
Shapes = Mapping[str, Shape]
"""By field name."""


class Shaped:
    """Base of a frozen dataclass (``repr=False``, ``eq=False``) with arrays; fields that are None are skipped."""

    __slots__ = ()
    SHAPES: ClassVar[Shapes] = {}

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for an array whose shape differs from ``SHAPES``."""
        sizes: dict[str, int] = {}
        for name, wanted in self.SHAPES.items():
            array = getattr(self, name)
            if array is None:
                continue
            shape = np.shape(array)
            fits = len(shape) == len(wanted)
            for size, axis in zip(shape, wanted, strict=False):
                fits &= size == (axis if isinstance(axis, int) else sizes.setdefault(axis, size))
            if not fits:
                known = {axis: size for axis, size in sizes.items() if axis in wanted}
                said = f"({', '.join(str(axis) for axis in wanted)})"
                raise ValueError(f"{type(self).__name__}.{name} must be {said} with {known}, and is {shape}")

    def __repr__(self) -> str:
        parts = ", ".join(f"{each.name}={_shown(getattr(self, each.name))}" for each in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({parts})"


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, tuple) and len(value) > 4:
        return f"<{len(value)} × {type(value[0]).__name__}>"
    if isinstance(value, tuple):
        return f"({', '.join(_shown(each) for each in value)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_shown(each)}" for key, each in value.items()) + "}"
    return repr(value)
