"""Strips that cling to the subject's outline near a hand: blurred edges and halos, which are nothing that they hold."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.samples import Sample

_REACH_BH = 0.03
"""How far beyond the mask a strip extends: twice the blur of an arm in motion; a cup or a bag extends farther."""
_BEYOND_SHARE = 0.1
_MOST_INSIDE = 0.25
"""Fraction of a strip's pixels inside the mask: what lies there is before the body."""
_KNOWN_PX = 3
"""Around what is known to be held: its edges."""
_OTHERS_SHARE = 0.5


def clinging(found: Mask, known: Mask, like_others: Mask, sample: Sample) -> Mask:
    """Return the parts of objects (h, w) that extend nowhere away from the subject's outline.

    An object in a hand is seen in other frames where no outline is, so that its colors are ``known``; what clings to
    the outline without them is the subject's. ``like_others``: in the colors of other people, who may be behind.
    """
    doubtful: Mask = found & ~grow(known & found, _KNOWN_PX)
    if not doubtful.any():
        return doubtful
    count, labeled = cv2.connectedComponents(doubtful.view(np.uint8), connectivity=8)
    areas = np.maximum(areas_of(labeled, count), 1)
    height = sample.body.height_px
    beyond = doubtful & ~grow(sample.subject_mask, max(1, round(_REACH_BH * height)))
    clings = counts_in(labeled, beyond, count) <= _BEYOND_SHARE * areas
    clings &= counts_in(labeled, sample.subject_mask, count) <= _MOST_INSIDE * areas
    clings &= counts_in(labeled, like_others, count) < _OTHERS_SHARE * areas
    clings[0] = False
    return those_of(labeled, clings)
