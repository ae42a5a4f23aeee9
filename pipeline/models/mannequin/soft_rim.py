"""Filter the figure's outline as cameras and offline renderers do, with a kernel wider than one pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.compiled import njit

_SIDE = 0.1
"""Weight of the next pixel on either side: with a box of one pixel alone, outlines on two rendered walks are 5 and 6 %
steeper than the true ones, and with this 2 and 3 %."""
_AROUND = np.ones((3, 3), np.uint8)


def with_soft_rim(
    light: NDArray[np.float32], cover: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean color (h, w, 3) of what is covered, and coverage 0..1 (h, w), filtered along the outline.

    Pixels all of whose neighbors are covered stay as they are: their detail is the texture's. Where the picture ends,
    the figure goes on.
    """
    at_outline = (cv2.dilate(cover, _AROUND) > 0) & (cv2.erode(cover, _AROUND) < 1)
    rows, columns = np.nonzero(at_outline)
    return _filtered(light, cover, rows, columns)


@njit(cache=True, nogil=True)
def _filtered(
    light: NDArray[np.float32], cover: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = cover.shape
    color = light.copy()
    soft = cover.copy()
    for n in range(len(rows)):
        r, c = rows[n], columns[n]
        total = red = green = blue = np.float32(0)
        for dy in range(-1, 2):
            y = min(max(r + dy, 0), height - 1)
            down = np.float32(_SIDE if dy != 0 else 1 - 2 * _SIDE)
            for dx in range(-1, 2):
                x = min(max(c + dx, 0), width - 1)
                across = np.float32(_SIDE if dx != 0 else 1 - 2 * _SIDE)
                weight = cover[y, x] * down * across
                total += weight
                red += weight * light[y, x, 0]
                green += weight * light[y, x, 1]
                blue += weight * light[y, x, 2]
        soft[r, c] = total
        color[r, c, 0] = red / total
        color[r, c, 1] = green / total
        color[r, c, 2] = blue / total
    return color, soft
