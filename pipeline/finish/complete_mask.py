"""What the mask of the old person misses of him: hands, hair and shoes that differ from the clean plate beside it."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.datatypes import Mask, Picture
from pipeline.maths.masks import widened

REACH_BH = 0.10
"""How far from the mask parts are looked for, body heights: a hand."""
_WORK_BODY_PX = 300
"""Body height at which pictures are compared."""
_DIFFERENT = 14.0
"""Grey levels: far above grain, and above what light that falls unevenly does to the plate."""
_SHIFT_PX = 0.7
"""Pixels of the reduced picture by which the plate may lie wrong without anything standing there."""
_SHADOW_GAIN = (0.4, 0.97)
_SHADOW_ERROR = 12.0
"""A shadow darkens all channels alike: what is left then, grey levels."""


def complete_mask(
    subject_mask: Mask, others_mask: Mask, source: Picture, plate: Picture, seen: Mask, body_height_px: float
) -> Mask:
    """Return the mask of the old person with the parts beside it that are not background; all are (h, w) of one box.

    A part is where source and plate (in the source's light) differ by more than a small shift of the plate or a shadow
    explains, within ``REACH_BH`` body heights of the mask and joined to it. The plate must have ``seen`` the place;
    the ``others_mask`` are left alone.
    """
    reach = round(REACH_BH * body_height_px)
    if not subject_mask.any() or reach < 2:
        return subject_mask
    height, width = subject_mask.shape
    factor = max(1.0, body_height_px / _WORK_BODY_PX)
    size_wh = max(1, round(width / factor)), max(1, round(height / factor))

    def small(mask: Mask) -> Mask:
        resized = cv2.resize(mask.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
        return np.asarray(resized > 0, np.bool_)

    near, small_old = widened(subject_mask, reach) & ~subject_mask & ~others_mask & seen, small(subject_mask)
    now, clean = (_calm(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)) for picture in (source, plate))
    found = small(near) & _differs(now, clean)
    # A line of one pixel is an edge that lies wrong; fingers are broader, and are won back by the mask's widening.
    found = np.asarray(cv2.morphologyEx(found.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)
    if not found.any():
        return subject_mask
    joined = widened(found, 1) | small_old
    _, labels = cv2.connectedComponents(joined.astype(np.uint8))
    his = np.isin(labels, np.unique(labels[small_old])) & found
    large = cv2.resize(his.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(subject_mask | ((large > 0.5) & near), np.bool_)


def _calm(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.8), np.float32)


def _differs(now: NDArray[np.float32], clean: NDArray[np.float32]) -> Mask:
    gray = np.asarray(cv2.transform(clean, np.full((1, 3), 1 / 3)), np.float32)
    slope = cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) / 8
    differs = np.empty(gray.shape, np.bool_)
    _mark_different(now, clean, np.asarray(cv2.dilate(slope, np.ones((3, 3), np.uint8)), np.float32), differs)
    return differs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _mark_different(
    now: NDArray[np.float32], clean: NDArray[np.float32], slope: NDArray[np.float32], differs: Mask
) -> None:
    height, width = slope.shape
    for r in range(height):
        for c in range(width):
            apart, product, square = 0.0, 0.0, 1.0
            for channel in range(3):
                a, b = now[r, c, channel], clean[r, c, channel]
                apart = max(apart, abs(a - b))
                product += a * b
                square += b * b
            gain, left = product / square, 0.0
            for channel in range(3):
                left = max(left, abs(now[r, c, channel] - gain * clean[r, c, channel]))
            is_shadow = _SHADOW_GAIN[0] < gain < _SHADOW_GAIN[1] and left < _SHADOW_ERROR
            differs[r, c] = apart > _DIFFERENT + _SHIFT_PX * slope[r, c] and not is_shadow
