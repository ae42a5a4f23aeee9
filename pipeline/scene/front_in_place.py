"""Move a frame's plate to where what stands in front of the subject is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.front_shift import LEAST_PX, FrontShift, front_shift
from pipeline.maths.masks import close
from pipeline.maths.reduce import reduced
from pipeline.scene.samples import Sample, eroded, opened
from pipeline.scene.views import Shown

_GAP_BH = 0.05
"""Half the width of what a mask may leave out between two parts of the subject."""
_CORE_BH = 0.018


def with_front_in_place(
    sample: Sample, single: Callable[[], Picture], places: Mask | None = None
) -> tuple[Sample, FrontShift | None]:
    """Return the sample compared with a plate in which what is in front is in place, and how that moved, at the size of
    the view; None where nothing is in front.

    ``single`` returns one of the plates that the sample's is a blend of, (H, W, 3) of the view's box in the frame's
    light. ``places`` (h, w) are those at which something is known to be in front; None where that is not known yet.
    """
    height = sample.body.height_px
    if sample.is_unsure or sample.is_veiled or not _may_be_behind(sample, places):
        return sample, None
    outline = close(sample.subject_mask, max(1, round(_GAP_BH * height))) | (sample.outside < 0)
    inside = np.ascontiguousarray(outline & ~sample.others_mask)
    view = sample.view
    plate = reduced(single(), view.size_wh)
    shift = front_shift(view.picture, plate, view.known, inside, height)
    if shift is None:
        return sample, None
    return replace(sample, view=view.with_plate(shift.laid_over(view.plate, plate))), shift


def _may_be_behind(sample: Sample, places: Mask | None) -> bool:
    """Return whether the plate is seen where only the subject should be: most people have nothing in front of them."""
    core = sample.outside < -_CORE_BH
    core |= eroded(sample.subject_mask, max(1, round(_CORE_BH * sample.body.height_px)))
    if places is not None:
        core &= places
    shown = core & ~sample.others_mask & (sample.view.shown == Shown.PLATE)
    return bool(np.count_nonzero(shown) >= LEAST_PX and np.count_nonzero(opened(shown, 1)) >= LEAST_PX)
