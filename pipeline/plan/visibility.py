"""How much of a person is visible: less than usual where an object, or somebody, is in front of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

USUAL_SECONDS = 1.5
"""Time around a frame over which a mask's usual size is measured: turning or sitting down changes it more slowly than
walking behind a post."""
USUAL_QUANTILE = 0.75
MIN_FRAMES = 8
NO_SHARE, FULL_SHARE = 0.3, 0.7
"""Relative to the usual size: up to the first value landmarks are not trusted, from the second on fully."""
EDGE_PX = 1.5


def visible_fractions(
    visible: NDArray[np.float64],
    mask_px: NDArray[np.float64],
    boxes_xyxy: NDArray[np.float64],
    pts_seconds: NDArray[np.float64],
    size_wh: tuple[int, int],
) -> NDArray[np.float64]:
    """Return (T,) 0..1, at most ``visible``: less where the mask is much smaller than it usually is around that time.

    All frames belong to one shot. ``mask_px`` (T,) are counts of pixels, 0 where the person was not detected;
    ``boxes_xyxy`` (T, 4). Masks cut off by the picture's edge are ignored: the landmarks do not slide there.
    """
    inside = (boxes_xyxy[:, :2] > EDGE_PX).all(axis=1) & (boxes_xyxy[:, 2:] < np.array(size_wh) - EDGE_PX).all(axis=1)
    told = inside & (mask_px > 0)
    fractions = visible.copy()
    first = np.searchsorted(pts_seconds, pts_seconds - USUAL_SECONDS / 2 - 1e-9)
    last = np.searchsorted(pts_seconds, pts_seconds + USUAL_SECONDS / 2 + 1e-9, side="right")
    for frame in np.flatnonzero(told):
        near = slice(int(first[frame]), int(last[frame]))
        sizes_near = mask_px[near][told[near]]
        if len(sizes_near) >= MIN_FRAMES:
            share = mask_px[frame] / float(np.quantile(sizes_near, USUAL_QUANTILE))
            fractions[frame] = min(fractions[frame], (share - NO_SHARE) / (FULL_SHARE - NO_SHARE))
    return np.clip(fractions, 0.0, 1.0)
