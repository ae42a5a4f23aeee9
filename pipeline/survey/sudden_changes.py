"""Pixels that change within one frame and stand still before or after: a caption appears, vanishes, or is replaced.

What moves sweeps over its surroundings for several frames; what an editor puts over a clip is there at once. This needs
no motion of the scene, and so finds the captions of a tripod shot as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.masks import grow
from pipeline.survey.graphic import Seen
from pipeline.survey.still_background import StillBackground

STILL_FRAMES = 4
"""Frames before or after a change over which a pixel has to stand still."""
_STEP = 24
"""Gray levels of a change."""
_UNEXPLAINED = 16
"""The same, from the nearest values of the frame before in a neighborhood of 3 x 3."""
_STILL = 8
"""Gray levels from frame to frame that codecs cause on sharp letters."""
_FOREVER = 2**62
_EVENTS = 16
_CELL_PX = 16
_LEAST_SHARE = 0.08
"""Share of a cell's pixels that change with a thin letter in it."""
_LEAST_CELLS = 3
"""Touching cells of a short word."""
_SUDDEN = 3.0
"""Changes of a cell in one frame, relative to the frames before and after."""
_LARGEST_SHARE = 0.4
"""Share of the picture: more is a cut, a flash or a change of light."""
_PEOPLE_ROOM_PX = 6
_LEAST_EDGE_PX = 80
_FREE_EDGE_PX = 40
_GRADIENT = 10.0
_REPLACED = 0.3
"""Share of the changed pixels that belonged to a graphic: words that change at the same place."""
_STEEP = 25.0
_LETTERING = 0.32
"""Share of an area whose edges are so steep (gray levels per px): 0.38 and more where words appear, up to 0.26 where
they uncover a pavement or a person moves."""
_LETTERING_ON_PEOPLE = 0.15
_LEAST_ON_PEOPLE_PX = 200
_STEEPER = 1.2
"""The same share where all of it is on people, who move beside the word; least number of such steep edges; and their
number relative to the other side's. Without words there were up to 50, and a share of 0.02."""
_STROKE_PX = 3
_PART_STEEP = 0.2
_CLEARER = 1.5
_ON_PEOPLE = 0.1
"""A plain graphic must have clearer edges than what it hides, and lie beside people."""
_CLOSE_PX = 5
_WORD_PX = 15
_ALIKE = 12.0
"""Gray levels by which a pixel may differ that belongs to two graphics in turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What changed in one frame; (h, w) each."""

    frame: int
    """The first one after the change."""
    edges: Mask
    area: Mask
    mean: Float32Array
    """Gray levels of the still side."""
    appears: bool
    """The still side is after the change; else before it."""
    earliest: int
    latest: int
    """Frames outside of which the graphic cannot be shown."""


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    frame: int
    after: Mask
    before: Mask
    """(h, w) pixels that change in the frame and stand still after it, before it."""
    cells: tuple[Float32Array, Float32Array]
    """Share of such pixels in each cell."""


class SuddenChanges:
    """Takes the frames in order; holds a few differences."""

    def __init__(self, background: StillBackground) -> None:
        self._background = background
        self._differences: deque[NDArray[np.uint8]] = deque(maxlen=2 * STILL_FRAMES + 1)
        self._steps: deque[_Steps] = deque(maxlen=3)
        self._events: deque[tuple[int, Mask]] = deque(maxlen=_EVENTS)

    def cut(self) -> None:
        """Forget everything: the picture changes altogether."""
        self._differences.clear()
        self._steps.clear()
        self._events.clear()

    def changed_at_once(self, after: int, last: int) -> Mask | None:
        """Return where (h, w) many pixels changed in one frame between two frames; None where nowhere."""
        parts = [pixels for frame, pixels in self._events if after < frame <= last]
        return np.logical_or.reduce(parts) if parts else None

    def push(self, frames: deque[Seen], shown_before: Callable[[int], Mask]) -> list[Change]:
        """Take the newest of the last frames; return what changed suddenly ``STILL_FRAMES + 1`` frames ago.

        ``shown_before`` maps a frame to the known graphics (h, w) of the frame before it.
        """
        if len(frames) < 2:
            return []
        self._differences.append(cv2.absdiff(frames[-1].luma, frames[-2].luma))
        if len(self._differences) <= 2 * STILL_FRAMES:
            return []
        step = (self._differences[STILL_FRAMES] > _STEP).view(np.uint8)
        parts = [
            cv2.bitwise_and(step, (_largest(list(self._differences)[span]) <= _STILL).view(np.uint8))
            for span in (slice(STILL_FRAMES + 1, None), slice(0, STILL_FRAMES))
        ]
        cells = tuple(_shares(part) for part in parts)
        self._steps.append(
            _Steps(
                frames[-1].index - STILL_FRAMES,
                parts[0].view(np.bool_),
                parts[1].view(np.bool_),
                (cells[0], cells[1]),
            )
        )
        if len(self._steps) < 3:
            return []
        return [change for which in (0, 1) if (change := self._judge(which, frames, shown_before)) is not None]

    def _judge(self, which: int, frames: deque[Seen], shown_before: Callable[[int], Mask]) -> Change | None:
        before, now, after = (each.cells[which] for each in self._steps)
        hot = (now >= _LEAST_SHARE) & (now >= _SUDDEN * np.maximum(before, after))
        if np.count_nonzero(hot) < _LEAST_CELLS or hot.mean() > _LARGEST_SHARE:
            return None
        _, labels, stats, _ = cv2.connectedComponentsWithStats(hot.view(np.uint8))
        hot &= (stats[:, cv2.CC_STAT_AREA] >= _LEAST_CELLS)[labels]
        if not hot.any():
            return None
        steps = self._steps[1]
        frame = steps.frame
        near = [each for each in frames if frame - STILL_FRAMES <= each.index <= frame + STILL_FRAMES]
        pixels = steps.after if which == 0 else steps.before
        height, width = pixels.shape
        around = cv2.resize(grow(hot, 1).view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        people = np.logical_or.reduce([each.people for each in near])
        pixels = pixels & around & _is_unexplained(near, frame)
        # The side that stands still.
        still = [each for each in near if (each.index >= frame) == (which == 0)]
        other = [each for each in near if (each.index >= frame) != (which == 0)]
        change = change_of(
            pixels,
            grow(people, _PEOPLE_ROOM_PX),
            shown_before(frame),
            _mean(still),
            _mean(other),
            frame,
            self._background,
            appears=which == 0,
        )
        if change is not None:
            self._events.append((frame, pixels))
        return change


def gradual_change(
    frames: Sequence[Seen], background: StillBackground, at_once: Mask | None = None
) -> Iterator[Change]:
    """Yield what came or went within the given frames of a still camera: captions that fade, grow or slide in.

    The first and the last ``STILL_FRAMES`` of the frames are compared. Only pixels where no person was in any frame
    count, and not those that changed ``at_once`` (h, w).
    """
    ends = frames[:STILL_FRAMES], frames[-STILL_FRAMES:]
    before, after = ends[0][-1].luma, ends[1][0].luma
    changed = (cv2.absdiff(before, after) > _STEP) & _is_new(before, after)
    if np.count_nonzero(changed) < _LEAST_EDGE_PX:
        return
    for end in ends:
        for one, two in pairwise(end):
            changed &= cv2.absdiff(one.luma, two.luma) <= _STILL
    people = grow(np.logical_or.reduce([each.people for each in frames]), _PEOPLE_ROOM_PX)
    changed &= ~people
    if at_once is not None:
        changed &= ~grow(at_once, 1)
    if np.count_nonzero(changed) < _LEAST_EDGE_PX or changed.mean() > _LARGEST_SHARE:
        return
    nothing = np.zeros_like(changed)
    count, labels = cv2.connectedComponents(grow(changed, _WORD_PX // 2).view(np.uint8))
    means = _mean(list(ends[0])), _mean(list(ends[1]))
    for label in range(1, count):
        pixels = changed & (labels == label)
        for appears in (True, False):
            frame = ends[1][0].index if appears else ends[0][-1].index + 1
            still, other = (means[1], means[0]) if appears else means
            change = change_of(pixels, people, nothing, still, other, frame, background, appears=appears)
            if change is not None and appears:
                yield replace(change, earliest=ends[0][-1].index)
            elif change is not None:
                yield replace(change, latest=ends[1][0].index)


def change_of(
    pixels: Mask,
    people: Mask,
    known: Mask,
    still: Float32Array,
    other: Float32Array,
    frame: int,
    background: StillBackground,
    *,
    appears: bool,
) -> Change | None:
    """Return the change of some pixels (h, w), whose ``still`` side looks like a graphic and not like what is behind
    one: its edges are steeper than those of the ``other`` side. None where it does not, or where all is on people.

    ``known`` are the graphics before the change. Where they go, other words appear if edges as steep as letters' do;
    these may lie in front of people, as words with many such edges may anywhere. What shows the ``background`` was
    uncovered.
    """
    if appears:
        pixels = pixels & ~background.shows(still)
    closed = cv2.morphologyEx(pixels.view(np.uint8), cv2.MORPH_CLOSE, np.ones((_CLOSE_PX, _CLOSE_PX), np.uint8)) > 0
    area = grow(closed, 1)
    steep = _steepness(still)
    edges = area & (steep >= _GRADIENT**2)
    if np.count_nonzero(edges) < _LEAST_EDGE_PX:
        return None
    is_lettering = bool(np.count_nonzero(area & (steep >= _STEEP**2)) >= _LETTERING * np.count_nonzero(area))
    if appears and np.count_nonzero(pixels & known) >= _REPLACED * np.count_nonzero(pixels):
        if not is_lettering:
            return None
    else:
        free = edges & ~people & ~known
        clearer = 1.0 if is_lettering else _CLEARER
        is_beside = np.count_nonzero(pixels & people) <= _ON_PEOPLE * np.count_nonzero(pixels)
        if np.count_nonzero(free) < _FREE_EDGE_PX:
            is_lettering = _is_word_on_people(area & ~known, edges & ~known, steep, _steepness(other))
            if not is_lettering:
                return None
        elif not (is_lettering or is_beside) or steep[free].sum() < clearer * _steepness(other)[free].sum():
            return None
    if is_lettering:
        area = _letters(area, steep, people)
        edges &= area
    if appears:
        # Strokes of the next word that look as those of the last one did there.
        near = cv2.morphologyEx(area.view(np.uint8), cv2.MORPH_CLOSE, np.ones((_WORD_PX, _WORD_PX), np.uint8)) > 0
        area |= near & known & (np.abs(still - other) <= _ALIKE)
    earliest, latest = (frame, _FOREVER) if appears else (0, frame - 1)
    return Change(frame, edges, area, still, appears, earliest, latest)


def _is_word_on_people(area: Mask, edges: Mask, steep: Float32Array, other: Float32Array) -> bool:
    """Return whether an area (h, w) has so many ``edges`` as steep as letters' that nobody's clothes explain them."""
    count = int(np.count_nonzero(edges & (steep >= _STEEP**2)))
    before = int(np.count_nonzero(edges & (other >= _STEEP**2)))
    is_dense = count >= _LETTERING_ON_PEOPLE * np.count_nonzero(area)
    return bool(is_dense and count >= max(_LEAST_ON_PEOPLE_PX, _STEEPER * before))


def _letters(area: Mask, steep: Float32Array, people: Mask) -> Mask:
    """Return the area (h, w) without the people and shadows that moved in the same frame: near people what is close to
    the steepest edges, elsewhere the parts with steep edges."""
    steepest = area & (steep >= _STEEP**2)
    kept = area & (~people | grow(steepest, _STROKE_PX))
    count, labels = cv2.connectedComponents(kept.view(np.uint8))
    sizes = np.bincount(labels.ravel(), minlength=count)
    strong = np.bincount(labels[steepest], minlength=count)
    is_letter = strong >= _PART_STEEP * np.maximum(sizes, 1)
    is_letter[0] = False
    return np.asarray(is_letter[labels], np.bool_)


def _is_unexplained(near: list[Seen], frame: int) -> Mask:
    """Return (h, w) the pixels of a frame that the frame before does not show where the camera's motion leads."""
    now = next(each for each in near if each.index >= frame)
    before = next(each for each in reversed(near) if each.index < frame)
    before_from_now = np.linalg.inv(before.small_world) @ now.small_world
    height, width = now.luma.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(
        before.luma, before_from_now, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return _is_new(np.asarray(moved, np.uint8), now.luma)


def _is_new(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Mask:
    """Return the pixels (h, w) unlike all of the neighborhood before: an edge that moves by a pixel is not new."""
    kernel = np.ones((3, 3), np.uint8)
    above = cv2.subtract(after, cv2.dilate(before, kernel))
    below = cv2.subtract(cv2.erode(before, kernel), after)
    return np.asarray(cv2.max(above, below) > _UNEXPLAINED)


def _mean(frames: list[Seen]) -> Float32Array:
    total = np.zeros(frames[0].luma.shape, np.float32)
    for each in frames:
        cv2.accumulate(each.luma, total)
    return total * np.float32(1 / len(frames))


def _steepness(picture: Float32Array) -> Float32Array:
    gx = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(gx * gx + gy * gy, np.float32)


def _largest(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    largest = pictures[0]
    for picture in pictures[1:]:
        largest = np.asarray(cv2.max(largest, picture), np.uint8)
    return largest


def _shares(part: NDArray[np.uint8]) -> Float32Array:
    height, width = part.shape
    down, across = max(1, height // _CELL_PX), max(1, width // _CELL_PX)
    # Whole cells: resizing by an integer is several times quicker.
    inner = part[: down * _CELL_PX, : across * _CELL_PX] * np.uint8(255)
    return cv2.resize(inner, (across, down), interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
