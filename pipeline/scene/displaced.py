"""Differences from the plate that are no objects: a crumpled sheet, a curtain, a wall in another light."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask
from pipeline.scene.samples import Sample

_REACH_PX = 6
"""How far a deformed background may have moved, px of the view: 2 % of body height."""
_LEVELS = 4
_SHARE = 0.7
"""Fraction of a region whose colors the plate shows near by; an object has parts in colors of its own."""


def displaced_background(found: Mask, sample: Sample) -> Mask:
    """Return the components of ``found`` (h, w) that lie mostly outside the people's masks and show colors which the
    plate has near by."""
    if not found.any():
        return np.zeros(found.shape, np.bool_)
    x0, y0, x1, y1 = box_of_mask(found)
    area = np.s_[y0:y1, x0:x1]
    displaced = np.zeros(found.shape, np.bool_)
    displaced[area] = _shown_near_by(sample.view.picture[area], sample.view.plate[area])
    displaced &= ~sample.subject_mask & ~sample.others_mask
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    areas = np.bincount(labeled.ravel(), minlength=count)
    is_background = np.bincount(labeled[displaced], minlength=count) >= _SHARE * areas
    is_background[0] = False
    return np.asarray(is_background[labeled], np.bool_)


def _shown_near_by(source: Picture, plate: Picture) -> Mask:
    """Return (h, w) where the source lies in the range of the plate's neighborhood in every channel and in hue."""
    kernel = np.ones((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), np.uint8)
    within = np.ones(source.shape[:2], np.bool_)
    for now, clean in ((source, plate), (hues(source), hues(plate))):
        over = cv2.subtract(now, cv2.dilate(clean, kernel))
        under = cv2.subtract(cv2.erode(clean, kernel), now)
        within &= (cv2.max(over, under) <= _LEVELS).all(axis=-1)
    return within


def hues(picture: Picture) -> Picture:
    """Return (h, w, 2): red against green, and both against blue."""
    from_rgb = np.array([[0.5, -0.5, 0.0, 128.0], [0.25, 0.25, -0.5, 128.0]], np.float32)
    return np.asarray(cv2.transform(np.ascontiguousarray(picture), from_rgb), np.uint8)
