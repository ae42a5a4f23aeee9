"""What stands in front of the subject ends at an edge of the picture, wherever the plate shows it."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.channels import in_all_channels
from pipeline.maths.masks import grow
from pipeline.scene.narrow import narrow_lines
from pipeline.scene.samples import Sample, eroded, opened
from pipeline.scene.views import Shown

_REACH_BH = 0.07
"""How far a nearer object may be from its place in a plate that is registered to the background, body heights."""
_WIDE_BH = 0.016
"""Least radius of what is grown."""
_CALM_PX = 0.7
_LEAST_PX = 30
_ALIKE_SHARE = 0.1
_ALIKE_LEVELS = (3.0, 6.0)
"""Tolerance, gray levels, as a share of the brightness and its bounds: in the dark levels lie closer together."""
_ALIKE_DEVIATIONS = 1.7


def front_to_edges(front: Mask, subject: Mask, free: Mask, is_common: Mask, sample: Sample) -> Mask:
    """Return the pixels (h, w) labeled as the ``subject`` or as nobody's (``free``) that belong to the objects in
    ``front``.

    A nearer object moves against a plate that is registered to the background, so that only a part of it matches. The
    matched part is grown to the object's edges in the frame by a watershed (Meyer 1994), against pixels that certainly
    are the subject's (``is_common``: one of its main colors), and against everything out of reach.
    """
    nothing = np.zeros(front.shape, np.bool_)
    height = sample.body.height_px
    reach = max(2, round(_REACH_BH * height))
    # A narrow bar is matched in its whole width, or not at all.
    wide = opened(front, max(2, round(_WIDE_BH * height)))
    within = grow(wide, reach)
    doubtful = within & ((subject & ~is_common) | free) & ~front
    # Only what the new person may cover matters.
    if np.count_nonzero(doubtful & (subject | (sample.outside < 0))) < _LEAST_PX:
        return nothing
    x0, y0, x1, y1 = clipped(grown(box_of_mask(doubtful), reach + 2), (front.shape[1], front.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    markers = np.zeros((y1 - y0, x1 - x0), np.int32)
    markers[eroded(subject & is_common & (sample.view.shown == Shown.OTHER), 1)[area]] = 2
    markers[~within[area]] = 2
    markers[eroded(wide, 1)[area]] = 1
    calm = cv2.GaussianBlur(sample.view.picture[area], (0, 0), _CALM_PX).astype(np.uint8)
    flooded = cv2.watershed(calm, markers)
    found = nothing
    found[area] = (flooded == 1) & doubtful[area] & _alike_nearby(calm, wide[area], reach)
    return found


def stands_out(sample: Sample, is_common: Mask) -> Mask:
    """Return (h, w): narrow lines, and what has no main color of the subject's (``is_common``).

    Dark cloth looks like the dark ground that a near layer shows between its bars; a bar before it is a line.
    """
    return grow(narrow_lines(sample.view.picture, sample.body.height_px), 1) | ~is_common


def _alike_nearby(picture: Picture, front: Mask, reach_px: int) -> Mask:
    """Return where a picture (h, w, 3) has the colors of ``front`` within reach: mean and deviation of a window."""
    size = 2 * reach_px + 1, 2 * reach_px + 1
    weight = front.astype(np.float32)
    colors = picture.astype(np.float32)
    total = cv2.blur(weight, size)[..., None] + np.float32(1e-6)
    mean = cv2.blur(colors * weight[..., None], size) / total
    square = cv2.blur(colors**2 * weight[..., None], size) / total
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    levels = np.clip(_ALIKE_SHARE * mean.mean(axis=-1, keepdims=True), *_ALIKE_LEVELS)
    return in_all_channels(np.abs(colors - mean) <= levels + _ALIKE_DEVIATIONS * deviation)
