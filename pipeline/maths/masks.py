"""Dilation and closing of masks, and their overlap."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown

_SUMMED_PX = 24
"""Radius from which sums over a box, whose cost does not depend on its size, are faster than maxima."""


def grow(mask: Mask, radius_px: int) -> Mask:
    """Return the mask (h, w) dilated by a square. Only the box around what is set is worked on."""
    height, width = mask.shape
    result = np.zeros((height, width), np.bool_)
    box = box_of_mask(mask)
    if box[2] == 0:
        return result
    x0, y0, x1, y1 = clipped(grown(box, radius_px), (width, height))
    side = 2 * radius_px + 1
    near = np.ascontiguousarray(mask[y0:y1, x0:x1]).view(np.uint8)
    if radius_px < _SUMMED_PX:
        result[y0:y1, x0:x1] = cv2.dilate(near, np.ones((side, side), np.uint8)).view(np.bool_)
    else:
        count = cv2.boxFilter(near, cv2.CV_32S, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        np.greater(count, 0, out=result[y0:y1, x0:x1])
    return result


def resized_mask(mask: Mask, size_wh: tuple[int, int]) -> Mask:
    """Return a mask (h, w) at another size: each pixel is that of the nearest one."""
    return cv2.resize(np.ascontiguousarray(mask).view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST).view(
        np.bool_
    )


def grow_round(mask: NDArray[np.bool_], reach_px: float) -> NDArray[np.bool_]:
    """Return the mask dilated by a disc of at least 1 px: equally far in every direction."""
    reach = max(1, round(reach_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    x0, y0, x1, y1 = clipped(grown(box_of_mask(mask), reach + 1), (mask.shape[1], mask.shape[0]))
    result = np.zeros(mask.shape, np.bool_)
    if mask.any():
        # A disc is not separable: 14 ms at 20 px on the whole of 720p.
        near = np.ascontiguousarray(mask[y0:y1, x0:x1])
        result[y0:y1, x0:x1] = cv2.dilate(near.view(np.uint8), kernel).view(np.bool_)
    return result


def iou(a: Mask, b: Mask) -> float:
    """Return the intersection over the union of two masks; 0 where both are empty."""
    both = int(np.count_nonzero(a & b))
    return both / max(int(np.count_nonzero(a)) + int(np.count_nonzero(b)) - both, 1)


def covers_most(cover: Mask, mask: Mask) -> bool:
    """Return whether more than half of a mask (h, w), which is not empty, lies in another one."""
    return 2 * int(np.count_nonzero(cover & mask)) > int(np.count_nonzero(mask))


def close(mask: Mask, radius_px: float) -> Mask:
    """Return the mask (h, w) without notches and holes that are narrower than a disc of at least 1 px."""
    reach = max(1, round(radius_px))
    x0, y0, x1, y1 = box_of_mask(mask)
    result = mask.copy()
    if mask.any():
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        # Closing never leaves the box; what lies outside of it does not erode what is inside.
        near = np.pad(np.ascontiguousarray(mask[y0:y1, x0:x1]).view(np.uint8), reach)
        closed = cv2.morphologyEx(near, cv2.MORPH_CLOSE, kernel)
        result[y0:y1, x0:x1] = closed[reach:-reach, reach:-reach].view(np.bool_)
    return result
