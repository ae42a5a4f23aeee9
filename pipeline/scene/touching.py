"""Two people who touch: whose a pixel is where the mask of somebody else runs over the subject."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, those_of
from pipeline.scene.samples import UNLIKELY, Sample, opened
from pipeline.scene.views import Shown

_SPILL_BH = 0.03
_SPILL_DEPTH_BH = 0.02
"""How far the masks of two people run over each other: beyond the subject's limbs, and inside the other's mask."""
_NEAR_MASK_BH = 0.012
"""How far the subject's own mask ends inside their outline where it is good."""
_PATCH_BH = 0.12
"""Side of a square in which clothes as a whole tell whose they are: dark folds of one coat have the colors of another's
trousers."""
_LIMB_CORE_BH = 0.01
"""The middle of a limb is the subject's however deep inside another mask it lies."""
_ON_LIMB_ODDS = 2.0
_BESIDE_ODDS = 6.0
"""Least odds of a color for the subject against everything else, on a limb and beside it."""
_FAR_ODDS = 20.0
"""Where neither the subject's mask nor a limb is near: hair has the color of skin in the shade."""
_TIGHT_BH = 0.03
"""How far a person's mask may end inside their outline."""
_LARGEST_HOLE_BH2 = 0.0018
"""Square body heights: a smaller hole in somebody is part of them, even in the subject's colors."""
_NEVER_THEIRS = 0.5 * UNLIKELY
"""A color rarer than this on others was not seen on them."""
_KNOWN_SHARE = 0.75
"""Of the mask of others, so much must have colors that were seen on them for the rest to be somebody else's."""
_NARROW_BH = 0.008
_OFF_PLACE_BH = 0.2
"""How far a limb of somebody who is hidden lies from where they are expected."""


def own_under_others(sample: Sample, odds: Float32Array, alike: Mask) -> Mask:
    """Return the subject's pixels (h, w) under the mask of others, by their place and color.

    ``odds`` (h, w) are log odds of anything else against the subject, ``alike`` (h, w) where the colors are the
    subject's. Somebody in like clothes may stand in front: jeans before jeans are told by how deep they lie in the
    other's mask.
    """
    inside = cv2.distanceTransform(sample.others_mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    is_rim = inside <= _SPILL_DEPTH_BH * sample.body.height_px
    height = sample.body.height_px
    near = grow(sample.subject_mask, max(1, round(_NEAR_MASK_BH * height))) | (sample.outside < _NEAR_MASK_BH)
    beside = is_rim & (sample.outside < _SPILL_BH) & (odds < -np.log(np.where(near, _BESIDE_ODDS, _FAR_ODDS)))
    on_limb = (is_rim & (sample.outside < 0)) | (sample.outside < -_LIMB_CORE_BH)
    on_limb &= odds < -np.log(_ON_LIMB_ODDS)
    may_be = is_rim | (odds < -np.log(_BESIDE_ODDS))
    may_be |= _mean_within(sample.others_mask, odds, _PATCH_BH * height) < 0
    return np.asarray(alike & may_be & (sample.subject_mask | on_limb | beside), np.bool_)


def _mean_within(mask: Mask, values: Float32Array, side_px: float) -> Float32Array:
    """Return (h, w) the mean of ``values`` (h, w) over the pixels of a mask (h, w) in a square around each."""
    size = (max(3, round(side_px)),) * 2
    inside = mask.astype(np.float32)
    return cv2.blur(values * inside, size) / np.maximum(cv2.blur(inside, size), np.float32(1e-6))


def taken_by_others(sample: Sample, subject: Float32Array, others: Float32Array) -> Mask:
    """Return the pixels (h, w) of somebody hidden that the mask of who is in front of them contains: a leg that steps
    out from behind them.

    ``sample`` has a mask ``borrowed`` from another frame. What is hidden is not quite where it is expected, so that
    color decides: one of any of the subject's parts (``subject``, parts, NUM_BINS), never seen on the ``others``
    (NUM_BINS,), whose own colors are known.
    """
    nothing = np.zeros(sample.others_mask.shape, np.bool_)
    is_theirs = others[sample.bins] >= _NEVER_THEIRS
    known = np.count_nonzero(sample.others_mask & is_theirs)
    if sample.borrowed is None or known < _KNOWN_SHARE * np.count_nonzero(sample.others_mask):
        return nothing
    height = sample.body.height_px
    near = grow(sample.borrowed, max(1, round(_OFF_PLACE_BH * height)))
    like = near & sample.others_mask & ~is_theirs & (subject.max(axis=0)[sample.bins] > UNLIKELY)
    # Stripes and folds of somebody's clothes are narrow.
    like = opened(like & (sample.view.shown == Shown.OTHER), max(1, round(_NARROW_BH * height)))
    count, labeled = cv2.connectedComponents(like.view(np.uint8), connectivity=4)
    is_large = areas_of(labeled, count) > _LARGEST_HOLE_BH2 * height**2
    is_large[0] = False
    return those_of(labeled, is_large)


def without_small_holes(people: Mask, height_px: float) -> Mask:
    """Return a mask of people with its small holes filled: hair in the color of the subject's hair."""
    count, labeled = cv2.connectedComponents((~people).view(np.uint8), connectivity=4)
    is_small = areas_of(labeled, count) <= _LARGEST_HOLE_BH2 * height_px**2
    is_small[0] = False
    return people | those_of(labeled, is_small)


def edges_of_others(others: Mask, subject: Mask, free: Mask, sample: Sample) -> Mask:
    """Return the pixels (h, w) that nobody has (``free``) and that are the edges of ``others``: they differ from the
    plate, beside them, and no farther from them than from the ``subject``.

    The hole that is made for the subject is wider than the subject, and somebody's mask is often too tight.
    """
    reach_px = max(1.5, _TIGHT_BH * sample.body.height_px)
    from_others, from_subject = (
        cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) for mask in (others, subject)
    )
    beside = (from_others < reach_px) & (from_others <= from_subject)
    return np.asarray(free & beside & (sample.view.shown == Shown.OTHER), np.bool_)
