"""Parts of the subject that the mask misses: limbs beside it, in the subject's colors."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.samples import Sample, opened
from pipeline.scene.views import Shown

REACH_BH = 0.10
"""Distance from the mask within which missed parts are searched for, body heights: a hand."""
_BEYOND_SHARE = 0.3
_LEAST_BEYOND_PX = 150
"""Something of which more than this share and area, at ``WORK_BODY_PX``, lies out of reach is no missed limb."""


def missed_parts(subject: Mask, free: Mask, apart: Mask, front: Mask, like: Mask, sample: Sample) -> Mask:
    """Return parts of the ``subject`` beside the mask: different from the plate, similar in color, and connected to it.

    All are (h, w): ``free`` is what has no other label, ``apart`` what is somebody's or something's of its own,
    ``front`` what stands before the subject, and ``like`` what has the subject's colors.
    """
    if sample.borrowed is not None:
        subject = subject | sample.borrowed
    reach = round(REACH_BH * sample.body.height_px)
    if reach < 2 or not subject.any():
        return np.zeros(subject.shape, np.bool_)
    differs = free & (sample.view.shown == Shown.OTHER)
    within = grow(subject, reach)
    if sample.borrowed is not None:
        # An arm beside the post that hides the rest touches nothing of the subject that is seen, but who stands behind.
        return _beside_cover(within & differs & like, free)
    # What lies out of reach tells whose it is, whether or not the colors near by do.
    near = within & differs & ~_extending(differs | apart, within)
    # A line of one pixel is a misplaced edge; fingers are wider, and are recovered by dilating the mask.
    found = opened(near & like, 1)
    if not found.any():
        return found
    # A back beside a post is connected to the chest on its other side.
    joined = grow(found, 1) | subject | (front & within)
    count, labeled = cv2.connectedComponents(joined.view(np.uint8))
    return those_of(labeled, counts_in(labeled, subject, count) > 0) & found


def _beside_cover(near: Mask, free: Mask) -> Mask:
    """Return ``near`` (h, w) without lines of one pixel, and with the ``free`` ones between its pixels.

    Of whoever is hidden for the most part only thin parts of limbs are seen, with stripes and edges in rarer colors.
    """
    joined = cv2.morphologyEx(near.view(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    return opened(joined & free, 1)


def _extending(differs: Mask, within: Mask) -> Mask:
    """Return the components of ``differs`` that extend out of reach: somebody behind the subject in like colors."""
    # Somebody's outline touches many things by a line of a pixel.
    solid = opened(differs, 1)
    count, labeled = cv2.connectedComponents(solid.view(np.uint8), connectivity=4)
    beyond = counts_in(labeled, ~within, count)
    extends = (beyond > _LEAST_BEYOND_PX) & (beyond > _BEYOND_SHARE * areas_of(labeled, count))
    extends[0] = False
    return those_of(labeled, extends)
