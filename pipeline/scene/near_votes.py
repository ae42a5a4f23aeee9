"""Which parts of a near layer stand in front of the subject: those seen inside their outline."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import Box
from pipeline.maths.masks import grow
from pipeline.maths.regions import counts_in, those_of
from pipeline.scene.narrow import LINES

_PRIOR = 0.35
_SURE = 0.6
_LEAST_VOTES = 0.8
"""Mean number of votes along a line."""
_LEAST_ON_LINE = 5
_PART_PX = 5
_LEAST_ON_PART = 0.5
"""Mean number of votes in a square of so many px."""
_STEP = 10
_STEP_PX = 2
"""Difference between neighbors at the edge of a surface without a pattern, gray levels, and how wide that is."""
_SURE_SURFACE = 0.75
_SURFACE_BH2 = 0.003
"""Least share of the votes for such a surface, and least part of it that was seen, square body heights."""
_FADE = 0.6
"""Weight of the votes around a neighboring plate."""
_GAP_BH = 0.09
"""Length of a line between two sure parts of it that belongs to it, too."""
_REACH_BH = 0.25
"""How far from its sure parts what belongs to the layer is in front, too, where it holds together."""
_LEAST_BH = 0.15
"""Least size of a layer's part; what is smaller is a chance likeness."""


class RowVotes:
    """Counts of a layer's pixels seen and hidden inside the subject's outline, by plate; looks come in order."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._votes: dict[int, NDArray[np.float32]] = {}
        self._given: set[int] = set()

    def add(self, row: int, box: Box, seen: Mask, hidden: Mask) -> None:
        """Count a look's pixels in a box of the mosaic for the plate ``row``."""
        x0, y0, x1, y1 = box
        votes = self._votes.setdefault(row, np.zeros((2, *self._shape), np.float32))
        votes[0, y0:y1, x0:x1] += seen
        votes[1, y0:y1, x0:x1] += hidden

    def before(self, row: int | None) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
        """Yield the plates that are complete, with their neighbors, once the looks reach ``row``; all for None.

        With (H, W) the votes that it was seen, and that it was hidden.
        """
        if row is not None and (row in self._votes or not self._votes):
            return
        last = max(self._votes, default=0)
        for known in sorted(set(self._votes) - self._given):
            if row is not None and known == last:
                continue
            total = np.zeros((2, *self._shape), np.float32)
            for near in (known - 1, known, known + 1):
                if near in self._votes:
                    total += np.float32(_FADE ** abs(near - known)) * self._votes[near]
            self._given.add(known)
            yield known, total[0], total[1]
        for known in [each for each in self._votes if each < last - 1]:
            self._votes.pop(known)


def in_front(
    lines: Mask, steady: Mask, seen: NDArray[np.float32], hidden: NDArray[np.float32], body_height: float
) -> Mask:
    """Return (h, w) the parts of a layer in front of the subject: its ``lines`` that were ``seen`` inside their outline
    more often than not, and what holds together with them: its ``steady`` pixels, as leaves on their stem.

    ``seen`` and ``hidden`` (h, w) count both.
    """
    for_it, hides = (cv2.blur(votes, (_PART_PX, _PART_PX)) for votes in (seen, hidden))
    front = steady & (for_it > _SURE * (for_it + hides + _PRIOR)) & (for_it >= _LEAST_ON_PART)
    front = cv2.morphologyEx(front.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    front |= _lines_in_front(lines, seen, hidden, body_height)
    if not front.any():
        return front
    against = hides > for_it + np.float32(_PRIOR)
    whole = (
        cv2.morphologyEx((front | (steady & ~against)).view(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    )
    near = cv2.distanceTransform((~front).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) <= _REACH_BH * body_height
    count, labeled = cv2.connectedComponents((front | (whole & near)).view(np.uint8), connectivity=8)
    kept = counts_in(labeled, front, count) > 0
    kept[0] = False
    return those_of(labeled, kept)


def surfaces_in_front(
    picture: Picture, plain: Mask, seen: NDArray[np.float32], hidden: NDArray[np.float32], body_height: float
) -> Mask:
    """Return (h, w) the surfaces of a layer in front of the subject: what looks the same in all looks (``plain``),
    divided by the edges in the layer's ``picture`` (h, w, 3), where it was ``seen`` inside their outline.

    The background is as ``plain`` where it has no pattern; before it the subject was seen, which is counted over the
    whole of it (``hidden``).
    """
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    count, labeled = cv2.connectedComponents((plain & (steps < _STEP)).view(np.uint8), connectivity=4)
    for_it, hides = (np.bincount(labeled.ravel(), votes.ravel(), count) for votes in (seen, hidden))
    is_front = for_it > _SURE_SURFACE * (for_it + hides)
    is_front &= counts_in(labeled, seen >= 1, count) >= _SURFACE_BH2 * body_height**2
    is_front[0] = False
    return grow(those_of(labeled, is_front), _STEP_PX) & plain


def _lines_in_front(lines: Mask, seen: NDArray[np.float32], hidden: NDArray[np.float32], body_height: float) -> Mask:
    """Return (h, w) the pixels of ``lines`` that were ``seen`` inside the subject's outline more often than not.

    ``seen`` and ``hidden`` (h, w) count both, on the lines. Small gaps along a line are closed.
    """
    gap_px = max(3, round(_GAP_BH * body_height))
    least_px = round(_LEAST_BH * body_height)
    on_line = lines.astype(np.float32)
    sure = np.zeros(lines.shape, np.bool_)
    for line in LINES:
        kernel = line.astype(np.float32)
        for_it, against, length = (cv2.filter2D(counts, -1, kernel) for counts in (seen, hidden, on_line))
        share = for_it / (for_it + against + _PRIOR * np.maximum(length, 1))
        sure |= lines & (share > _SURE) & (for_it >= _LEAST_VOTES * length) & (length >= _LEAST_ON_LINE)
    front = sure.copy()
    for shape in ((gap_px, 1), (1, gap_px)):
        front |= (cv2.morphologyEx(sure.view(np.uint8), cv2.MORPH_CLOSE, np.ones(shape, np.uint8)) > 0) & lines
    front |= grow(front, 1) & lines
    count, labeled, stats, _ = cv2.connectedComponentsWithStats(front.view(np.uint8), connectivity=8)
    kept = np.maximum(stats[:count, cv2.CC_STAT_WIDTH], stats[:count, cv2.CC_STAT_HEIGHT]) >= least_px
    kept[0] = False
    return np.asarray(kept[labeled], np.bool_)
