"""Other people who are not found in a frame: what differs from the plate about where they are is theirs."""

from __future__ import annotations

from dataclasses import replace

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.scene.samples import Sample, opened
from pipeline.scene.views import Shown

_REACH_BH = 0.05
"""Error of a moved mask: a stride, and a course that is not straight."""
_RIM_BH = 0.008
"""Along the subject's mask what differs from the plate is the subject's blurred edge."""


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
