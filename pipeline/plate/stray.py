"""Places of a plate that only a moment shows, and that look like nothing around them: somebody's shoe, a ball.

The median of samples from one moment cannot outvote what flew by or was missed by a mask. The background continues into
its surroundings; what does not is filled like background that no frame shows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.channels import all_at_most, in_all_channels
from pipeline.maths.masks import grow
from pipeline.runtime.compiled import njit

BRIEF_SECONDS = 0.35
"""Frames closer together show the same thing at the same place."""
_ENOUGH = 6
"""So many moments outvote one."""
_REACH_BH = 0.07
_LEVELS = 30
"""Gray levels beyond the range of the surroundings: more than grain and light change."""
_ROOM_PX = 2
"""Edges of such a thing are mixed with the background."""


def seen_briefly(grades: NDArray[np.uint8], frames: NDArray[np.int64], brief_frames: float) -> Mask:
    """Return (h, w): where there are few samples and each moment that shows the place is no longer than
    ``brief_frames``. ``grades`` (K, h, w) are above 0 where a sample shows it, ``frames`` (K,) its number."""
    order = np.argsort(frames)
    return _seen_briefly(grades[order], frames[order], brief_frames, _ENOUGH)


@njit(cache=True, nogil=True)
def _seen_briefly(
    grades: NDArray[np.uint8], frames: NDArray[np.int64], brief_frames: float, enough: int
) -> NDArray[np.bool_]:
    number, height, width = grades.shape
    brief = np.zeros((height, width), np.bool_)
    for r in range(height):
        for c in range(width):
            samples = 0
            longest = 0
            first = 0
            last = 0
            for k in range(number):
                if grades[k, r, c] > 0:
                    if samples == 0 or frames[k] - last > brief_frames:
                        first = frames[k]
                    last = frames[k]
                    longest = max(longest, last - first)
                    samples += 1
            brief[r, c] = 0 < samples < enough and longest <= brief_frames
    return brief


def stray_samples(plate: Picture, is_brief: Mask, seen: Mask, body_height_px: float) -> Mask:
    """Return (H, W): the places of a plate (H, W, 3) that differ from everything around them seen for longer.

    ``is_brief`` (H, W) is where ``seen_briefly`` holds, among the ``seen`` ones.
    """
    brief = is_brief & seen
    if not brief.any():
        return brief
    reach = max(2, round(_REACH_BH * body_height_px))
    height, width = brief.shape
    x0, y0, x1, y1 = clipped(grown(box_of_mask(brief), reach + _ROOM_PX), (width, height))
    area = np.s_[y0:y1, x0:x1]
    stray = np.zeros(brief.shape, np.bool_)
    stray[area] = _unlike_surroundings(plate[area], brief[area], (seen & ~brief)[area], reach)
    return grow(stray, _ROOM_PX) & brief if stray.any() else stray


def _unlike_surroundings(picture: Picture, brief: Mask, known: Mask, reach_px: int) -> Mask:
    """Return where ``brief`` pixels lie outside the range of the ``known`` ones within reach in some channel."""
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    inside = known[..., None]
    low = cv2.erode(np.where(inside, picture, np.uint8(255)), kernel)
    high = cv2.dilate(np.where(inside, picture, np.uint8(0)), kernel)
    is_within = all_at_most(cv2.max(cv2.subtract(picture, high), cv2.subtract(low, picture)), _LEVELS)
    return brief & ~is_within & in_all_channels(low <= high)
