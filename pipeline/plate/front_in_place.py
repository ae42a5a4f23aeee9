"""Put what stands in front of people where the anchor of a plate shows it.

Its place in the plate comes from frames in which nobody is behind it, through warps that follow the ground beside it.
"""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.front_shift import WORK_BODY_PX, front_shift
from pipeline.maths.masks import close, resized_mask
from pipeline.maths.reduce import reduced

_ROOM_BH = 0.05
"""Margin around the people, body heights: what is there may be moved into their outline."""
_GAP_BH = 0.05
"""Half the width of what a mask of people may leave out, since it is in front of them."""
_LEAST_SIDE_PX = 16
_ROUNDS = 2
"""Once a part is in place, more agrees beside it."""


def front_in_place(
    plate: Picture, seen: Mask, anchor: Picture, hidden: Mask, people: Mask, height_px: float
) -> Picture:
    """Return the plate (H, W, 3) with what stands in front of people where the ``anchor`` (H, W, 3) shows it.

    ``seen`` (H, W) is where the plate is known, ``hidden`` (H, W) where it comes from other frames than the anchor, and
    ``people`` (H, W) are those in the anchor without the margin of ``hidden``: beside them everything agrees with a
    plate that is a little off, whether it is in front or behind. Bodies are ``height_px`` high.
    """
    height, width = people.shape
    x0, y0, x1, y1 = clipped(grown(box_of_mask(people), round(_ROOM_BH * height_px)), (width, height))
    factor = max(1.0, height_px / WORK_BODY_PX)
    size_wh = round((x1 - x0) / factor), round((y1 - y0) / factor)
    if min(size_wh) < _LEAST_SIDE_PX:
        return plate
    area = np.s_[y0:y1, x0:x1]
    outline = close(np.ascontiguousarray(people[area]), round(_GAP_BH * height_px)) & hidden[area]
    picture = reduced(np.ascontiguousarray(anchor[area]), size_wh)
    inside, known = (resized_mask(each, size_wh) for each in (outline, np.ascontiguousarray(seen[area])))
    part = np.ascontiguousarray(plate[area])
    for _ in range(_ROUNDS):
        shift = front_shift(picture, reduced(part, size_wh), known, inside, height_px / factor)
        if shift is None or not shift.is_moved:
            break
        part = np.where(outline[..., None], shift.applied(part), part)
    result = plate.copy()
    result[area] = part
    return result
