"""Objects that the subject holds: foreign pixels connected to a hand."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown, part_of
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import FOREARM, HAND, UPPER_ARM
from pipeline.scene.samples import Sample
from pipeline.scene.sticks import other_end

HAND_REACH_BH = 0.08
"""Distance from the middle of a hand, body heights, within which a region touches it."""
LEAST_AREA_PX = 30
"""Smallest region that counts as an object, at ``WORK_BODY_PX``."""
GAP_PX = 5
"""Lettering on an object and highlights are narrower."""
_LEAST_END_PX = 6
_HAND_BH = 0.075
"""A region that does not extend farther from the middle of a hand is taken as part of the hand."""
_OFF_ARM_BH = 0.02
"""Distance from the surface of an arm from which a pixel is not the arm's: sleeves, and the error of its place."""
_KNOWN_SHARE = 0.5
"""Of what is known to be held no size is asked."""


def held_objects(unexplained: Mask, sample: Sample, known: Mask) -> tuple[Mask, Mask]:
    """Return the foreign objects near a hand, and what is the arm's own, unless it is ``known`` (h, w) to be held:
    regions no larger than the hand, and those that lie along the arm (a blurred or overexposed one has strange
    colors)."""
    held, hand = (np.zeros(unexplained.shape, np.bool_) for _ in range(2))
    if not len(sample.body.hands) or not unexplained.any():
        return held, hand
    x0, y0, x1, y1 = box = clipped(grown(box_of_mask(unexplained), GAP_PX), sample.view.size_wh)
    around = np.s_[y0:y1, x0:x1]
    held[around], hand[around] = _held_near(part_of(unexplained, box), sample.within(box), part_of(known, box))
    return held, hand


def _held_near(unexplained: Mask, sample: Sample, known: Mask) -> tuple[Mask, Mask]:
    height = sample.body.height_px
    count, labeled = cv2.connectedComponents(closed(unexplained, GAP_PX).view(np.uint8))
    areas = areas_of(labeled, count)
    is_known = counts_in(labeled, known, count) > _KNOWN_SHARE * areas
    off_arm = sample.distances[[UPPER_ARM, FOREARM, HAND]].min(axis=0) > _OFF_ARM_BH
    is_thing = is_known | (counts_in(labeled, off_arm, count) >= _LEAST_END_PX)
    is_held = np.zeros(count, np.bool_)
    is_hand = np.zeros(count, np.bool_)
    for hand_xy in sample.body.hands:
        distance = _distance_from(hand_xy, unexplained.shape)
        near = counts_in(labeled, distance <= HAND_REACH_BH * height, count) > 0
        beyond = areas - counts_in(labeled, distance <= _HAND_BH * height, count)
        large = near & ((beyond >= LEAST_AREA_PX) | is_known) & is_thing
        large[0] = False
        if large.any():
            # The other end of a stick is visible beyond the fist.
            large |= near & (beyond >= _LEAST_END_PX)
        is_held |= large
        is_hand |= near & ~large
    is_held[0] = False
    is_hand &= ~is_held
    is_hand[0] = False
    return those_of(labeled, is_held) & unexplained, those_of(labeled, is_hand) & unexplained


def other_ends(held: Mask, odds: Float32Array, differs: Mask, sample: Sample) -> Mask:
    """Return the parts of long held objects on the other side of the fist."""
    ends = np.zeros(held.shape, np.bool_)
    if not held.any():
        return ends
    height = sample.body.height_px
    _, labeled = cv2.connectedComponents(closed(held, GAP_PX).view(np.uint8))
    for hand_xy in sample.body.hands:
        near = held & (_distance_from(hand_xy, held.shape) <= HAND_REACH_BH * height)
        for number in np.unique(labeled[near]):
            ends |= other_end(held & (labeled == number), odds, differs, hand_xy, height)
    return ends


def _distance_from(point_xy: NDArray[np.float32], shape: tuple[int, ...]) -> Float32Array:
    rows, columns = (axis.astype(np.float32) for axis in np.ogrid[: shape[0], : shape[1]])
    return np.asarray(np.sqrt((columns - point_xy[0]) ** 2 + (rows - point_xy[1]) ** 2), np.float32)


def closed(mask: Mask, size_px: int) -> Mask:
    kernel = np.ones((size_px, size_px), np.uint8)
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
