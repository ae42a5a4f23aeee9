"""Put what stands in front of people where the anchor of a plate shows it.

Its place in the plate comes from frames in which nobody is behind it, through warps that follow the ground beside it.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.front_shift import WORK_BODY_PX, front_shift
from pipeline.maths.reduce import reduced

_ROOM_BH = 0.05
"""Margin around the people, body heights: what is there may be moved into their outline."""
_LEAST_SIDE_PX = 16
_ROUNDS = 2
"""Once a part is in place, more agrees beside it."""


def front_in_place(plate: Picture, seen: Mask, anchor: Picture, hidden: Mask, height_px: float) -> Picture:
    """Return the plate (H, W, 3) with what stands in front of people where the ``anchor`` (H, W, 3) shows it.

    ``hidden`` (H, W) are the people in the anchor, with what is in front of them; ``seen`` (H, W) is where the plate is
    known. Bodies are ``height_px`` high.
    """
    height, width = hidden.shape
    x0, y0, x1, y1 = clipped(grown(box_of_mask(hidden), round(_ROOM_BH * height_px)), (width, height))
    factor = max(1.0, height_px / WORK_BODY_PX)
    size_wh = round((x1 - x0) / factor), round((y1 - y0) / factor)
    if min(size_wh) < _LEAST_SIDE_PX:
        return plate
    area = np.s_[y0:y1, x0:x1]
    picture = reduced(np.ascontiguousarray(anchor[area]), size_wh)
    people, known = (
        cv2.resize(np.ascontiguousarray(each[area]).view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0
        for each in (hidden, seen)
    )
    part = np.ascontiguousarray(plate[area])
    for _ in range(_ROUNDS):
        shift = front_shift(picture, reduced(part, size_wh), known, people, height_px / factor)
        if shift is None or not shift.is_moved:
            break
        # Beside them the plate is the anchor.
        part = np.where(hidden[area][..., None], shift.applied(part), part)
    result = plate.copy()
    result[area] = part
    return result
