"""Pictures compared without their light: somebody who steps in front of the sun, a flash or a lamp changes it from one
frame to the next, and points are followed by their gray levels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms

Luma = NDArray[np.uint8]
_SIGMA_OF_DIAGONAL = 0.012
"""Of the surroundings that a gray level is compared with: some strokes wide."""
_LEAST_DEVIATION = 2.0
"""Gray levels; below is grain."""
_LEVELS = 40.0
"""Gray levels for one standard deviation."""
_LEAST_PX = 400
_GRID_WH = (6, 4)


def light_change(before: Luma, now: Luma) -> float:
    """Return by how many gray levels (h, w) became lighter or darker, in large parts: the median of their changes."""
    parts = [cv2.resize(luma, _GRID_WH, interpolation=cv2.INTER_AREA).astype(np.float32) for luma in (before, now)]
    return float(np.median(np.abs(parts[1] - parts[0])))


def without_light(luma: Luma) -> Luma:
    """Return each gray level's distance from the mean of its surroundings, in their standard deviations, as 8 bit."""
    sigma = _SIGMA_OF_DIAGONAL * float(np.hypot(*luma.shape))
    levels = luma.astype(np.float32)
    away = levels - cv2.GaussianBlur(levels, (0, 0), sigma)
    deviation = np.sqrt(cv2.GaussianBlur(away * away, (0, 0), 2 * sigma)) + np.float32(_LEAST_DEVIATION)
    return np.asarray(np.clip(128 + _LEVELS * away / deviation, 0, 255), np.uint8)


def agreement(before: Luma, now: Luma, before_from_now: Transforms, free: Mask) -> float:
    """Return the correlation -1..1 of two pictures ``without_light`` (h, w) under a motion.

    -1 where they hardly overlap. ``free`` (h, w) of the current picture is where nobody is.
    """
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # Zero is outside: inside it is a rare extreme.
    moved = cv2.warpPerspective(before, before_from_now, before.shape[::-1], flags=flags)
    both = free & (moved > 0)
    if np.count_nonzero(both) < _LEAST_PX:
        return -1.0
    return correlation(moved[both], now[both])


def correlation(before: NDArray[np.generic], now: NDArray[np.generic]) -> float:
    """Return the correlation -1..1 of pixels ``without_light`` (N,) at the same places; 0 where one side is flat."""
    a, b = (each.astype(np.float64).ravel() - 128 for each in (before, now))
    return float(a @ b / max(float(np.sqrt((a @ a) * (b @ b))), 1e-9))
