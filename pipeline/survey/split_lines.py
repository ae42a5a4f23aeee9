"""The line between two videos side by side, or one above the other: straight, across the whole picture, and still
while what it borders on moves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from pipeline.maths.boxes import Box
from pipeline.survey.still_lines import BESIDE_PX, Crossing, Pictures, common_change

_LINE_SHARE = 0.5
"""Share of a line's pixels, over all looks, that show a step: what two videos show there is alike by chance only."""
_BESIDE_BOX_SHARE = 0.5
"""The same beside a box one of whose sides lies on the line."""
_BESIDE_BOX = 1 / 16
"""Of the picture's size: less beside a box tells nothing."""
_PROMINENCE = 0.2
"""The same, more than in the lines beside it."""
_LEAST_PART = 0.2
"""Of the picture's size, each of the two: a bar or a caption's band is narrower."""
_WIDEST_STEP_PX = 14
"""Of the lines that a narrow bar between the two shows."""
_CLEAR_SHARE = 0.7
"""Share of a line where both videos stand still: it lies in the picture's middle, or something moves in both."""
_MIDDLE = 0.006
_PART_MOVES = 0.025
"""Share of pixels that change from look to look: a horizon lies below a sky that stands still."""
_SEGMENTS = 8
_SEGMENT_SHARE = 0.45
"""Share of looks and pixels with a step, in each segment of a line."""
_COMMON_CHANGE = 0.45
"""How alike both sides of a segment may change from look to look."""
_STRIP_PX = 24
_MOVED = 10
"""Gray levels by which a pixel changes from look to look where something moves."""
_MOVES = 0.3
"""Share of such pixels in what moves as a whole."""


def parts_of(pictures: Pictures, turned: Pictures, boxes: Sequence[Box]) -> tuple[Box, Box] | None:
    """Return the two videos that some frames of one shot show at the same places; None where there is one.

    ``turned`` are the same pictures with rows and columns exchanged; ``boxes`` are cards or
    videos in front of the scene, whose sides are no lines between two videos.
    """
    height, width = pictures.luma.shape[1:]
    rows = _line_between(pictures, boxes)
    if rows is not None:
        return (0, 0, width, rows[0]), (0, rows[1], width, height)
    columns = _line_between(turned, [(y0, x0, y1, x1) for x0, y0, x1, y1 in boxes])
    if columns is not None:
        return (0, 0, columns[0], height), (columns[1], 0, width, height)
    return None


def _line_between(pictures: Pictures, boxes: Sequence[Box]) -> tuple[int, int] | None:
    """Return the first row of the line between two videos and the first one after it."""
    share = np.asarray(pictures.steps.mean(axis=(0, 2)), np.float32)
    size = len(share)
    beside = cv2.blur(share[:, None], (1, 2 * BESIDE_PX + 1)).ravel()
    least = round(_LEAST_PART * size)
    clear = (share >= _LINE_SHARE) & (share >= beside + _PROMINENCE)
    clear[:least] = clear[size - least :] = False
    for best in sorted(np.flatnonzero(clear).tolist(), key=lambda row: -share[row]):
        near = np.flatnonzero(clear[best - _WIDEST_STEP_PX : best + _WIDEST_STEP_PX + 1]) + best - _WIDEST_STEP_PX
        first, last = int(near[0]), int(near[-1]) + 1
        is_middle = abs((first + last) / 2 - size / 2) <= max(1.0, _MIDDLE * size)
        is_sure = share[best] >= _CLEAR_SHARE and (is_middle or _both_move(pictures, first, last))
        if any(_is_side(pictures, best, box) for box in boxes):
            continue
        seems_line = (is_sure or _moves(pictures, first, last)) and not _goes_on(pictures, best)
        if seems_line and _is_whole(pictures, first, last):
            return first, last
    return None


def _is_side(pictures: Pictures, row: int, box: Box) -> bool:
    """Return whether a line is clear along a side of a box alone."""
    x0, y0, x1, y1 = box
    if min(abs(row - y0), abs(row - y1)) > _WIDEST_STEP_PX:
        return False
    steps = pictures.steps[:, row]
    beside = np.concatenate([steps[:, :x0], steps[:, x1:]], axis=1)
    return beside.shape[1] >= _BESIDE_BOX * steps.shape[1] and float(beside.mean()) < _BESIDE_BOX_SHARE


def _both_move(pictures: Pictures, first: int, last: int) -> bool:
    """Return whether something moves on both sides of a line."""
    moved = np.stack([cv2.absdiff(one, two) >= _MOVED for one, two in pairwise(pictures.luma)])
    return min(float(moved[:, : first - 1].mean()), float(moved[:, last + 1 :].mean())) >= _PART_MOVES


def _is_whole(pictures: Pictures, first: int, last: int) -> bool:
    """Return whether a line is there all along, and the picture changes differently on both its sides: the edge of a
    box ends before the picture does."""
    steps = np.asarray(pictures.steps[:, max(first - 1, 0) : last + 2].any(axis=1))
    ends = np.linspace(0, steps.shape[1], _SEGMENTS + 1).astype(int)
    for begin, end in pairwise(ends.tolist()):
        if steps[:, begin:end].mean() <= _SEGMENT_SHARE:
            return False
        if common_change(pictures, (first, last), slice(begin, end)) >= _COMMON_CHANGE:
            return False
    return True


def _goes_on(pictures: Pictures, row: int) -> bool:
    crossing = Crossing()
    crossing.add(pictures, row)
    return crossing.goes_on()


def _moves(pictures: Pictures, first: int, last: int) -> bool:
    """Return whether the background beside a line moves, on one of its sides at least."""
    for rows in (slice(first - _STRIP_PX, first - 1), slice(last + 1, last + _STRIP_PX)):
        free = ~(pictures.people[1:, rows] | pictures.people[:-1, rows])
        moved = np.stack([cv2.absdiff(one[rows], two[rows]) >= _MOVED for one, two in pairwise(pictures.luma)])
        if np.count_nonzero(moved & free) >= _MOVES * max(int(np.count_nonzero(free)), 1):
            return True
    return False
