"""Boxes around masks, and masks widened."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes import Mask


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Return the half-open box x0, y0, x1, y1 around the mask's True pixels; all 0 where there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return 0, 0, 0, 0
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    return int(columns[0]), y0, int(columns[-1]) + 1, y1


def widened(mask: Mask, radius_px: int) -> Mask:
    """Return the mask (h, w) grown by whole pixels, diagonally as well: its square neighbourhood."""
    kernel = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.view(np.uint8), kernel) > 0)
