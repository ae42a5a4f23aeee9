"""Hands in the colors of what is held: told from it by their size, their hue and their place."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import HEAD
from pipeline.scene.samples import Sample

_REACH_BH = 0.15
"""From the middle of a hand to the tips of its fingers, and the error of its place, body heights."""
_WIDTH_BH = 0.012
"""Half the width of a hand, at least: sticks and handles are narrower."""
_MOST_BH2 = 0.009
"""Area of an open hand with its wrist, square body heights."""
_SKIN_HUES = (17, 170)
"""Hues of skin, from red to orange, of 180: below the first, or above the second."""
_SKIN_SATURATION = (25, 190)
_SKIN_SHARE = 0.45
_FACE_BH = -0.02
"""Inside the head: not the hair around it."""
_LEAST_FACE_PX = 60
_FACE_HUES = 8
"""How far the hues of skin lie from that of the face, of 180: it is redder in the shade, and paler in the sun."""
_CIRCLE = 180
_HALF_CIRCLE = 90


def bare_hands(unexplained: Mask, sample: Sample) -> Mask:
    """Return the unexplained pixels (h, w) that are the subject's own hands.

    A hand in the sun is brighter than the face in the shade, and may have the colors of the wooden thing in the other
    hand. It has the hue of skin, it is wider than a stick, and it ends where a hand does: a region that extends farther
    is a thing.
    """
    height = sample.body.height_px
    size = 2 * max(1, round(_WIDTH_BH * height)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    wide = cv2.morphologyEx(unexplained.view(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labeled = cv2.connectedComponents(wide, connectivity=4)
    if count < 2 or not len(sample.body.hands):
        return np.zeros(unexplained.shape, np.bool_)
    areas = areas_of(labeled, count)
    is_within = np.zeros(count, np.bool_)
    rows, columns = (axis.astype(np.float32) for axis in np.ogrid[: wide.shape[0], : wide.shape[1]])
    for x, y in sample.body.hands:
        far = np.hypot(columns - x, rows - y) > _REACH_BH * height
        is_within |= counts_in(labeled, far, count) == 0
    is_hand = is_within & (areas <= _MOST_BH2 * height**2)
    is_hand &= counts_in(labeled, _skin(sample.view.picture), count) > _SKIN_SHARE * areas
    is_hand[0] = False
    # What was opened away from its edge are fingers.
    return (cv2.dilate(those_of(labeled, is_hand).view(np.uint8), kernel) > 0) & unexplained


def own_skin(sample: Sample) -> Mask:
    """Return the pixels of a view (h, w) in the hue of the subject's face; in any hue of skin where it is not seen."""
    picture = sample.view.picture
    skins = _skin(picture)
    face = skins & sample.subject_mask & (sample.distances[HEAD] < _FACE_BH)
    if np.count_nonzero(face) < _LEAST_FACE_PX:
        return skins
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    # Red lies at both ends of the circle of hues.
    turned = (hue.astype(np.int16) + _HALF_CIRCLE) % _CIRCLE
    apart = np.abs(turned - np.median(turned[face]))
    return np.asarray((apart <= _FACE_HUES) & (saturation >= _SKIN_SATURATION[0]), np.bool_)


def _skin(picture: Picture) -> Mask:
    """Return the pixels of a picture (h, w, 3) in the hues of skin."""
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    is_hue = (hue < _SKIN_HUES[0]) | (hue > _SKIN_HUES[1])
    return np.asarray(is_hue & (saturation >= _SKIN_SATURATION[0]) & (saturation <= _SKIN_SATURATION[1]), np.bool_)
