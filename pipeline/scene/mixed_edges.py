"""Pixels along the mask that mix the subject with the background: motion blur, loose hair, a mask that is too tight.

Their colors are neither the subject's nor the background's and lie between the two; those of an object seldom do.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown
from pipeline.maths.channels import all_at_most
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, extents_of, sums_in, those_of
from pipeline.scene.displaced import hues
from pipeline.scene.samples import Sample, opened

_REACH_BH = 0.05
_WINDOW_BH = 0.035
_LEVELS = 4
_THIN_BH = 0.025
"""Half the width of the widest strip."""
_LEAST_LENGTH_BH = 0.08
"""A stick that leaves the outline is shorter within reach."""
_SLACK_PX = 2.0


def mixed_edges(unexplained: Mask, own: Mask, sample: Sample) -> Mask:
    """Return the strips of ``unexplained`` (h, w) along the mask whose colors lie between those on both sides."""
    height = sample.body.height_px
    beside = grow(sample.subject_mask, max(1, round(_REACH_BH * height))) & ~sample.subject_mask & ~sample.others_mask
    radius = max(1, round(_THIN_BH * height))
    # What is wide beside the mask is something else.
    thin = unexplained & beside & ~grow(opened(unexplained & ~sample.subject_mask, radius), radius)
    if not thin.any():
        return thin
    reach = max(1, round(_WINDOW_BH * height))
    x0, y0, x1, y1 = clipped(grown(box_of_mask(thin), reach), (thin.shape[1], thin.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    strips = np.zeros(thin.shape, np.bool_)
    strips[area] = thin[area] & _between(sample.view.picture[area], sample.view.plate[area], own[area], reach)
    if not strips.any():
        return strips
    count, labeled = cv2.connectedComponents(strips.view(np.uint8), connectivity=8)
    extent = np.maximum(extents_of(labeled, count), 1)
    is_strip = extent > _LEAST_LENGTH_BH * height
    # A strip along the outline lies half its width from it on average; a stick extends away from it.
    away = _distance_in(sample.subject_mask, box_of_mask(strips), 2 * max(1, round(_REACH_BH * height)))
    areas = np.maximum(areas_of(labeled, count), 1)
    mean_away = sums_in(labeled, away, count) / areas
    is_strip &= mean_away <= 0.5 * areas / extent + _SLACK_PX
    is_strip[0] = False
    return those_of(labeled, is_strip)


def _distance_in(mask: Mask, box_xyxy: Box, reach_px: int) -> Float32Array:
    """Return (h, w) the distance from a mask of which each pixel of the box has a part within reach; 0 far from it."""
    x0, y0, x1, y1 = clipped(grown(box_xyxy, reach_px), (mask.shape[1], mask.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    away = np.zeros(mask.shape, np.float32)
    away[area] = cv2.distanceTransform((~mask[area]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return away


def _between(source: Picture, plate: Picture, own: Mask, reach_px: int) -> Mask:
    """Return (h, w) where each channel and hue lies in the range of the plate and of the subject within reach."""
    between = np.ones(own.shape, np.bool_)
    for now, clean in ((source, plate), (hues(source), hues(plate))):
        low, high = _range(now, clean, own, reach_px)
        between &= all_at_most(cv2.max(cv2.subtract(now, high), cv2.subtract(low, now)), _LEVELS)
    return between


def _range(now: Picture, clean: Picture, own: Mask, reach_px: int) -> tuple[Picture, Picture]:
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    inside = cv2.merge([np.where(own, np.uint8(255), np.uint8(0))] * now.shape[2])
    low = cv2.erode(cv2.min(clean, cv2.bitwise_or(now, cv2.bitwise_not(inside))), kernel)
    high = cv2.dilate(cv2.max(clean, cv2.bitwise_and(now, inside)), kernel)
    return np.asarray(low, np.uint8), np.asarray(high, np.uint8)
