"""Other people who are not found in a frame: what differs from the plate about where they are, or is joined to what
their colors tell, is theirs."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import counts_in, those_of
from pipeline.scene.body import HAND, HEAD
from pipeline.scene.frame_evidence import FrameEvidence
from pipeline.scene.samples import UNLIKELY, Sample, opened
from pipeline.scene.views import Shown

_REACH_BH = 0.05
"""Error of a moved mask: a stride, and a course that is not straight."""
_RIM_BH = 0.008
"""Along the subject's mask what differs from the plate is the subject's blurred edge."""
_TOLD_SHARE = 0.3
"""Fraction of somebody whose colors must tell who they are: the rest is skin and hair."""
_GAP_BH = 0.008
_OWN_HAND_BH, _OWN_HAIR_BH = 0.06, 0.04
"""Distances from the subject's hands and head within which skin and hair are theirs."""
_OWN_ODDS = 6.0
_OWN_COLOR_BH = 0.05
"""Least odds of a color for the subject that others never have, and how far from the mask it is a part that this
misses: clothes; a few frames show too little of somebody's skin."""


def with_unfound(sample: Sample, unfound_mask: Mask) -> Sample:
    """Return a sample whose mask of others has the people who are about in ``unfound_mask`` (h, w) of the view's box.

    Not the background within it, and not the subject's mask with the edge of it.
    """
    height = sample.body.height_px
    about = grow(sample.view.reduced(unfound_mask), max(1, round(_REACH_BH * height)))
    theirs = about & (sample.view.shown == Shown.OTHER) & (sample.outside > 0)
    theirs &= ~grow(sample.subject_mask, max(1, round(_RIM_BH * height)))
    # A line of a pixel is a misplaced edge of the plate.
    return replace(sample, others_mask=sample.others_mask | opened(theirs, 1))


def joined_to_unfound(told: Mask, evidence: FrameEvidence, sample: Sample) -> Mask:
    """Return ``told`` (h, w), what the colors of others tell of somebody without a mask, with what is joined to it.

    Skin and hair have the colors of the subject's, who would be searched for in them. Not the subject's mask with the
    edge of it, nor hands and hair close to the subject's own, nor a color that only the subject has.
    """
    if not told.any():
        return told
    height = sample.body.height_px
    own = grow(sample.subject_mask, max(1, round(_RIM_BH * height))) | (sample.outside <= 0)
    own |= (sample.distances[HAND] < _OWN_HAND_BH) | (sample.distances[HEAD] < _OWN_HAIR_BH)
    clothes = (evidence.odds < -np.log(_OWN_ODDS)) & (evidence.other_people < UNLIKELY)
    own |= clothes & grow(sample.subject_mask, max(1, round(_OWN_COLOR_BH * height)))
    free = evidence.unmasked & (sample.view.shown == Shown.OTHER) & ~own
    joined = told | opened(free, 1)
    # A cuff may have the colors of the background behind it.
    count, labeled = cv2.connectedComponents(grow(joined, max(1, round(_GAP_BH * height))).view(np.uint8))
    kept = counts_in(labeled, told, count) >= _TOLD_SHARE * counts_in(labeled, joined, count)
    kept[0] = False
    return told | (those_of(labeled, kept) & joined)
