"""Plain boxes behind words: the whole caption's, or that of the word just spoken, which leaps from word to word.

A graphic is found by its edges; of a plain box there is only the outline, and not even that where its gray is the
scene's. But around known letters a surface of one color that fills a rectangle, with round corners or without, is no
part of any scene. It is searched in one frame at a time, in color, and followed while its pixels keep their color.
Boxes of several lines, each as wide as its words, are one where they touch: a stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import Box, box_iou, box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.survey.box_shapes import LEAST_WH, rectangle, stack
from pipeline.survey.graphic import Seen

_Levels = NDArray[np.uint8]
_Found = tuple[Mask, Mask, Sequence[float], int]
"""Mask, surface and color of a box, and the levels by which its surface may differ from the color."""
_PLAIN = 8
"""Largest range of gray levels and of tints in a neighborhood of 3 x 3."""
_EVEN = 6.0
"""Levels by which the surface's pixels may differ from their median,"""
_EVEN_SHARE = 0.85
"""and how many do not differ by more."""
_NEAR_PX = 4
"""From a letter's edge to the surface."""
_LEAST_NEAR_PX = 40
_CELL_PX = 8
_WORD_CELLS = 1
"""Half the distance between words of one caption."""
_WINDOW_PX = 28
"""Around the words, in which their box lies."""
_BOX_PX = 96
"""Around a plain part, in which the rest of its box lies."""
_STROKE_PX = 9
_LEAST_SURFACE_PX = 60
_EXPLAINED = 0.96
"""Share of the shape that is surface, letters and what these enclose."""
_LEAST_LETTERS_PX = 24
_LETTERS = (0.03, 0.8)
"""Share of the letters in the box."""
_OUTLINE = 0.5
"""Share of the outline that was found as a graphic's edges: then no letter has to be known."""
_SHARP = 0.7
"""Share of the outline across which the color changes, by this many levels:"""
_STEP = 12
_ROOM_PX = 4
_SHOWN = 0.85
"""Share of the surface's pixels that have its color while the box is shown, by this many levels:"""
_ALIKE = 8
_EXACTLY = 3
"""The same where what is beside it is nearly of its color, such as black trousers behind a black box."""
_SLIGHT_STEP = 5
"""``_STEP`` for these."""
_BESIDE_PX = 3
_BESIDE = 0.5
"""Largest share of the pixels so far beside it that have its color."""
_SAME = 0.8
"""IoU of two finds of the same box."""
_LEAST_FRAMES = 4
_NEXT_FRAMES = 15
"""Most examined frames from one word's box to that of the next."""
_LEVEL_PX = 2
"""How far the upper and lower sides of their boxes may differ."""


@dataclass(slots=True, eq=False)
class CaptionBox:
    """A box, at the reduced size, and the frames in which it is shown, both included."""

    box_xyxy: Box
    mask: Mask
    """(h, w) of ``box_xyxy``, letters included."""
    surface: Mask
    """The same, without letters and outline."""
    color: Sequence[float]
    """Gray level and tints."""
    first: int
    last: int
    alike: int = _ALIKE
    """Levels by which its surface may differ from the color."""

    @property
    def area(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        x0, y0, x1, y1 = self.box_xyxy
        return slice(y0, y1), slice(x0, x1)

    def shows(self, seen: Seen) -> bool:
        """Return whether a frame shows the box."""
        levels = _levels(seen)
        away = _distance(levels[self.area], self.color)
        if float(np.mean(away[self.surface] <= self.alike)) < _SHOWN:
            return False
        # A longer word's box has more of the color beside it.
        x0, y0, x1, y1 = self.box_xyxy
        quarter = (y1 - y0) // 4
        beside = [x for x in (x0 - _BESIDE_PX, x1 + _BESIDE_PX - 1) if 0 <= x < levels.shape[1]]
        strips = [_distance(levels[y0 + quarter : y1 - quarter, x : x + 1], self.color) for x in beside]
        return all(float(np.mean(strip <= self.alike)) <= _BESIDE for strip in strips)


class CaptionBoxes:
    """The boxes of a clip, found and followed in the frames still held."""

    def __init__(self, step: int) -> None:
        """``step`` frames lie between two that are examined."""
        self._step = step
        self._shown: list[CaptionBox] = []
        self._ended: list[CaptionBox] = []

    @property
    def shown(self) -> Sequence[CaptionBox]:
        """The boxes that the newest frames show."""
        return self._shown

    def look(self, seen: Seen, letters: Mask, held: Sequence[Seen]) -> None:
        """Look for boxes around the ``letters`` (h, w) of one of the ``held`` frames, and find out when they are
        shown."""
        self.follow(held)
        for box in boxes_around(seen, letters):
            if not self._is_known(box):
                self._begin(box, held)
        after = [each for each in self._ended if 0 < seen.index - each.last <= _NEXT_FRAMES * self._step][-1:]
        for box in after:
            following = next_box(box, seen)
            if following is not None and not self._is_known(following):
                self._begin(following, held)

    def _begin(self, box: CaptionBox, held: Sequence[Seen]) -> None:
        """Take a new box, and those of the words before it."""
        found: CaptionBox | None = box
        while found is not None and not self._is_known(found):
            earlier = [each for each in held if each.index < found.first]
            while earlier and found.shows(earlier[-1]):
                found.first = earlier.pop().index
            self._shown.append(found)
            self.follow(held)
            found = next_box(found, earlier[-1]) if earlier else None

    def _is_known(self, box: CaptionBox) -> bool:
        place = np.array(box.box_xyxy)
        at_once = [each for each in (*self._shown, *self._ended) if each.first <= box.first <= each.last]
        return any(box_iou(np.array(each.box_xyxy), place) >= _SAME for each in at_once)

    def follow(self, held: Sequence[Seen]) -> None:
        """Follow the boxes into the newest frames."""
        for box in list(self._shown):
            for newer in [each for each in held if each.index > box.last]:
                if not box.shows(newer):
                    self._shown.remove(box)
                    self._ended.append(box)
                    break
                box.last = newer.index

    def finish(self) -> Sequence[CaptionBox]:
        """Return the boxes of all frames; what was there for a moment only is none."""
        least = (_LEAST_FRAMES - 1) * self._step
        return [each for each in (*self._ended, *self._shown) if each.last - each.first >= least]


def boxes_around(seen: Seen, letters: Mask) -> Iterator[CaptionBox]:
    """Yield the plain boxes of a frame that have known ``letters`` (h, w) in them, or a known outline."""
    if not letters.any():
        return
    height, width = letters.shape
    levels = _levels(seen)
    for x, y, w, h in _words(letters):
        x0, y0, x1, y1 = clipped(grown((x, y, x + w, y + h), _WINDOW_PX), (width, height))
        area = np.s_[y0:y1, x0:x1]
        for found in _boxes_in(levels[area], letters[area]):
            yield _placed(found, (x0, y0), seen.index)


def next_box(box: CaptionBox, seen: Seen) -> CaptionBox | None:
    """Return the box of another word in a frame before or after ``box``, at the same height and of the same color; None
    where there is none."""
    x0, y0, x1, y1 = box.box_xyxy
    height, width = seen.luma.shape
    u0, v0, u1, v1 = clipped((x0 - _BOX_PX, y0 - 2 * _ROOM_PX, x1 + _BOX_PX, y1 + 2 * _ROOM_PX), (width, height))
    levels = _levels(seen)[v0:v1, u0:u1]
    _, labels, stats, _ = cv2.connectedComponentsWithStats((_distance(levels, box.color) <= box.alike).view(np.uint8))
    if len(stats) < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    is_large = stats[largest, cv2.CC_STAT_AREA] >= _LEAST_SURFACE_PX
    found = _box_of(labels == largest, levels, None, box.alike) if is_large else None
    if found is None:
        return None
    other = _placed(found, (u0, v0), seen.index)
    in_letters = 1 - np.count_nonzero(other.surface) / np.count_nonzero(other.mask)
    is_level = max(abs(other.box_xyxy[1] - y0), abs(other.box_xyxy[3] - y1)) <= _LEVEL_PX
    return other if is_level and _LETTERS[0] <= in_letters <= _LETTERS[1] else None


def _placed(found: _Found, origin_xy: tuple[int, int], frame: int) -> CaptionBox:
    """Return a box found in a part of a frame that begins at ``origin_xy``."""
    mask, surface, color, alike = found
    x0, y0, x1, y1 = box_of_mask(mask)
    part = np.s_[y0:y1, x0:x1]
    left, top = origin_xy
    return CaptionBox((left + x0, top + y0, left + x1, top + y1), mask[part], surface[part], color, frame, frame, alike)


def _words(letters: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Yield x, y, width and height of the groups of ``letters`` (h, w) that are close together."""
    cells = cv2.dilate(letters.view(np.uint8), np.ones((_CELL_PX, _CELL_PX), np.uint8))[::_CELL_PX, ::_CELL_PX]
    linked = cv2.dilate(cells, np.ones((1 + 2 * _WORD_CELLS, 1 + 2 * _WORD_CELLS), np.uint8))
    _, labels = cv2.connectedComponents(linked)
    for label in range(1, int(labels.max()) + 1):
        x0, y0, x1, y1 = box_of_mask((labels == label) & (cells > 0))
        yield x0 * _CELL_PX, y0 * _CELL_PX, (x1 - x0) * _CELL_PX, (y1 - y0) * _CELL_PX


def _boxes_in(levels: _Levels, letters: Mask) -> Iterator[_Found]:
    """Yield the boxes of a part (h, w) of a picture."""
    steps = cv2.morphologyEx(levels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    plain = _largest(np.asarray(steps, np.uint8)) <= _PLAIN
    plain &= ~letters  # Their strokes are plain, too.
    _, labels, stats, _ = cv2.connectedComponentsWithStats(plain.view(np.uint8), connectivity=4)
    height, width = plain.shape
    known = np.zeros_like(plain)
    touching = np.bincount(labels[grow(letters, _NEAR_PX) & plain])
    for label in np.flatnonzero(touching >= _LEAST_NEAR_PX).tolist():
        x, y, w, h, count = stats[label].tolist()
        is_inside = min(x, y) >= _ROOM_PX and x + w <= width - _ROOM_PX and y + h <= height - _ROOM_PX
        is_large = w >= LEAST_WH[0] and h >= LEAST_WH[1] and count >= _LEAST_SURFACE_PX
        if not is_inside or not is_large:
            continue
        x0, y0, x1, y1 = clipped(grown((x, y, x + w, y + h), _BOX_PX), (width, height))
        part = np.s_[y0:y1, x0:x1]
        seed = labels[part] == label
        found = None if known[part][seed].any() else _box_of(seed, levels[part], letters[part], _ALIKE)
        if found is not None:
            mask, surface = np.zeros((2, height, width), np.bool_)
            mask[part], surface[part] = found[:2]
            known |= mask
            yield mask, surface, *found[2:]
    near = plain & grow(letters, _NEAR_PX)
    if known.any() or np.count_nonzero(near) < _LEAST_NEAR_PX:
        return
    color = np.median(levels[near], axis=0).tolist()
    found = _box_of(near & (_distance(levels, color) <= _EXACTLY), levels, letters, _EXACTLY)
    if found is not None:
        yield found


def _box_of(seed: Mask, levels: _Levels, letters: Mask | None, alike: int) -> _Found | None:
    """Return the box of which a plain ``seed`` (h, w) is a part; None where it is part of none, or has neither known
    letters nor a known outline, as far as ``letters`` are given. ``alike`` is by how many levels it may differ from
    its color."""
    if not seed.any():
        return None
    color = tuple(np.median(levels[seed], axis=0).tolist())
    away = _distance(levels, color)
    surface = away <= alike
    if not (seed & surface).any():
        return None  # Channel by channel, the median is a color that a gradient need not have.
    # Strokes divide the surface.
    linked = cv2.morphologyEx(surface.view(np.uint8), cv2.MORPH_CLOSE, np.ones((_STROKE_PX, _STROKE_PX), np.uint8))
    _, parts = cv2.connectedComponents(linked)
    own = parts == np.bincount(parts[seed & surface]).argmax()
    surface &= own
    outlines, _ = cv2.findContours(surface.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(surface.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, -1)
    inside = rectangle(np.concatenate(outlines), surface.shape)
    if inside is None:
        inside = stack(filled.view(np.bool_))
    if inside is None:
        return None
    x0, y0, x1, y1 = box_of_mask(inside)
    size = int(np.count_nonzero(inside))
    if min(x0, y0) < _ROOM_PX or x1 > inside.shape[1] - _ROOM_PX or y1 > inside.shape[0] - _ROOM_PX:
        return None
    explained = inside & filled.view(np.bool_)
    if letters is not None:
        explained |= inside & grow(letters, 1)
    if np.count_nonzero(explained) < _EXPLAINED * size or np.mean(away[surface] <= _EVEN) < _EVEN_SHARE:
        return None
    rim = grow(inside, _ROOM_PX) & ~grow(inside, _ROOM_PX - 1)
    if np.mean(away[rim] >= (_STEP if alike == _ALIKE else _SLIGHT_STEP)) < _SHARP:
        return None
    if letters is not None and not _is_told(inside, letters):
        return None
    # The edge's own pixels are a mixture.
    return grow(inside, 1), surface, color, alike


def _is_told(inside: Mask, letters: Mask) -> bool:
    """Return whether a box (h, w) has known letters in it, or an outline that is known."""
    size, known = int(np.count_nonzero(inside)), int(np.count_nonzero(letters & inside))
    if known >= _LEAST_LETTERS_PX and _LETTERS[0] * size <= known <= _LETTERS[1] * size:
        return True
    edge = grow(inside, 2) & ~grow(inside, 1)
    return bool(np.mean(letters[edge]) >= _OUTLINE)


def _levels(seen: Seen) -> _Levels:
    """Return the gray levels and both tints (h, w, 3) of a frame."""
    height, width = seen.luma.shape
    tints = (
        np.full((height, width, 2), 128, np.uint8) if seen.tints is None else cv2.resize(seen.tints, (width, height))
    )
    return np.asarray(cv2.merge((seen.luma, *cv2.split(tints))), np.uint8)


def _distance(levels: _Levels, color: Sequence[float]) -> NDArray[np.uint8]:
    """Return the largest difference (h, w) to a color in gray level and both tints."""
    return _largest(np.asarray(cv2.absdiff(np.ascontiguousarray(levels), (*color, 0.0)), np.uint8))


def _largest(levels: _Levels) -> NDArray[np.uint8]:
    one, two, three = cv2.split(levels)
    return np.asarray(cv2.max(cv2.max(one, two), three), np.uint8)
