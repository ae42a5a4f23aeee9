"""Burnt-in graphics before a still camera: what people who pass do not hide.

Where neither the scene nor a logo moves, nothing tells them apart until somebody passes: the edges of the scene end at
their outline, those of an opaque graphic show before them as they do elsewhere. Only what people were seen behind is
found; nothing else is at risk. Translucent ones are not told from what masks of people reach over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.survey.graphic import LEAST_EDGE_PX, Luma, Seen

_STILL_PX = 0.7
"""By which the picture may be away from the place where it was at first."""
_INSIDE_PX, _BESIDE_PX = 4, 3
"""From a person's outline, inward and outward, on which nothing is learned."""
_LEAST_BEFORE, _LEAST_BESIDE = 5, 4
"""Frames in which a pixel lay before people, and blocks in which it did not."""
_LEAST_GRADIENT = 5.0
"""Gray levels per px of an edge: more than codecs cause."""
_SHOWN = (0.3, 1.8)
"""Gradient before people, relative to that without them, along it: letters stand out less before bright clothes."""
_OFF = 0.6
"""Largest mean deviation of the gradient before people from that share of it, relative to it."""
_WINDOW_PX = 9
_ALIKENESS = 0.8
"""Correlation of the gradient before people and without them, around a pixel."""
_LEAST_EDGES = 120
"""Px of a graphic's edges: furniture that masks reach over has 60 and fewer such ones, a logo 350 and more."""
_OPAQUE = 0.25
"""Share of the edges' pixels that look the same before people; where masks sometimes reach over the scene none do."""
_OPAQUE_PX = 6
"""From the edges of letters and icons to their middle."""
_REACH_PX = 10
_AS_STEEP = 0.5
"""Gradient of edges that nobody passed, beside a graphic, relative to that of its own."""
_HIDES = 12.0
"""Gray levels by which people change what they hide."""
_HIDES_SHARE = 0.4
"""Of the pixels around a graphic that people change: else the mask reaches beyond them."""
_RING_PX = 8
_LINK_PX = 4
_ALIKE = 8.0
"""Gray levels, in the mean and from frame to frame: opaque parts of a graphic."""


@dataclass(slots=True, eq=False)
class _Sums:
    """Sums of what pixels showed."""

    values: Float32Array
    """(h, w, 4): gradient across and down, gray level and its square."""
    count: Float32Array
    """(h, w) frames."""

    @classmethod
    def of(cls, shape: tuple[int, int]) -> _Sums:
        return cls(np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32))

    def add(self, part: tuple[slice, slice], seen: Float32Array, where: Mask) -> None:
        own = where.astype(np.float32)
        self.values[part] += seen * own[..., None]
        self.count[part] += own

    def mean(self) -> Float32Array:
        return np.asarray(self.values / np.maximum(self.count, 1)[..., None], np.float32)


class PassedGraphics:
    """Takes the frames of a clip in order; looks at those before a camera that stands still."""

    def __init__(self, small_wh: tuple[int, int]) -> None:
        self._small_wh = small_wh
        self._start()

    def _start(self) -> None:
        shape = self._small_wh[1], self._small_wh[0]
        self._before = _Sums.of(shape)
        self._beside = _Sums.of(shape)
        self._place: NDArray[np.float64] | None = None
        self._frames: tuple[int, int] | None = None

    def push(self, seen: Seen, *, is_new: bool) -> None:
        """Take the next frame; ``is_new`` for one of each block, in which the scene beside people is looked at."""
        place = seen.small_world[:2, 2]
        if self._place is None:
            self._place = place
        if np.abs(place - self._place).max() > _STILL_PX:
            return
        self._frames = (seen.index if self._frames is None else self._frames[0], seen.index)
        if is_new:
            whole = np.s_[: self._small_wh[1], : self._small_wh[0]]
            self._beside.add(whole, _looks(seen.luma), ~grow(seen.people, _BESIDE_PX))
        if seen.people.any():
            x0, y0, x1, y1 = clipped(grown(box_of_mask(seen.people), 1), self._small_wh)
            part = np.s_[y0:y1, x0:x1]
            inside = ~grow(~seen.people[part], _INSIDE_PX)
            self._before.add(part, _looks(seen.luma[part]), inside)

    def cut(self) -> list[tuple[int, int, Box, Mask]]:
        """End the shot; return first and last frame, box and mask (h, w) of the box of each graphic in it."""
        found = list(self._found())
        self._start()
        return found

    def _found(self) -> Iterator[tuple[int, int, Box, Mask]]:
        is_seen = (self._before.count >= _LEAST_BEFORE) & (self._beside.count >= _LEAST_BESIDE)
        if self._frames is None or not is_seen.any():
            return
        before, beside = self._before.mean(), self._beside.mean()
        own = beside[..., :2]
        shown = before[..., :2]
        steep = np.sum(own * own, axis=-1)
        together, energy, shown_energy = (
            cv2.blur(each * is_seen, (_WINDOW_PX, _WINDOW_PX))
            for each in (np.sum(shown * own, axis=-1), steep, np.sum(shown * shown, axis=-1))
        )
        share = together / np.maximum(energy, 1e-3)
        alike = together / np.sqrt(np.maximum(energy * shown_energy, 1e-3))
        away = shown - share[..., None] * own
        off = np.sum(away * away, axis=-1)
        is_edge = is_seen & (steep >= _LEAST_GRADIENT**2) & (share >= _SHOWN[0]) & (share <= _SHOWN[1])
        is_edge &= (alike >= _ALIKENESS) & (off <= _OFF**2 * steep)
        # What comes or goes within the shot is no part of it: others find that, with its times.
        is_edge &= _spread(beside) <= _ALIKE
        changes = np.abs(before[..., 2] - beside[..., 2])
        same = (is_seen & (changes <= _ALIKE) & (_spread(before) <= _ALIKE)).view(np.uint8)
        same = np.asarray(cv2.morphologyEx(same, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(grow(is_edge, _LINK_PX).view(np.uint8))
        for label in range(1, count):
            x, y, w, h = stats[label, :4].tolist()
            box = clipped(grown((x, y, x + w, y + h), _REACH_PX), self._small_wh)
            part = np.s_[box[1] : box[3], box[0] : box[2]]
            edges = is_edge[part] & (labels[part] == label)
            if np.count_nonzero(edges) < _LEAST_EDGES:
                continue
            if np.mean(same[part][edges] > 0) < _OPAQUE:
                continue
            strokes = grow(edges, 1)
            ring = is_seen[part] & grow(edges, _RING_PX) & ~_with_opaque(strokes, same[part])
            told = np.count_nonzero(ring)
            if told < LEAST_EDGE_PX or np.count_nonzero(changes[part][ring] > _HIDES) < _HIDES_SHARE * told:
                continue
            least = _AS_STEEP**2 * float(np.median(steep[part][edges]))
            strokes |= grow(~is_seen[part] & (steep[part] >= least) & grow(edges, _REACH_PX), 1)
            yield *self._frames, box, _with_opaque(strokes, same[part])


def _with_opaque(strokes: Mask, same: NDArray[np.uint8]) -> Mask:
    """Return strokes (h, w) with the opaque parts that touch them, of what is the ``same`` before people."""
    count, labels = cv2.connectedComponents(same)
    is_touched = np.zeros(count, np.bool_)
    is_touched[labels[strokes]] = True
    is_touched[0] = False
    return strokes | (is_touched[labels] & grow(strokes, _OPAQUE_PX))


def _spread(mean: Float32Array) -> Float32Array:
    """Return (h, w) the standard deviation of the gray levels; ``mean`` (h, w, 4) as of ``_Sums``."""
    return np.sqrt(np.maximum(mean[..., 3] - mean[..., 2] ** 2, 0))


def _looks(luma: Luma) -> Float32Array:
    """Return (h, w, 4), as ``_Sums`` adds them up."""
    gx = cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=1 / 8)
    gray = luma.astype(np.float32)
    return np.dstack([gx, gy, gray, gray * gray])
