"""The inpainting mask: a region that shows a generator where the person is, but not their outline."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_REACH_BH = 0.09
"""Margin beyond mask and joints, body heights: hair, wide clothes, other proportions."""


def loose_masks(
    masks: NDArray[np.bool_], joints: NDArray[np.float32], body_height_px: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (N, h, w): the convex hull of the subject's mask (N, h, w) and joints (N, 21, 3), dilated.

    A hull has no gap between arm and body and no fold of a coat, so the subject's outline does not leak into the new
    picture. Empty where there is nobody.
    """
    loose = np.zeros(masks.shape, np.uint8)
    for region, mask, points, height_px in zip(loose, masks, joints, body_height_px, strict=True):
        seen = points[np.isfinite(points[:, :2]).all(axis=1), :2]
        corners = np.concatenate([_ends_of_rows(mask), seen.astype(np.float32)])
        if len(corners) < 3:
            continue
        reach = _REACH_BH * height_px if np.isfinite(height_px) else _REACH_BH * np.ptp(corners[:, 1])
        hull = cv2.convexHull(corners)
        cv2.fillConvexPoly(region, np.rint(hull).astype(np.int32), 1)
        cv2.polylines(region, [np.rint(hull).astype(np.int32)], True, 1, max(1, int(2 * reach)))
    return loose.astype(np.bool_)


def _ends_of_rows(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (n, 2) x, y: the first and last pixel of each row of a mask, whose hull is the mask's."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([ends, rows], axis=1) for ends in (first, last)]).astype(np.float32)
