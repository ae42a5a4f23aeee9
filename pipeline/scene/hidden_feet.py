"""Feet behind a low object that hides the shins above them.

Feet are located less accurately than the rest: beside a shoe the ground is visible inside its capsule. So ground there
is no evidence of an object in front, unless nothing of the foot is seen and the shin is hidden as well.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of

_HIDDEN = 0.8
"""Share of a foot that shows the plate, from which nothing of it is seen."""
_GAP_PX = 3
"""Largest gap between a covered shin and its foot, at ``WORK_BODY_PX``."""


def hidden_feet(covered: Mask, feet: Mask, shows_plate: Mask) -> Mask:
    """Return the pixels (h, w) of ``feet`` of which nothing is seen, at the ends of shins that something covers.

    ``covered`` (h, w) is where something in front hides the rest of the body, ``shows_plate`` (h, w) where the plate is
    visible and nobody is.
    """
    if not covered.any():
        return np.zeros_like(covered)
    count, labeled = cv2.connectedComponents(feet.view(np.uint8), connectivity=8)
    hidden = counts_in(labeled, shows_plate, count) > _HIDDEN * areas_of(labeled, count)
    hidden &= counts_in(labeled, grow(covered, _GAP_PX), count) > 0
    hidden[0] = False
    return those_of(labeled, hidden) & shows_plate
