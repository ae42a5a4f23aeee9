"""Hands and feet, by the joints alone: masks miss fingers and the tips of shoes, which must not get into a plate."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.joints import SKELETON_NAMES

_RADIUS_BH = 0.035
_BEYOND = 1.8
"""From the wrist to the tips of the fingers, relative to the way to the middle of the hand."""
_ENDS = tuple(
    (SKELETON_NAMES.index(f"{side}_{first}"), SKELETON_NAMES.index(f"{side}_{second}"), beyond)
    for side in ("left", "right")
    for first, second, beyond in (("wrist", "hand", _BEYOND), ("heel", "toe", 1.0), ("ankle", "toe", 1.0))
)
"""Both joints of each capsule, and how far it extends from the first one relative to the second."""
_SHIFT = 3
"""Fractional bits of OpenCV's coordinates."""


def extremities(skeleton: NDArray[np.floating], height_px: float, shape: tuple[int, ...]) -> Mask:
    """Return (H, W) of ``shape``: capsules around hands and feet.

    ``skeleton`` (23, 3) in source px; joints with NaN and a ``height_px`` of NaN give nothing.
    """
    drawn = np.zeros(shape[:2], np.uint8)
    if np.isfinite(height_px):
        thickness = max(1, round(2 * _RADIUS_BH * float(height_px)))
        for first, second, beyond in _ENDS:
            ends = np.asarray(skeleton[[first, second], :2], np.float64)
            if np.isfinite(ends).all():
                far = ends[0] + beyond * (ends[1] - ends[0])
                start, stop = (tuple(np.round(end * 2**_SHIFT).astype(int).tolist()) for end in (ends[0], far))
                cv2.line(drawn, start, stop, 1, thickness, cv2.LINE_8, _SHIFT)
    return drawn.view(np.bool_)
