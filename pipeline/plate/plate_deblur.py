"""Sharpen the places of a plate that only motion-blurred candidates show."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown
from pipeline.maths.geometry import apply_transform
from pipeline.plate.aligned import Aligned, Candidates
from pipeline.plate.motion_deblur import BlurredView, sharpened
from pipeline.plate.registration import work_factor

_DEBLUR_ROOM_PX = 96
"""Margin, at the reduced size, in which a sharp picture is compared with blurred ones to find the shutter."""


def sharpened_plate(stack: Candidates, aligned: list[Aligned], plate: Picture) -> Picture:
    """Return the plate (H, W, 3) with the places sharpened that only motion-blurred candidates show.

    Found and solved at the reduced size of matching: finer detail does not survive such a blur.
    """
    if all(each.tier == 0 for each in aligned):
        return plate
    size_wh = stack.size_wh
    factor = work_factor(size_wh)
    small_wh = size_wh[0] // factor, size_wh[1] // factor
    axes = [np.arange(side, dtype=np.float64) * factor + (factor - 1) / 2 for side in small_wh]
    hidden = _reduced_mask((stack.grades[stack.plan.frame] == 0) & stack.plan.needed_mask, small_wh)
    shown_sharp = np.zeros_like(hidden)
    blurred: list[tuple[Aligned, NDArray[np.float32], Mask]] = []
    for each in aligned:
        at = each.warp.coordinates_at(axes[0], axes[1], size_wh)
        clear = cv2.remap(each.grade, at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) > 0
        if each.tier == 0:
            shown_sharp |= clear
        elif each.frame in stack.motions and (clear & hidden).any():
            blurred.append((each, at, np.asarray(clear, np.bool_)))
    region = hidden & ~shown_sharp
    if not region.any() or not blurred:
        return plate
    x0, y0, x1, y1 = clipped(grown(box_of_mask(region), _DEBLUR_ROOM_PX), small_wh)
    area = np.s_[y0:y1, x0:x1]
    views = [_blurred_view(stack, each, at[area], clear[area], (x0, y0, x1, y1), factor) for each, at, clear in blurred]
    small = np.ascontiguousarray(cv2.resize(plate, small_wh, interpolation=cv2.INTER_AREA)[area])
    solved = sharpened(small, region[area], ~hidden[area], views)
    change = np.zeros((small_wh[1], small_wh[0], 3), np.float32)
    change[area] = solved.astype(np.float32) - small
    if factor > 1:
        change = cv2.resize(change, size_wh, interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(np.rint(plate + change), 0, 255), np.uint8)


def _blurred_view(
    stack: Candidates, each: Aligned, at: NDArray[np.float32], clear: Mask, box: Box, factor: int
) -> BlurredView:
    """Return a candidate at the positions ``at`` (h, w, 2) of it, those of the reduced anchor's ``box``, and its motion
    in the middle."""
    source = each.picture if factor == 1 else cv2.blur(each.picture, (factor, factor))
    view = cv2.remap(source, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    x0, y0, x1, y1 = box
    middle = np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]) * factor
    there = apply_transform(stack.guesses[each.frame], middle)
    moved = (apply_transform(stack.motions[each.frame], there) - there)[0] / 2
    small_wh = stack.size_wh[0] // factor, stack.size_wh[1] // factor
    return BlurredView(each.lit(np.asarray(view, np.uint8), box, small_wh).astype(np.float32), clear, moved / factor)


def _reduced_mask(mask: Mask, size_wh: tuple[int, int]) -> Mask:
    return np.asarray(cv2.resize(mask.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0, np.bool_)
