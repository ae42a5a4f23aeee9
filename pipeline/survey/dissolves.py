"""Cross-fades: frames in which one picture is gradually replaced by another.

Inside a cross-fade each picture is a weighted mean of the one before and the one after it, so that its position on the
line between the two tells the weight, and little lies off the line. In a pan or a cut nothing lies between the ends,
and where one scene only changes its light, optical flow and gain map the one end onto the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Picture

_LENGTHS_SECONDS = (0.35, 0.6, 0.95, 1.3)
"""Windows: a cross-fade is found by the shortest one that holds it."""
_SIZE_WH = (48, 36)
"""Coarse pictures: what moves during the cross-fade stays near the same pixels."""
_BLUR_PX = 1.2
_LEAST_CHANGE = 12.0
"""Gray levels, RMS, between the ends."""
_MIDDLE = (0.2, 0.8)
_LEAST_MIDDLE = 3
"""Frames with such weights; a cut has none, and a flow-blended one between two frame rates has one."""
_OFF_LINE = 0.3
"""Largest distance from the line between the ends, relative to their distance; a third picture is 0.87 away."""
_ENDS = (0.04, 0.96)
_LEAST_STEP = 0.25
"""Smallest change of the weight from frame to frame within a cross-fade, relative to the largest one."""


class DissolveDetector:
    """Takes a clip's small pictures in order; holds 1.3 s of them."""

    def __init__(self, rate: Fraction | float, same_scene: Callable[[Picture, Picture], bool]) -> None:
        """``same_scene`` says of two pictures whether motion and light map one onto the other."""
        self._lengths = [max(_LEAST_MIDDLE + 2, round(seconds * float(rate))) for seconds in _LENGTHS_SECONDS]
        self._held: deque[tuple[Picture, Float32Array]] = deque(maxlen=self._lengths[-1] + 1)
        self._weights: list[float] = []

        self._same_scene = same_scene

    def push(self, small: Picture) -> None:
        """Take the next frame, RGB at a small size."""
        gray = cv2.resize(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), _SIZE_WH, interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), _BLUR_PX)
        self._held.append((small, coarse))
        self._weights.append(np.nan)
        for length in self._lengths:
            if len(self._held) > length and self._fades(length):
                return

    def finish(self) -> NDArray[np.float32]:
        """Return (T,): the weight of the later of two blended pictures, NaN where there is only one."""
        return np.array(self._weights, np.float32)

    def _fades(self, length: int) -> bool:
        """Look at the last ``length`` + 1 frames; return whether they hold a cross-fade, and note its weights."""
        frames = list(islice(self._held, len(self._held) - length - 1, None))
        first, last = frames[0][1], frames[-1][1]
        way = last - first
        distance = float(np.sqrt(np.mean(way * way)))
        if distance < _LEAST_CHANGE:
            return False
        away = np.stack([coarse for _, coarse in frames]) - first
        weights = np.einsum("tij,ij->t", away, way) / float(np.sum(way * way))
        middle = (weights > _MIDDLE[0]) & (weights < _MIDDLE[1])
        if np.count_nonzero(middle) < _LEAST_MIDDLE:
            return False
        off = away[middle] - weights[middle, None, None] * way
        if float(np.sqrt(np.mean(off * off, axis=(1, 2))).max()) > _OFF_LINE * distance:
            return False
        rises = np.diff(weights) > -0.02
        # The window holds the whole of it: the ends stand still compared with the middle.
        steps = np.abs(np.diff(weights))
        if not rises.all() or max(steps[0], steps[-1]) > 0.5 * steps.max():
            return False
        if steps.max() > 0.5 or self._same_scene(frames[0][0], frames[-1][0]):
            return False
        blended = (weights > _ENDS[0]) & (weights < _ENDS[1])
        # Before and after it only motion changes the weight.
        blended[1:] &= np.diff(weights) >= _LEAST_STEP * steps.max()
        start = len(self._weights) - len(frames)
        for index in np.flatnonzero(blended).tolist():
            self._weights[start + index] = float(weights[index])
        return True
