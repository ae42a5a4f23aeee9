"""What lies behind the graphics of a still camera, as far as it was seen for a while.

Where words follow each other at one place, each change uncovers the letters of one and covers others. Both sides of it
stand still, but only one of them was there before the words came.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask

_ALIKE = 8
"""Gray levels that codecs cause from one look to the next."""
_SAME = 10.0
_ESTABLISHED = 4
"""Looks, about half a second together: a word of changing captions is shown for a shorter time."""


class StillBackground:
    """Takes pictures (h, w) of a still camera, some frames apart."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        shape = size_wh[::-1]
        self._latest = np.zeros(shape, np.uint8)
        self._looks = np.zeros(shape, np.uint8)
        self._known = np.zeros(shape, np.bool_)
        self._levels = np.zeros(shape, np.uint8)
        self._earlier = np.zeros(shape, np.uint8)
        """A translucent panel is learned as background while it is shown; what was there before returns."""

    def forget(self) -> None:
        """The camera moves, or another shot begins."""
        self._looks[:] = 0
        self._known[:] = False

    def look(self, luma: NDArray[np.uint8], covered: Mask) -> None:
        """Take a picture (h, w); nothing is learned where graphics or people cover it."""
        is_same = cv2.absdiff(luma, self._latest) <= _ALIKE
        free = ~covered
        self._looks[free & ~is_same] = 0
        self._looks[free] = np.minimum(self._looks[free] + 1, _ESTABLISHED)
        np.copyto(self._latest, luma, where=free)
        established = free & (self._looks >= _ESTABLISHED)
        is_first = established & ~self._known
        has_changed = established & (cv2.absdiff(luma, self._levels) > _ALIKE)
        np.copyto(self._earlier, self._levels, where=has_changed)
        np.copyto(self._earlier, luma, where=is_first)
        np.copyto(self._levels, luma, where=established)
        self._known |= established

    def shows(self, picture: Float32Array) -> Mask:
        """Return where a picture (h, w) shows the background as it was before."""
        is_latest = np.abs(picture - self._levels) <= _SAME
        return self._known & (is_latest | (np.abs(picture - self._earlier) <= _SAME))
