"""Places of a plate that too few frames show, and that look like nothing around them: somebody's shoe, a ball.

The median of few samples cannot outvote what flew by or was missed by a mask. The background continues
into its surroundings; what does not is filled like background that no frame shows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow

_ENOUGH = 6
"""Samples from more than one moment: frames next to each other show the same thing at the same place."""
_REACH_BH = 0.07
_LEVELS = 30
"""Gray levels beyond the range of the surroundings: more than grain and light change."""
_ROOM_PX = 2
"""Edges of such a thing are mixed with the background."""


def stray_samples(plate: Picture, counts: NDArray[np.uint8], most: int, body_height_px: float) -> Mask:
    """Return (H, W): the places of a plate (H, W, 3) made of few samples that differ from all around made of enough.

    ``counts`` (H, W) is the number of samples of each pixel, 0 where nothing is known, at ``most`` this. Where the
    camera moves, fewer are taken, and nothing is said.
    """
    few = (counts > 0) & (counts < _ENOUGH)
    if most < _ENOUGH:
        return np.zeros(few.shape, np.bool_)
    if not few.any():
        return few
    reach = max(2, round(_REACH_BH * body_height_px))
    height, width = few.shape
    x0, y0, x1, y1 = clipped(grown(box_of_mask(few), reach + _ROOM_PX), (width, height))
    area = np.s_[y0:y1, x0:x1]
    stray = np.zeros(few.shape, np.bool_)
    stray[area] = _unlike_surroundings(plate[area], few[area], counts[area] >= _ENOUGH, reach)
    return grow(stray, _ROOM_PX) & few if stray.any() else stray


def _unlike_surroundings(picture: Picture, few: Mask, known: Mask, reach_px: int) -> Mask:
    """Return where ``few`` pixels lie outside the range of the ``known`` ones within reach in some channel."""
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    inside = known[..., None]
    low = cv2.erode(np.where(inside, picture, np.uint8(255)), kernel)
    high = cv2.dilate(np.where(inside, picture, np.uint8(0)), kernel)
    beyond = cv2.max(cv2.subtract(picture, high), cv2.subtract(low, picture)) > _LEVELS
    return np.asarray(few & beyond.any(axis=-1) & (low <= high).all(axis=-1), np.bool_)
