"""Supposed objects of colors that no object in the clip has: errors of the plate."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.regions import areas_of, counts_in, those_of

_COUNTED = np.float32(25.0)
"""Frequency of a color over that of one never counted, where about one pixel of it was counted: the prior of
``colors.density`` is a 24th of a pixel for each color."""
_HALF = 0.5


def never_seen(loose: Mask, foreign: Float32Array, uncounted: np.float32) -> Mask:
    """Return the components of ``loose`` (h, w) most of whose colors were never counted in objects.

    ``foreign`` (h, w) is their frequency in objects, ``uncounted`` that of a color that was never seen. A thing beside
    the subject is counted in many frames. Where nothing was counted, every color that the subject does not have is more
    frequent in objects than on the subject, and what differs from the plate is a part of the plate that is misplaced or
    a guess, with the edge of the subject before it.
    """
    if not loose.any():
        return loose
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    is_new = counts_in(labeled, foreign < _COUNTED * uncounted, count) > _HALF * areas_of(labeled, count)
    is_new[0] = False
    return those_of(labeled, is_new)
