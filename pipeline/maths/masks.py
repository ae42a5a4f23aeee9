"""Dilation of masks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown


def grow(mask: Mask, radius_px: int) -> Mask:
    """Return the mask (h, w) dilated by a square. 2 ms at 20 px on 720p."""
    kernel = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return cv2.dilate(mask.view(np.uint8), kernel) > 0


def grow_round(mask: NDArray[np.bool_], reach_px: float) -> NDArray[np.bool_]:
    """Return the mask dilated by a disc of at least 1 px: equally far in every direction."""
    reach = max(1, round(reach_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    x0, y0, x1, y1 = clipped(grown(box_of_mask(mask), reach + 1), (mask.shape[1], mask.shape[0]))
    result = np.zeros(mask.shape, np.bool_)
    if mask.any():
        # A disc is not separable: 14 ms at 20 px on the whole of 720p.
        near = np.ascontiguousarray(mask[y0:y1, x0:x1])
        result[y0:y1, x0:x1] = cv2.dilate(near.view(np.uint8), kernel) > 0
    return result
