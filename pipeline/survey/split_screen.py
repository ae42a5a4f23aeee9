"""Find split screens: two videos side by side, or one above the other.

The line between them is straight, and stands still for a whole shot while what it borders on moves. Neither the scene
nor people continue across it: people hide a scene's own edges and do not hide this one, and beneath a translucent panel
the picture goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.datatypes.survey import Track
from pipeline.maths.boxes import Box, box_iou
from pipeline.request import PointChoice
from pipeline.survey.graphic import Seen

_MOST_LOOKS = 12
_LEAST_LOOKS = 5
_STEP = 8
"""Gray levels across a line, from one of its px to the other."""
_MORE = 1.3
"""The same, relative to the lines beside it: grass and leaves have steps everywhere."""
_LINE_SHARE = 0.5
"""Share of a line's pixels, over all looks, that show a step: what two videos show there is alike by chance only."""
_PROMINENCE = 0.2
"""The same, more than in the lines beside it."""
_BESIDE_PX = 21
_LEAST_PART = 0.2
"""Of the picture's size, each of the two: a bar or a caption's band is narrower."""
_ACROSS_PX = 3
"""From a line to what certainly lies beyond it."""
_WIDEST_STEP_PX = 8
"""Of the lines that a narrow bar between the two shows."""
_MIDDLE = 0.006
_MIDDLE_SHARE = 0.7
"""How far from the middle, and how clear, the line between two videos is that both stand still."""
_STRIP_PX = 24
_MOVED = 10
"""Gray levels by which a pixel changes from look to look where something moves."""
_MOVES = 0.3
"""Share of such pixels in what moves as a whole."""
_COARSE_PX = 9
_CONTINUES = 0.45
"""Correlation across a line of how the picture changes along it, above which the scene goes on beyond."""
_LEAST_ON_PEOPLE = 40
"""Pixels of people on both sides of a line, over all looks, that tell whether they hide it."""
_HIDDEN = 0.45
_SAME_PARTS = 0.9
"""IoU of the parts of two shots that are laid out alike."""


@dataclass(frozen=True, slots=True)
class SplitScreen:
    """A shot that shows two videos at once."""

    first: int
    last: int
    """Frames, both included."""
    parts: tuple[Box, Box]
    """Half-open, without the line between them and the pixels in which both are mixed."""

    def scaled(self, ratio_xy: tuple[float, float]) -> SplitScreen:
        """Return it for pictures larger by some ratios; the parts are rounded inwards."""
        x, y = ratio_xy
        one, two = (
            (int(np.ceil(x0 * x)), int(np.ceil(y0 * y)), int(x1 * x), int(y1 * y)) for x0, y0, x1, y1 in self.parts
        )
        return SplitScreen(self.first, self.last, (one, two))


class SplitScreenFinder:
    """Takes some of a clip's frames in order; holds a few small pictures of the shot."""

    def __init__(self) -> None:
        self._looks: list[Seen] = []
        self._stride = 1
        self._count = 0
        self._first = 0
        self._found: list[SplitScreen] = []

    def look(self, seen: Seen) -> None:
        """Take a frame."""
        if self._count % self._stride == 0:
            self._looks.append(seen)
            if len(self._looks) > _MOST_LOOKS:
                self._looks = self._looks[::2]
                self._stride *= 2
        self._count += 1

    def cut(self, frame: int, has_borders: Callable[[], bool] = lambda: False) -> None:
        """End the shot: another one begins with ``frame``. The edge of bars or of a blurred copy is no line between two
        videos; ``has_borders`` says whether there are some, and is asked only where a line is found."""
        if frame > self._first and len(self._looks) >= _LEAST_LOOKS:
            parts = parts_of(self._looks)
            if parts is not None and not has_borders():
                self._found.append(SplitScreen(self._first, frame - 1, parts))
        self._first = frame
        self._looks = []
        self._stride = 1
        self._count = 0

    def finish(self, num_frames: int, has_borders: Callable[[], bool] = lambda: False) -> tuple[SplitScreen, ...]:
        """Return the shots that show two videos; ``has_borders`` as in ``cut``."""
        self.cut(num_frames, has_borders)
        return tuple(self._found)


def chosen_parts(
    screens: Sequence[SplitScreen],
    tracks: Sequence[Track],
    pts_seconds: NDArray[np.float64],
    points: Sequence[PointChoice] = (),
) -> list[Box]:
    """Return for each split screen the part that matters: the one that ``points`` select, else the one in which the
    most of people is seen in all shots that are laid out alike. ``pts_seconds`` (T,) are the frames' times."""
    chosen: list[Box] = []
    for screen in screens:
        alike = [other for other in screens if box_iou(*np.array([screen.parts[0], other.parts[0]])) >= _SAME_PARTS]
        weights = [0.0, 0.0]
        for other in alike:
            begin, end = pts_seconds[other.first], pts_seconds[other.last]
            for number, part in enumerate(screen.parts):
                weights[number] += sum(_people_px(track, other, part) for track in tracks)
                pointed = [each for each in points if begin <= each.at_s <= end and _holds(part, each.x, each.y)]
                weights[number] += np.inf if pointed else 0.0
        chosen.append(screen.parts[int(np.argmax(weights))])
    return chosen


def split_screen_table(screens: Sequence[SplitScreen], chosen: Sequence[Box]) -> NDArray[np.int64]:
    """Return ``Survey.split_screens``: the shots that show two videos, and the ``chosen`` part of each."""
    rows = [(screen.first, screen.last, *part) for screen, part in zip(screens, chosen, strict=True)]
    return np.array(rows, np.int64).reshape(-1, 6)


def _people_px(track: Track, screen: SplitScreen, part: Box) -> float:
    """Return how many pixels of a person are seen in a part, in all frames of its shot."""
    middles = (track.boxes_xyxy[:, :2] + track.boxes_xyxy[:, 2:]) / 2
    x, y = middles.T
    inside = (x >= part[0]) & (x < part[2]) & (y >= part[1]) & (y < part[3])
    inside &= (track.frames >= screen.first) & (track.frames <= screen.last)
    return float(track.mask_px[inside].sum())


def _holds(part: Box, x: float, y: float) -> bool:
    return part[0] <= x < part[2] and part[1] <= y < part[3]


def parts_of(looks: Sequence[Seen]) -> tuple[Box, Box] | None:
    """Return the two videos that some frames of one shot show at the same places; None where there is one."""
    luma = np.stack([each.luma for each in looks])
    people = np.stack([each.people for each in looks])
    turned = np.ascontiguousarray(luma.transpose(0, 2, 1))
    height, width = luma.shape[1:]
    rows = _line_between(luma, people)
    if rows is not None:
        return (0, 0, width, rows[0]), (0, rows[1], width, height)
    columns = _line_between(turned, np.ascontiguousarray(people.transpose(0, 2, 1)))
    if columns is not None:
        return (0, 0, columns[0], height), (columns[1], 0, width, height)
    return None


def _line_between(luma: NDArray[np.uint8], people: Mask) -> tuple[int, int] | None:
    """Return the first row of the line between two videos and the first one after it, in some pictures (N, h, w)."""
    steps = np.stack([_steps(each) for each in luma])
    share = np.asarray(steps.mean(axis=(0, 2)), np.float32)
    size = len(share)
    beside = cv2.blur(share[:, None], (1, 2 * _BESIDE_PX + 1)).ravel()
    least = round(_LEAST_PART * size)
    clear = (share >= _LINE_SHARE) & (share >= beside + _PROMINENCE)
    clear[:least] = clear[size - least :] = False
    for best in sorted(np.flatnonzero(clear).tolist(), key=lambda row: -share[row]):
        near = np.flatnonzero(clear[best - _WIDEST_STEP_PX : best + _WIDEST_STEP_PX + 1]) + best - _WIDEST_STEP_PX
        first, last = int(near[0]), int(near[-1]) + 1
        is_middle = abs((first + last) / 2 - size / 2) <= max(1.0, _MIDDLE * size)
        is_sure = is_middle and share[best] >= _MIDDLE_SHARE
        if (is_sure or _moves(luma, people, first, last)) and _is_edge(luma, people, steps, best):
            return first, last
    return None


def _steps(luma: NDArray[np.uint8]) -> Mask:
    """Return (h, w) whether the picture changes more between the rows y - 2 and y + 1 than in the rows beside them."""
    change = np.zeros(luma.shape, np.uint8)
    change[2:-1] = cv2.absdiff(luma[3:], luma[:-3])
    usual = cv2.boxFilter(change, cv2.CV_32F, (1, _BESIDE_PX))
    return np.asarray((change >= _STEP) & (change >= np.float32(_MORE) * usual))


def _moves(luma: NDArray[np.uint8], people: Mask, first: int, last: int) -> bool:
    """Return whether the background beside a line moves, on one of its sides at least."""
    for rows in (slice(first - _STRIP_PX, first - 1), slice(last + 1, last + _STRIP_PX)):
        free = ~(people[1:, rows] | people[:-1, rows])
        moved = np.stack([cv2.absdiff(one[rows], two[rows]) >= _MOVED for one, two in pairwise(luma)])
        if np.count_nonzero(moved & free) >= _MOVES * max(int(np.count_nonzero(free)), 1):
            return True
    return False


def _is_edge(luma: NDArray[np.uint8], people: Mask, steps: Mask, row: int) -> bool:
    """Return whether neither the scene nor people continue across a line."""
    both = people[:, row - 2 * _ACROSS_PX] & people[:, row + 2 * _ACROSS_PX]
    on_people = int(np.count_nonzero(both))
    if on_people >= _LEAST_ON_PEOPLE and np.count_nonzero(steps[:, row] & both) < _HIDDEN * on_people:
        return False
    before = _along(luma[:, row - 2 * _ACROSS_PX : row - _ACROSS_PX])
    after = _along(luma[:, row + _ACROSS_PX : row + 2 * _ACROSS_PX])
    scale = float(np.sqrt((before * before).sum() * (after * after).sum()))
    return float((before * after).sum()) <= _CONTINUES * max(scale, 1e-6)


def _along(rows: NDArray[np.uint8]) -> Float32Array:
    """Return how the mean of some rows (N, k, w) changes along them, fine texture left out: (N, w')."""
    smooth = cv2.blur(rows.mean(axis=1, dtype=np.float32), (_COARSE_PX, 1))
    return np.asarray(smooth[:, _COARSE_PX:] - smooth[:, :-_COARSE_PX], np.float32)
