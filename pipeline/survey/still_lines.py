"""Straight lines that stand still in the picture while it changes: where one video ends and another begins.

Neither the scene nor people continue across such a line: people hide a scene's own edges and do not hide this one, and
beneath a translucent panel the picture goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.survey.graphic import Seen

_STEP = 8
"""Gray levels across a line, from one of its px to the other."""
_MORE = 1.3
"""The same, relative to the lines beside it: grass and leaves have steps everywhere."""
BESIDE_PX = 21
_ACROSS_PX = 3
"""From a line to what certainly lies beyond it."""
_COARSE_PX = 9
_CONTINUES = 0.45
"""Correlation across a line of how the picture changes along it, above which the scene goes on beyond."""
_REACH_PX = (2, 4)
"""Distance of the nearest and farthest rows in which both sides of a line are compared over time."""
_LEAST_CHANGE = 3.0
"""Gray levels: root mean square of changes that noise and compression do not make."""
_LEAST_ON_PEOPLE = 40
"""Pixels of people on both sides of a line, over all looks, that tell whether they hide it."""
_HIDDEN = 0.45
_LEAST_OUTLINE_PX = 8
_MOST_OUTLINE = 0.7
"""Share of a line within which people must lie for their outline to be seen."""
_LEAST_OUTLINES = 3
"""Looks."""
_SAME_OUTLINE = 0.75
"""IoU: that of two videos' people is less."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Some pictures of one shot, with the steps across their rows: (N, h, w) each."""

    luma: NDArray[np.uint8]
    people: Mask
    steps: Mask
    """Whether the picture changes more between the rows y - 2 and y + 1 than in the rows beside them."""

    @classmethod
    def of(cls, looks: Sequence[Seen]) -> Pictures:
        luma = np.stack([each.luma for each in looks])
        return cls(luma, np.stack([each.people for each in looks]), np.stack([_steps(each) for each in luma]))

    @classmethod
    def turned(cls, looks: Sequence[Seen]) -> Pictures:
        """Return the same with rows and columns exchanged, (N, w, h)."""
        luma = np.ascontiguousarray(np.stack([each.luma.T for each in looks]))
        people = np.ascontiguousarray(np.stack([each.people.T for each in looks]))
        return cls(luma, people, np.stack([_steps(each) for each in luma]))


class Crossing:
    """What is seen on both sides of some lines: sums."""

    def __init__(self) -> None:
        self._product = 0.0
        self._before = 0.0
        self._after = 0.0
        self._on_people = 0
        self._with_step = 0

    def add(self, pictures: Pictures, row: int, columns: slice = slice(None)) -> None:
        """Take a row, or a part of it; nothing is known of one at the picture's edge."""
        if not 2 * _ACROSS_PX <= row <= pictures.luma.shape[1] - 2 * _ACROSS_PX - 1:
            return
        luma = pictures.luma[:, :, columns]
        before = _along(luma[:, row - 2 * _ACROSS_PX : row - _ACROSS_PX])
        after = _along(luma[:, row + _ACROSS_PX : row + 2 * _ACROSS_PX])
        self._product += float((before * after).sum())
        self._before += float((before * before).sum())
        self._after += float((after * after).sum())
        people = pictures.people[:, :, columns]
        both = people[:, row - 2 * _ACROSS_PX] & people[:, row + 2 * _ACROSS_PX]
        self._on_people += int(np.count_nonzero(both))
        self._with_step += int(np.count_nonzero(pictures.steps[:, row, columns] & both))

    def goes_on(self) -> bool:
        """Return whether the scene or people continue across the lines."""
        if self._on_people >= _LEAST_ON_PEOPLE and self._with_step < _HIDDEN * self._on_people:
            return True
        return self._product > _CONTINUES * max(float(np.sqrt(self._before * self._after)), 1e-6)


def have_one_outline(pictures: Pictures, row: int, columns: slice) -> bool:
    """Return whether people have the same outline on both sides of a part of a row, in most looks.

    Only looks count in which their outline is there: two people who fill a line from end to end say nothing.
    """
    distance = 2 * _ACROSS_PX
    if not distance <= row < pictures.people.shape[1] - distance:
        return False
    before, after = (pictures.people[:, at, columns] for at in (row - distance, row + distance))
    either, both = before | after, before & after
    length = either.shape[1]
    share = np.count_nonzero(either, axis=1) / max(length, 1)
    counted = (share * length >= _LEAST_OUTLINE_PX) & (share <= _MOST_OUTLINE)
    if np.count_nonzero(counted) < max(_LEAST_OUTLINES, len(counted) / 2):
        return False
    return bool(np.count_nonzero(both[counted]) >= _SAME_OUTLINE * np.count_nonzero(either[counted]))


def common_change(pictures: Pictures, rows: tuple[int, int], columns: slice = slice(None)) -> float:
    """Return how alike the picture changes from look to look on both sides of some rows (first and last), -1 to 1.

    Two videos change each in its own way; what a translucent panel covers in part changes as the scene beside it. NaN
    where one of both hardly changes, and at the picture's edge.
    """
    first, last = rows
    if first < _REACH_PX[1] or last >= pictures.luma.shape[1] - _REACH_PX[1]:
        return float("nan")
    near, far = _REACH_PX
    before = _changes(pictures.luma[:, first - far : first - near + 1, columns])
    after = _changes(pictures.luma[:, last + near : last + far + 1, columns])
    strength = float(np.sqrt(np.square(before).mean() * np.square(after).mean()))
    return float((before * after).mean()) / strength if strength >= _LEAST_CHANGE**2 else float("nan")


def _changes(rows: NDArray[np.uint8]) -> Float32Array:
    """Return how the mean of some rows (N, k, w) changes from look to look, (N - 1, w)."""
    return np.asarray(np.diff(cv2.blur(rows.mean(axis=1, dtype=np.float32), (3, 1)), axis=0), np.float32)


def _steps(luma: NDArray[np.uint8]) -> Mask:
    change = np.zeros(luma.shape, np.uint8)
    change[2:-1] = cv2.absdiff(luma[3:], luma[:-3])
    usual = cv2.boxFilter(change, cv2.CV_32F, (1, BESIDE_PX))
    return np.asarray((change >= _STEP) & (change >= np.float32(_MORE) * usual))


def _along(rows: NDArray[np.uint8]) -> Float32Array:
    """Return how the mean of some rows (N, k, w) changes along them, fine texture left out: (N, w')."""
    smooth = cv2.blur(rows.mean(axis=1, dtype=np.float32), (_COARSE_PX, 1))
    return np.asarray(smooth[:, _COARSE_PX:] - smooth[:, :-_COARSE_PX], np.float32)
