"""Differences from the plate that are no objects: a crumpled sheet, a curtain, a wall in another light."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.channels import all_at_most
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.samples import Sample

_REACH_PX = 6
"""How far a deformed background may have moved, px of the view: 2 % of body height."""
_LEVELS = 4
_SHARE = 0.7
"""Fraction of a region whose colors the plate shows near by; an object has parts in colors of its own."""
_LOOSE_REACH_PX = 16
_LOOSE_SHARE = 0.8
"""The same for what nobody holds, which may be folds of the cloth that the subject stands on."""
_WINDOW_BH = 0.06
_WINDOW_SHARE = 0.8
"""The same within a window, for the parts of a region in which an object and a deformed background meet."""


def displaced_background(found: Mask, sample: Sample) -> Mask:
    """Return the components of ``found`` (h, w) that lie mostly outside the people's masks and show colors which the
    plate has near by."""
    if not found.any():
        return np.zeros(found.shape, np.bool_)
    displaced = _displaced(found, sample)
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    is_background = counts_in(labeled, displaced, count) >= _SHARE * areas_of(labeled, count)
    is_background[0] = False
    return those_of(labeled, is_background)


def displaced_parts(found: Mask, sample: Sample) -> Mask:
    """Return the parts of ``found`` (h, w), joined to an object or to somebody, around which it is mostly such
    background."""
    if not found.any():
        return np.zeros(found.shape, np.bool_)
    displaced = _displaced(found, sample) & found
    size = 2 * round(0.5 * _WINDOW_BH * sample.body.height_px) + 1
    few, all_of_it = (cv2.blur(mask.astype(np.float32), (size, size)) for mask in (displaced, found))
    return found & ~sample.subject_mask & ~sample.others_mask & (few >= _WINDOW_SHARE * all_of_it)


def _displaced(found: Mask, sample: Sample) -> Mask:
    """Return where the plate near by has the frame's colors, outside the people's masks."""
    x0, y0, x1, y1 = box_of_mask(found)
    area = np.s_[y0:y1, x0:x1]
    displaced = np.zeros(found.shape, np.bool_)
    displaced[area] = shown_near_by(sample.view.picture[area], sample.view.plate[area], _REACH_PX)
    return displaced & ~sample.subject_mask & ~sample.others_mask


def folds_of_background(loose: Mask, sample: Sample) -> Mask:
    """Return the components of ``loose`` (h, w), objects that nobody holds, in colors of the background around them."""
    if not loose.any():
        return loose
    x0, y0, x1, y1 = box_of_mask(loose)
    area = np.s_[y0:y1, x0:x1]
    alike = np.zeros(loose.shape, np.bool_)
    alike[area] = shown_near_by(sample.view.picture[area], sample.view.plate[area], _LOOSE_REACH_PX)
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    shares = counts_in(labeled, alike, count) / areas_of(labeled, count)
    is_background = shares >= _LOOSE_SHARE
    is_background[0] = False
    return those_of(labeled, is_background)


def shown_near_by(source: Picture, plate: Picture, reach_px: int) -> Mask:
    """Return (h, w) where the source lies in the range of the plate's neighborhood in every channel and in hue."""
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    within = np.ones(source.shape[:2], np.bool_)
    for now, clean in ((source, plate), (hues(source), hues(plate))):
        over = cv2.subtract(now, cv2.dilate(clean, kernel))
        under = cv2.subtract(cv2.erode(clean, kernel), now)
        within &= all_at_most(cv2.max(over, under), _LEVELS)
    return within


def hues(picture: Picture) -> Picture:
    """Return (h, w, 2): red against green, and both against blue."""
    from_rgb = np.array([[0.5, -0.5, 0.0, 128.0], [0.25, 0.25, -0.5, 128.0]], np.float32)
    return np.asarray(cv2.transform(np.ascontiguousarray(picture), from_rgb), np.uint8)
