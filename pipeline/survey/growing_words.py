"""Words that grow or shrink for a few frames before they stand, or after: their own picture at other sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import Box
from pipeline.survey.graphic import Graphic, Luma, Seen
from pipeline.survey.still_edges import gradient_of

_MOST_FRAMES = 8
_SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
_FINER = 0.05
"""Beside the best of them, also looked at."""
_FAR = 0.5
"""Correlation below which the word is not there at a size in between, either."""
_SHIFT_PX = 5
"""How far the center may move: words are scaled around their base line, or around their middle."""
_LEAST_PX = 60
_CORRELATION = 0.75
"""Least correlation of the gradients, over a word and its outline: the scene behind causes less than 0.5."""
_GROWS = 0.095
"""Least change of size in one of the frames: what moves with the scene keeps its size."""
_CLEAR = 0.93
"""No other size fits better."""
_EDGE = 8.0
"""Gray levels per px."""
_NOWHERE: tuple[float, float, Box, Mask] = (0.0, 1.0, (0, 0, 0, 0), np.zeros((0, 0), np.bool_))


def growing(graphic: Graphic, frames: Sequence[Seen]) -> Iterator[tuple[int, Box, Mask]]:
    """Yield frame, box and mask (h, w) of an opaque graphic in the frames just before and after those in which it
    stands, as far as it is shown there at 0.5 to 1.25 of its size."""
    standing = [frame.luma for frame in frames if graphic.first <= frame.index <= graphic.last]
    if graphic.is_lasting or not standing or np.count_nonzero(graphic.mask) < _LEAST_PX:
        return
    before = [frame for frame in frames if frame.index < graphic.first][: -_MOST_FRAMES - 1 : -1]
    after = [frame for frame in frames if frame.index > graphic.last][:_MOST_FRAMES]
    picture = standing[len(standing) // 2][graphic.area]
    yield from _course(graphic, picture, before)
    yield from _course(graphic, picture, after)


def _course(graphic: Graphic, picture: Luma, frames: Iterable[Seen]) -> Iterator[tuple[int, Box, Mask]]:
    course, grows = [], False
    scale = 1.0
    for frame in frames:
        found = _found(graphic, picture, frame.luma, scale)
        if found is None:
            break
        scale, box, mask = found
        grows |= abs(scale - 1) >= _GROWS
        course.append((frame.index, box, mask))
    if grows:
        yield from course


def _found(graphic: Graphic, picture: Luma, luma: Luma, near: float) -> tuple[float, Box, Mask] | None:
    """Return size, box and mask of a word in a frame (h, w), looked for first at a size ``near`` the last one."""
    best = _NOWHERE
    for scale in sorted(_SCALES, key=lambda each: abs(each - near)):
        best = max(best, _matched(graphic, picture, luma, scale), key=lambda each: each[0])
        if best[0] >= _CLEAR:
            break
    if best[0] < _FAR:
        return None
    if best[0] < _CLEAR:
        finer = [_matched(graphic, picture, luma, best[1] + step) for step in (-_FINER, _FINER)]
        best = max(best, *finer, key=lambda each: each[0])
    likeness, scale, box, mask = best
    return (scale, box, mask) if likeness >= _CORRELATION else None


def _matched(graphic: Graphic, picture: Luma, luma: Luma, scale: float) -> tuple[float, float, Box, Mask]:
    """Return how alike a word and its best place in a frame (h, w) are, its size, and its box and mask there."""
    x0, y0, x1, y1 = graphic.box_xyxy
    wide, high = round((x1 - x0) * scale), round((y1 - y0) * scale)
    left, top = max(round((x0 + x1 - wide) / 2) - _SHIFT_PX, 0), max(round((y0 + y1 - high) / 2) - _SHIFT_PX, 0)
    room = luma[top : top + high + 2 * _SHIFT_PX, left : left + wide + 2 * _SHIFT_PX]
    if min(wide, high) < 1 or room.shape[0] < high or room.shape[1] < wide:
        return _NOWHERE
    mask = cv2.resize(graphic.mask.view(np.uint8), (wide, high), interpolation=cv2.INTER_NEAREST)
    if np.count_nonzero(mask) < _LEAST_PX:
        return _NOWHERE
    own = np.asarray(cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
    _, _, (x, y), _ = cv2.minMaxLoc(cv2.matchTemplate(room, own, cv2.TM_SQDIFF, mask=mask))
    likeness = _correlation(own, np.ascontiguousarray(room[y : y + high, x : x + wide]), mask > 0)
    return likeness, scale, (left + x, top + y, left + x + wide, top + y + high), mask > 0


def _correlation(one: Luma, other: Luma, mask: Mask) -> float:
    """Return how alike the gradients of two pictures are within a mask, (h, w) each."""
    (ax, ay), (bx, by) = gradient_of(one), gradient_of(other)
    inner = mask & (np.hypot(ax, ay) >= _EDGE)
    ax, ay, bx, by = ax[inner], ay[inner], bx[inner], by[inner]
    size = float(np.sqrt((ax @ ax + ay @ ay) * (bx @ bx + by @ by)))
    return float(ax @ bx + ay @ by) / max(size, 1e-6)
