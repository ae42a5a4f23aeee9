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
ENTERED = (0.2, 0.6)
"""The same of somebody cut off by the picture's edge: outside it the model extrapolates rather well."""
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
    told = _is_inside(boxes_xyxy, size_wh) & (mask_px > 0)
    fractions = (_shares(mask_px, told, told, pts_seconds) - NO_SHARE) / (FULL_SHARE - NO_SHARE)
    return np.clip(np.minimum(visible, fractions), 0.0, 1.0)


def entered_fractions(
    mask_px: NDArray[np.float64],
    boxes_xyxy: NDArray[np.float64],
    pts_seconds: NDArray[np.float64],
    size_wh: tuple[int, int],
) -> NDArray[np.float64]:
    """Return (T,) 0..1: less where the picture's edge cuts off somebody who is seen whole just before or after.

    Of somebody just coming in the landmark model sees too little, and the whole body jumps about. Elsewhere 1, so also
    for whoever stays half in the picture. Arguments as of ``visible_fractions``.
    """
    known = mask_px > 0
    cut = known & ~_is_inside(boxes_xyxy, size_wh)
    low, high = ENTERED
    fractions = (_shares(mask_px, cut, known, pts_seconds) - low) / (high - low)
    return np.clip(fractions, 0.0, 1.0)


def _is_inside(boxes_xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """(T,): whether a box lies entirely in the picture."""
    low = (boxes_xyxy[:, :2] > EDGE_PX).all(axis=1)
    high = (boxes_xyxy[:, 2:] < np.array(size_wh) - EDGE_PX).all(axis=1)
    return np.asarray(low & high)


def _shares(
    mask_px: NDArray[np.float64],
    asked: NDArray[np.bool_],
    told: NDArray[np.bool_],
    pts_seconds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (T,) the size of a mask relative to the usual one around that time, in the frames ``asked``; 1 elsewhere.

    The usual one comes from the frames that are ``told``; where these are too few the share is 1, too.
    """
    shares = np.ones(len(mask_px))
    first = np.searchsorted(pts_seconds, pts_seconds - USUAL_SECONDS / 2 - 1e-9)
    last = np.searchsorted(pts_seconds, pts_seconds + USUAL_SECONDS / 2 + 1e-9, side="right")
    for frame in np.flatnonzero(asked):
        near = slice(int(first[frame]), int(last[frame]))
        sizes_near = mask_px[near][told[near]]
        if len(sizes_near) >= MIN_FRAMES:
            shares[frame] = mask_px[frame] / float(np.quantile(sizes_near, USUAL_QUANTILE))
    return shares
