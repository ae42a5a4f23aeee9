"""What the mask misses along the subject's edge: shoes, blurred outlines, and rims of limbs.

All of them have colors that the subject's parts do not have, as objects do; their shape tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, extents_of, square_sums_in, sums_in, those_of
from pipeline.scene.body import HAND, NUM_PARTS
from pipeline.scene.held import HAND_REACH_BH
from pipeline.scene.samples import FEET, Sample, opened
from pipeline.scene.scene_model import SceneRow

_RIM_BH = 0.05
_RIM_SHARE = 0.5
_OTHERS_SHARE = 0.5
_RIM_DEPTH_BH = 0.015
"""Largest mean distance of a rim's pixels from its edge: that of a strip of 6 % of body height."""
_BROAD_BH = 0.018
"""Half the width of a broad part of an outline; the outline of a fast arm has some."""
_MOST_BROAD = 0.6
_SOLID_BH = 0.028
"""Half the width of what is no blurred edge."""
_AROUND_SOLID_BH = 0.06
"""Their narrower parts are as near."""
_STRIP_DEPTH_BH = 0.02
_STRIP_SHARE = 0.85
"""Fraction of a strip's pixels that lie on the edge of the body; an object in the hand extends away from it."""
_MANY_PARTS = 4
_PART_SHARE = 0.05
"""A strip along so many parts of the body, each with this fraction of its pixels, is the blurred outline of a fast
movement, whatever hand it touches."""
_EDGE_BH = (-0.02, 0.05)
"""Distance from the surface of a limb at which its edge lies."""
_HAND_ROOM_BH = 0.03
_RIM_AREA = 0.03
"""Square body heights: a rim of 2 % of body height along a fifth of the outline."""
_FOOT_REACH_BH = 0.16
_SHOE_ODDS = np.float32(4.0)
_BROAD = 0.7
"""Fraction of an object's usual width: narrower parts that look like a shoe are one."""


@dataclass(frozen=True, slots=True)
class _Rim:
    """What makes a line along a limb a rim of it; body heights."""

    thin_bh: float
    """Half its largest width."""
    least_length_bh: float
    most_spread_bh: float
    """Standard deviation of its distance from the limb; a line that crosses the limb's edge has more."""
    may_be_others: bool
    """Whether it is one in the colors of other people, too; what is wide may be somebody behind the subject."""


_BLURRED_EDGE = _Rim(0.01, 0.09, 0.012, may_be_others=True)
_HALO = _Rim(0.022, 0.2, 0.02, may_be_others=False)


def subject_shoes(sample: Sample, unexplained: Mask, row: SceneRow) -> Mask:
    """Return the shoes among the unexplained pixels: a foreign color that the subject's shoes share, and not a wide
    object.

    A white ball at a white shoe is distinguished by its width alone.
    """
    near = sample.distances[FEET] < _FOOT_REACH_BH
    like = row.subject[FEET][sample.bins] * _SHOE_ODDS > row.foreign[sample.bins]
    doubtful: Mask = unexplained & near & like
    if not doubtful.any():
        return doubtful
    radius = max(1, round(_BROAD * row.breadth_bh * sample.body.height_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # A morphological opening depends on pixels up to twice its radius away.
    x0, y0, x1, y1 = clipped(grown(box_of_mask(doubtful), 2 * radius + 2), (unexplained.shape[1], unexplained.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    broad = cv2.morphologyEx(np.ascontiguousarray(unexplained[area]).view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    narrow = doubtful.copy()
    narrow[area] &= ~broad
    return narrow


def blurred_outline(sample: Sample, unexplained: Mask, like_others: Mask, may_be_others: Mask) -> Mask:
    """Return the unexplained components along the edge of the mask: parts it misses, blurred into the background.

    An object extends away from the outline, or lies in front; a mask that is too tight leaves a rim all around. A rim
    mostly in the colors of other people (``like_others``) is somebody who is mostly hidden behind the subject, and so
    is a wide part where they may be without a mask (``may_be_others``).
    """
    if not unexplained.any():
        return unexplained
    rim = grow(sample.subject_mask, max(1, round(_RIM_BH * sample.body.height_px))) & ~sample.subject_mask
    count, labeled = cv2.connectedComponents(unexplained.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    is_rim = counts_in(labeled, rim, count) >= _RIM_SHARE * np.maximum(areas, 1)
    is_rim &= areas >= _RIM_AREA * sample.body.height_px**2
    inner = cv2.distanceTransform(unexplained.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    depth = sums_in(labeled, inner, count)
    near = sample.distances[HAND] < HAND_REACH_BH
    is_near_hand = counts_in(labeled, near, count) > 0
    is_rim &= depth <= np.where(is_near_hand, _RIM_DEPTH_BH, _STRIP_DEPTH_BH) * sample.body.height_px * areas
    is_strip = depth <= _STRIP_DEPTH_BH * sample.body.height_px * areas
    close = counts_in(labeled, sample.outside < _EDGE_BH[1], count)
    is_rim |= is_strip & (close >= _STRIP_SHARE * areas) & (_num_parts(labeled, areas, sample) >= _MANY_PARTS)
    is_rim &= counts_in(labeled, like_others, count) < _OTHERS_SHARE * np.maximum(areas, 1)
    # What is carried on the back is wider than a blurred edge.
    beside = unexplained & ~sample.subject_mask
    broad = opened(beside, max(1, round(_BROAD_BH * sample.body.height_px)))
    is_rim &= counts_in(labeled, broad, count) <= _MOST_BROAD * areas
    is_rim[0] = False
    outline: Mask = those_of(labeled, is_rim) & unexplained
    # So is somebody behind the subject.
    solid = opened(beside, max(1, round(_SOLID_BH * sample.body.height_px))) & may_be_others
    return outline & ~grow(solid, round(_AROUND_SOLID_BH * sample.body.height_px))


def _num_parts(labeled: NDArray[np.int32], areas: NDArray[np.int64], sample: Sample) -> NDArray[np.int64]:
    """Return, for each component, how many parts of the body it runs along."""
    pixels = (labeled > 0) & (sample.outside < _EDGE_BH[1])
    parts = sample.distances[:, pixels].argmin(axis=0)
    counts = np.bincount(labeled[pixels] * NUM_PARTS + parts, minlength=len(areas) * NUM_PARTS)
    return (counts.reshape(-1, NUM_PARTS) >= _PART_SHARE * np.maximum(areas, 1)[:, None]).sum(axis=1)


def rims_of_limbs(unexplained: Mask, sample: Sample, like_others: Mask) -> Mask:
    """Return the lines among the unexplained pixels that run along a limb: its blurred edge, or a halo around it.

    A stick crosses the edge of a limb, and an object in a hand is near the hand. ``like_others`` is where the colors
    are those of other people.
    """
    low, high = _EDGE_BH
    edge = unexplained & (sample.outside > low) & (sample.outside < high) & (sample.distances[HAND] > _HAND_ROOM_BH)
    rims = np.zeros(unexplained.shape, np.bool_)
    for rim in (_BLURRED_EDGE, _HALO):
        thin = edge & ~opened(unexplained, max(1, round(rim.thin_bh * sample.body.height_px)))
        rims |= _lines_along(thin if rim.may_be_others else thin & ~like_others, sample, rim)
    return rims


def _lines_along(edge: Mask, sample: Sample, rim: _Rim) -> Mask:
    """Return the long components whose distance from the limb hardly changes."""
    if not edge.any():
        return edge
    count, labeled = cv2.connectedComponents(edge.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    is_line = extents_of(labeled, count) > rim.least_length_bh * sample.body.height_px
    mean = sums_in(labeled, sample.outside, count) / np.maximum(areas, 1)
    spread = square_sums_in(labeled, sample.outside, mean, count)
    is_line &= spread <= rim.most_spread_bh**2 * areas
    is_line[0] = False
    return those_of(labeled, is_line)
