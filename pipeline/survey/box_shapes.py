"""The shapes of boxes behind words: a rectangle, or a stack of them, a line of words in each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask

LEAST_WH = (10, 8)
"""Size of a box, px of the reduced picture."""
_FILLS = 0.8
"""Share of the bounding box that a shape fills, perhaps with round corners; of a stack, line by line."""
_STRAIGHT_PX = 1.5
_STRAIGHT = 0.09
"""How far the middle half of a side may bend, px or relative to the shorter side: a little more than a half circle."""
_MOST_LINES = 5


def rectangle(outline: NDArray[np.int32], shape: tuple[int, ...]) -> Mask | None:
    """Return the convex hull (h, w) of an outline (N, 1, 2) where it is a rectangle, perhaps with round corners."""
    hull = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(outline), 1)
    inside = hull.view(np.bool_)
    x0, y0, x1, y1 = box_of_mask(inside)
    width, height = x1 - x0, y1 - y0
    is_small = width < LEAST_WH[0] or height < LEAST_WH[1]
    if is_small or np.count_nonzero(inside) < _FILLS * width * height:
        return None
    part = inside[y0:y1, x0:x1]
    sides = [*_sides(part[height // 4 : -(height // 4)]), *_sides(part[:, width // 4 : -(width // 4)].T)]
    return inside if all(_is_straight(side, min(width, height)) for side in sides) else None


def stack(filled: Mask) -> Mask | None:
    """Return a shape (h, w), concave only beside its lines, where it consists of two and more lines of equal height
    whose sides are straight; None where it does not."""
    x0, y0, x1, y1 = box_of_mask(filled)
    part = filled[y0:y1, x0:x1]
    lefts, rights = _sides(part)
    rights = part.shape[1] - rights
    columns = np.arange(part.shape[1])
    runs = (columns >= lefts[:, None]) & (columns < rights[:, None])
    runs[~part.any(axis=1)] = False
    for count in range(2, _MOST_LINES + 1):
        height = len(part) / count
        middles = [slice(round((k + 0.25) * height), round((k + 0.75) * height)) for k in range(count)]
        if height < LEAST_WH[1]:
            return None
        widths = [int(np.median(rights[middle] - lefts[middle])) for middle in middles]
        is_straight = all(
            _is_straight(side[middle], min(height, width))
            for middle, width in zip(middles, widths, strict=True)
            for side in (lefts, rights)
        )
        if is_straight and min(widths) >= LEAST_WH[0] and runs.sum() >= _FILLS * height * sum(widths):
            whole = np.zeros_like(filled)
            whole[y0:y1, x0:x1] = runs
            return whole
    return None


def _sides(shape: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how far (h,) the rows of a shape (h, w) are from the left and from the right."""
    return shape.argmax(axis=1), shape[:, ::-1].argmax(axis=1)


def _is_straight(side: NDArray[np.int64], size: float) -> bool:
    """Return whether the middle half of a side (n,) is straight and level, for a shape of some size."""
    return bool(np.ptp(side) <= max(_STRAIGHT_PX, _STRAIGHT * size))
