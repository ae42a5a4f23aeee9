"""Legs or a trunk that point at the camera: whoever sits or crouches before it is no smaller than before.

Foreshortening only ever shortens bones. So where two of trunk, legs, and head with shoulders agree that somebody is
larger than trunk and legs together say, they are believed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.maths.smoothing import smoothstep

_EXCESS = (0.06, 0.16)
"""Of a height's logarithm: up to the first value two witnesses exceed it by noise, from the second on it is theirs.
On two rendered walks the excess stays below 0.05, in a deep crouch before the camera it is 0.2 to 0.4."""


def excess_of_two(height_px: NDArray[np.float64], witnesses_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T,) the logarithm by which two of the ``witnesses_px`` (W, T) exceed a height (T,); 0 where they do not.

    NaN is unknown.
    """
    second = np.sort(np.where(np.isfinite(witnesses_px), witnesses_px, 0.0), axis=0)[-2]
    known = np.isfinite(height_px) & (second > 0)
    return np.log(np.maximum(np.where(known, second, 1.0) / np.where(known, height_px, 1.0), 1.0))


def unfolded(height_px: NDArray[np.float64], excess: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return heights (T,) as large as two witnesses say where their ``excess`` (T,) is more than noise."""
    low, high = _EXCESS
    return height_px * np.exp(smoothstep((excess - low) / (high - low)) * excess)


def is_foreshortened(excess: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (T,): frames whose trunk and legs do not show how tall somebody is."""
    return np.asarray(excess > _EXCESS[1])
