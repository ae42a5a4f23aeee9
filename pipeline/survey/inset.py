"""A picture in a picture: a small box that shows a second video in front of the first.

Its sides stand still for a whole shot, neither the scene nor people continue across them, and something moves inside: a
card with words on it is a graphic, a picture on a wall is part of the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Float64Array
from pipeline.maths.boxes import Box, overlap_of_smaller
from pipeline.maths.masks import grow
from pipeline.survey.still_lines import Crossing, Pictures, common_change, have_one_outline

_MOST_LINES = 16
"""Rows, and columns, that are tried as sides."""
_USUAL = 0.25
"""Share of pixels with a step that a row of a scene may have by chance."""
_LINE_APART_PX = 2
_EDGE = 0.02
"""Of the picture's size: what ends nearer to its edge ends there."""
_LEAST_SIDE = 0.12
"""Of the picture's short side."""
_MOST_SIDE = 0.6
CARD_SIDE = 0.97
"""Of the picture's size: a card behind words may be wider than a second video."""
_MOST_AREA = 0.36
"""Of the picture's."""
_CORNER = 0.15
"""Share of a side at its ends, where the corner may be round."""
_SIDE_SHARE = 0.35
_SIDE_SHARE_AT_EDGE = 0.5
_MEAN_SHARE = 0.55
"""Share of a side's pixels, over all looks, that show a step: of the worst side, where one of the others is the
picture's edge, and of all."""
_CLEAR_SHARE = 0.75
"""The same of all where nothing around moves: a scene that stands still has straight lines of its own."""
_PROVED = 0.5
"""Share above which a side's pixel counts for a box, and below against it."""
_LEAST_PROOF = 0.1
"""Of half the picture's circumference: pixels that count for a box, more than against it."""
_MOST_BOXES = 12
_OVERLAP = 0.6
"""Of the smaller of two boxes that have the same cause."""
_MOVED = 10
"""Gray levels by which a pixel changes from look to look where something moves."""
_MOVES_INSIDE = 0.025
_MOVES_AROUND = 0.08
_MOVES_AS_A_WHOLE = 0.3
"""Shares of such pixels."""
_COMMON_CHANGE = 0.3
"""How alike a side's two sides may change from look to look."""
_BEYOND_SHARE = 0.6
_LEAST_BEYOND = 1 / 16
"""Share of pixels with a step from which a line goes on beyond a box, and least length of that, of the picture's."""
_ROOM_PX = 4
_AROUND_PX = 24


@dataclass(frozen=True, slots=True, eq=False)
class _Boxes:
    """All boxes between some lines, as (M,) arrays."""

    corners: NDArray[np.int64]
    """(M, 4) x0, y0, x1, y1."""
    shares: Float64Array
    """(M, 4) of the top, bottom, left and right side, NaN at the picture's edge."""


@dataclass(frozen=True, slots=True, eq=False)
class StillBox:
    """A box whose sides stand still in some frames of one shot."""

    box_xyxy: Box
    is_clear: bool
    """Nearly all of its sides show."""
    proof: float
    """Length of the sides that show, less that of those that do not, px."""


def still_boxes(pictures: Pictures, turned: Pictures, most_side: float = _MOST_SIDE) -> list[StillBox]:
    """Return what may be a card or a second video in front of the scene, the clearest one first; ``turned`` are the
    same pictures with rows and columns exchanged. Sides are at most ``most_side`` of the picture's."""
    across = np.asarray(pictures.steps.mean(axis=0), np.float32)
    boxes = _boxes(across, np.asarray(turned.steps.mean(axis=0), np.float32), most_side)
    if boxes is None:
        return []
    lengths = (boxes.corners[:, 2:] - boxes.corners[:, :2])[:, [0, 0, 1, 1]]
    proof = np.nansum((boxes.shares - _PROVED) * lengths, axis=1)
    mean = np.nanmean(boxes.shares, axis=1)
    least = np.where(np.isnan(boxes.shares).any(axis=1), _SIDE_SHARE_AT_EDGE, _SIDE_SHARE)
    is_likely = (np.nanmin(boxes.shares, axis=1) >= least) & (mean >= _MEAN_SHARE)
    is_likely &= proof >= _LEAST_PROOF * sum(across.shape)
    order = np.flatnonzero(is_likely)[np.argsort(-proof[is_likely], kind="stable")]
    corners = boxes.corners.astype(np.float64)
    found: list[StillBox] = []
    while len(order) and len(found) < _MOST_BOXES:
        x0, y0, x1, y1 = boxes.corners[order[0]].tolist()
        found.append(StillBox((x0, y0, x1, y1), bool(mean[order[0]] >= _CLEAR_SHARE), proof[order[0]]))
        # What is no inset itself makes boxes that are a little larger look like one.
        order = order[overlap_of_smaller(corners[order], corners[order[0]]) < _OVERLAP]
    return found


def inset_of(pictures: Pictures, turned: Pictures, boxes: Sequence[StillBox], cards: Sequence[StillBox]) -> Box | None:
    """Return the one of ``still_boxes`` that shows a second video, None where there is none.

    ``cards`` are still boxes of any width: beside one of them something is a box by that one's side.
    """
    if not boxes:
        return None
    moves = [cv2.absdiff(one, two) >= _MOVED for one, two in pairwise(pictures.luma)]
    moved = np.asarray(np.mean(moves, axis=0), np.float32)
    for each in boxes:
        clearer = [card for card in cards if not each.is_clear or (card.is_clear and card.proof > each.proof)]
        is_beside = any(_is_beside(each.box_xyxy, card.box_xyxy) for card in clearer)
        is_of_scene = _outlasts(pictures, turned, each.box_xyxy) or _goes_on(pictures, turned, each.box_xyxy)
        if not is_beside and _moves(moved, each) and not is_of_scene:
            return each.box_xyxy
    return None


def _boxes(across: Float32Array, down: Float32Array, most_side: float) -> _Boxes | None:
    """Return all boxes of a second video's size whose sides are among the clearest lines; ``across`` (h, w) are the
    shares of steps across rows, ``down`` (w, h) across columns."""
    height, width = across.shape
    least_px = _LEAST_SIDE * min(across.shape)
    rows = _pairs(_lines(across), least_px, most_side * height)
    columns = _pairs(_lines(down), least_px, most_side * width)
    if not len(rows) or not len(columns):
        return None
    corners = np.hstack([np.repeat(columns, len(rows), axis=0), np.tile(rows, (len(columns), 1))])[:, [0, 2, 1, 3]]
    sides = corners[:, 2:] - corners[:, :2]
    # Two sides at opposite edges are a split screen's.
    is_inset = (sides.prod(axis=1) <= _MOST_AREA * across.size) & (sides < (width, height)).all(axis=1)
    corners = corners[is_inset]
    if not len(corners):
        return None
    x0, y0, x1, y1 = corners.T
    room = (_CORNER * np.minimum(x1 - x0, y1 - y0)).astype(np.int64)
    shares = [
        _share(across, y0, x0 + room, x1 - room),
        _share(across, y1, x0 + room, x1 - room),
        _share(down, x0, y0 + room, y1 - room),
        _share(down, x1, y0 + room, y1 - room),
    ]
    return _Boxes(corners, np.stack(shares, axis=1))


def _lines(share: Float32Array) -> list[int]:
    """Return the rows (h, w) that have the clearest parts, and the picture's edges."""
    total = np.pad(np.cumsum(share - np.float32(_USUAL), axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    # The largest sum of a part of each row (Kadane).
    clear = (total - np.minimum.accumulate(total, axis=1)).max(axis=1)
    edge = round(_EDGE * len(clear))
    clear[:edge] = clear[len(clear) - edge :] = 0
    rows: list[int] = []
    while len(rows) < _MOST_LINES and clear.max() > 0:
        row = int(np.argmax(clear))
        rows.append(row)
        clear[max(row - _LINE_APART_PX, 0) : row + _LINE_APART_PX + 1] = 0
    return [0, *sorted(rows), len(clear)]


def _pairs(lines: list[int], least_px: float, most_px: float) -> NDArray[np.int64]:
    """Return (P, 2) the pairs of lines between which an inset may lie."""
    pairs = [(one, two) for one in lines for two in lines if least_px <= two - one <= most_px]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _share(
    share: Float32Array, rows: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> Float64Array:
    """Return (M,) the mean of parts of rows (h, w); NaN at the picture's edges."""
    total = np.pad(np.cumsum(share, axis=1, dtype=np.float64), ((0, 1), (1, 0)))
    mean = (total[rows, ends] - total[rows, begins]) / (ends - begins)
    return np.where((rows == 0) | (rows == len(share)), np.nan, mean)


def _is_beside(box: Box, card: Box) -> bool:
    """Return whether a side of a box is mostly one of a card next to it."""
    (x0, y0, x1, y1), (left, top, right, bottom) = box, card
    width, height = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
    touches_below_or_above = min(abs(y0 - bottom), abs(y1 - top)) <= _LINE_APART_PX
    touches_aside = min(abs(x0 - right), abs(x1 - left)) <= _LINE_APART_PX
    return (touches_below_or_above and 2 * width >= x1 - x0) or (touches_aside and 2 * height >= y1 - y0)


def _moves(moved: Float32Array, still: StillBox) -> bool:
    """Return whether something moves inside a box, and around one that is not clear and does not move as a whole.

    ``moved`` (h, w) are the shares of looks in which a pixel does.
    """
    x0, y0, x1, y1 = still.box_xyxy
    share = float(moved[y0 + _ROOM_PX : y1 - _ROOM_PX, x0 + _ROOM_PX : x1 - _ROOM_PX].mean())
    if still.is_clear or share >= _MOVES_AS_A_WHOLE:
        return share >= _MOVES_INSIDE
    inside = np.zeros(moved.shape, np.bool_)
    inside[y0:y1, x0:x1] = True
    around = grow(inside, _AROUND_PX) & ~grow(inside, _ROOM_PX)
    return share >= _MOVES_INSIDE and float(moved[around].mean()) >= _MOVES_AROUND


def _outlasts(pictures: Pictures, turned: Pictures, box: Box) -> bool:
    """Return whether one of a box's sides goes on beyond it at both its ends, as the edge of a counter does."""
    x0, y0, x1, y1 = box
    sides = [(pictures, row, x0, x1) for row in (y0, y1)] + [(turned, column, y0, y1) for column in (x0, x1)]
    for each, row, begin, end in sides:
        count, size = each.steps.shape[1:]
        room_px = round(_LEAST_BEYOND * size)
        if not 0 < row < count or begin < room_px or size - end < room_px:
            continue
        steps = each.steps[:, row]
        if min(float(steps[:, :begin].mean()), float(steps[:, end:].mean())) >= _BEYOND_SHARE:
            return True
    return False


def _goes_on(pictures: Pictures, turned: Pictures, box: Box) -> bool:
    """Return whether the scene or people continue across a box's sides, or change as what is beside it."""
    x0, y0, x1, y1 = box
    sides = [(pictures, row, slice(x0, x1)) for row in (y0, y1)]
    sides += [(turned, column, slice(y0, y1)) for column in (x0, x1)]
    crossing = Crossing()
    for side in sides:
        crossing.add(*side)
    changes = [common_change(each, (row, row), along) for each, row, along in sides]
    # Words before people have edges of their own there.
    is_before_people = any(have_one_outline(each, row, along) for each, row, along in sides)
    return is_before_people or crossing.goes_on() or any(change >= _COMMON_CHANGE for change in changes)
