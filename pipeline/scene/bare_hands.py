"""Hands in the colors of what is held: told from it by their size, their hue and their place."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.scene.samples import Sample

_FINGERS_BH = 0.115
"""From the middle of a hand to the tips of its fingers, body heights."""
_REACH_BH = 0.15
"""How far the error of its place may add to that."""
_WIDTH_BH = 0.012
"""Half the width of a hand, at least: sticks and handles are narrower."""
_MOST_BH2 = 0.009
"""Area of an open hand with its wrist, square body heights."""
_SKIN_HUES = (17, 170)
"""Hues of skin, from red to orange, of 180: below the first, or above the second."""
_SKIN_SATURATION = (25, 190)
_SKIN_SHARE = 0.6
_SKIN_AROUND = 0.35
"""The same with the background beside thin fingers."""


def bare_hands(unexplained: Mask, sample: Sample) -> Mask:
    """Return the unexplained pixels (h, w) that are the subject's own hands.

    A hand in the sun is brighter than the face in the shade, and may have the colors of the wooden thing in the other
    hand. It has the hue of skin, and it ends where a hand does: a region that extends farther is a thing. Where it
    touches one, it is wider than a stick.
    """
    size = 2 * max(1, round(_WIDTH_BH * sample.body.height_px)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    skin = unexplained & _skin(sample.view.picture)
    if not skin.any():
        return skin
    wide = cv2.morphologyEx(unexplained.view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    hands = _like_a_hand(wide, skin, sample, _REACH_BH, _SKIN_SHARE)
    # What was opened away from its edge are fingers.
    hands = cv2.dilate(hands.view(np.uint8), kernel) > 0
    return (hands & unexplained) | _like_a_hand(unexplained, skin, sample, _FINGERS_BH, _SKIN_AROUND)


def _like_a_hand(regions: Mask, skin: Mask, sample: Sample, reach_bh: float, skin_share: float) -> Mask:
    """Return the components no larger than a hand, with so much of ``skin``, that do not extend farther from the middle
    of one."""
    height = sample.body.height_px
    count, labeled = cv2.connectedComponents(regions.view(np.uint8), connectivity=4)
    areas = np.bincount(labeled.ravel(), minlength=count)
    is_within = np.zeros(count, np.bool_)
    rows, columns = (axis.astype(np.float32) for axis in np.ogrid[: regions.shape[0], : regions.shape[1]])
    for x, y in sample.body.hands:
        far = np.hypot(columns - x, rows - y) > reach_bh * height
        is_within |= np.bincount(labeled[far], minlength=count) == 0
    is_hand = is_within & (areas <= _MOST_BH2 * height**2)
    is_hand &= np.bincount(labeled[skin], minlength=count) > skin_share * areas
    is_hand[0] = False
    return np.asarray(is_hand[labeled], np.bool_)


def _skin(picture: Picture) -> Mask:
    """Return the pixels of a picture (h, w, 3) in the hues of skin."""
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    is_hue = (hue < _SKIN_HUES[0]) | (hue > _SKIN_HUES[1])
    return np.asarray(is_hue & (saturation >= _SKIN_SATURATION[0]) & (saturation <= _SKIN_SATURATION[1]), np.bool_)
