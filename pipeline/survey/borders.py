"""Find what an editor puts around a clip to fill another shape of picture: bars in one color, or a blurred copy of the
clip itself.

Both end in a straight line at the same place in every frame of a shot. A bar is recognized by its exact color, a
blurred copy by comparing it with the enlarged picture inside. A scene's own walls and skies are neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.datatypes.blurred_copy import BlurredCopy, copy_table
from pipeline.datatypes.survey import Overlays, Track
from pipeline.maths.boxes import Box
from pipeline.survey.copy_search import THUMB_PX, find_copy

Luma = NDArray[np.uint8]
_SAMPLES = 160
"""Rows (or columns) of the picture in which a line is looked for."""
_LEAST_LOOKS = 5
_ALIKE = 6
"""Gray levels by which a coded bar differs from its color."""
_STEADY = 3.0
"""The same over time."""
_BAR_SHARE = 0.85
"""Share of a line across a bar that has its color; less of it where there is text."""
_TEXT_SHARE = 0.5
_INSIDE_SHARE = 0.45
"""Largest share of the picture's first line that happens to have it."""
_ENDS = 0.025
_ENDS_SHARE = 0.95
_LEAST_WIDTH = 0.012
_LARGEST_WIDTH = 0.45
_SOFT_PX = 2
"""Width of a line that was scaled and coded."""
_PURE = (20.0, 235.0)
"""A single bar is black or white: others come in pairs."""
_LEAST_PEOPLE_PX = 30
"""Pixels of people well inside a bar, at the reduced size: they stand before a wall."""
_PEOPLE_ROOM = 0.03
"""How far a mask of a person reaches too far, fraction of the short side."""
_LINE_STEP = 8
_SLOPE_PX = 6
_LINE_SHARE = 0.3
_LINE_PROMINENCE = 0.15
_MOST_LINES = 6
_CENTERED = 0.02
_MOST_THUMBS = 12
_SAME_PX = 3
_WHOLE = 0.9
"""Share of a person's box that lies in the picture; shadows and joints reach a little beyond."""


@dataclass(frozen=True, slots=True)
class _Border:
    """What is around the picture."""

    box_xyxy: Box
    """The picture's."""
    copy: BlurredCopy | None = None
    """What fills the rest; None for bars."""


@dataclass(slots=True, eq=False)
class _Axis:
    """Lines across one axis of the picture, over the frames of a shot; profiles are (N,) along the axis."""

    looks: int = 0
    at_color: list[Float32Array] = field(default_factory=list)
    """Sums of the shares of each line that have the color of the first line, and of the last one."""
    ends_at_color: list[Float32Array] = field(default_factory=list)
    """The same of the two ends of each line, the least of all frames."""
    steps: Float32Array | None = None
    """Sum of the shares of each line at which the picture changes."""
    colors: list[tuple[float, float]] = field(default_factory=list)

    def push(self, lines: Luma) -> None:
        """Add a frame: (samples, N), the axis along the rows."""
        outer = float(np.median(lines[:, :2])), float(np.median(lines[:, -2:]))
        ends = max(2, round(_ENDS * len(lines)))
        near = [np.abs(lines.astype(np.int16) - round(color)) <= _ALIKE for color in outer]
        shares = [np.asarray(each.mean(axis=0), np.float32) for each in near]
        at_ends = [np.asarray(np.concatenate([each[:ends], each[-ends:]]).mean(axis=0), np.float32) for each in near]
        change = np.pad(np.abs(lines[:, 3:].astype(np.int16) - lines[:, :-3]), ((0, 0), (2, 1)))
        # A smooth slope changes as much on both sides.
        slope = np.minimum(np.roll(change, _SLOPE_PX, axis=1), np.roll(change, -_SLOPE_PX, axis=1))
        steps = np.asarray((change - slope >= _LINE_STEP).mean(axis=0), np.float32)
        if self.steps is None:
            self.at_color = shares
            self.ends_at_color = at_ends
            self.steps = steps
        else:
            self.at_color = [total + share for total, share in zip(self.at_color, shares, strict=True)]
            self.ends_at_color = [np.minimum(a, b) for a, b in zip(self.ends_at_color, at_ends, strict=True)]
            self.steps = self.steps + steps
        self.colors.append(outer)
        self.looks += 1

    def bars(self) -> tuple[int, int]:
        """Return the widths in px of the bars at the beginning and at the end of the axis, 0 where there is none."""
        widths = [self._bar(0), self._bar(1)]
        colors = np.asarray(self.colors)
        for side in (0, 1):
            color = float(np.median(colors[:, side]))
            if not widths[1 - side] and _PURE[0] < color < _PURE[1]:
                widths[side] = 0
        return widths[0], widths[1]

    def _bar(self, side: int) -> int:
        share = self.at_color[side] / np.float32(self.looks)
        ends = self.ends_at_color[side]
        if side == 1:
            share = share[::-1]
            ends = ends[::-1]
        color = np.asarray(self.colors)[:, side]
        if np.ptp(color) > _STEADY:
            return 0
        size = len(share)
        reach = min(int(np.argmin(np.append(ends >= _ENDS_SHARE, False))), round(_LARGEST_WIDTH * size))
        least = max(_SOFT_PX + 2, round(_LEAST_WIDTH * size))
        for width in range(reach, least - 1, -1):
            is_line = share[width - 1] >= _BAR_SHARE and share[min(width + _SOFT_PX, size - 1)] <= _INSIDE_SHARE
            if is_line and share[:width].mean() >= _TEXT_SHARE:
                # The line itself rings where it was coded.
                soft = share[width : width + _SOFT_PX] >= _BAR_SHARE
                return width + int(np.argmin(np.append(soft, False)))
        return 0

    def pairs(self) -> list[tuple[int, int]]:
        """Return pairs of lines (first px inside, first px beyond), centered: where a blurred copy may end."""
        if self.steps is None:
            return []
        share = self.steps / np.float32(self.looks)
        size = len(share)
        margin = round(_LEAST_WIDTH * size)
        first = [place for place in _first_lines(share) if place >= margin]
        last = [size - place for place in _first_lines(share[::-1]) if place >= margin]
        return [(a, b) for a in first for b in last if abs(a + b - size) <= _CENTERED * size]


def _first_lines(share: Float32Array) -> list[int]:
    """Return the first lines of a profile (N,) at which more changes than just before."""
    places: list[int] = []
    for place in range(_SLOPE_PX + _SOFT_PX, len(share) // 2):
        near = share[place - _SOFT_PX : place + _SOFT_PX + 1]
        before = float(share[place - _SLOPE_PX - _SOFT_PX : place - _SOFT_PX].max())
        is_new = not places or place - places[-1] > _SOFT_PX
        if is_new and share[place] >= max(_LINE_SHARE, before + _LINE_PROMINENCE) and share[place] == near.max():
            places.append(place)
    return places[:_MOST_LINES]


class BorderFinder:
    """Takes some of a clip's frames in order; holds sums over the shot and a few thumbnails."""

    def __init__(self, size_wh: tuple[int, int], given: Mapping[int, Box] | None = None) -> None:
        """``given`` are boxes that are known to be inside of borders, by the first frame of their shots."""
        self._size_wh = size_wh
        self._given = dict(given or {})
        ratio = THUMB_PX / max(size_wh)
        self._thumb_wh = max(8, round(size_wh[0] * ratio)), max(8, round(size_wh[1] * ratio))
        self._axes = _Axis(), _Axis()
        self._thumbs: list[Luma] = []
        self._stride = 1
        self._people: Mask | None = None
        self._looks = 0
        self._first = 0
        self._shots: list[tuple[int, int, _Border | None, bool]] = []
        """First and last frame of each shot, its border, and whether there were enough frames to say."""
        self._inside = self._given.get(0)
        self._last_found: tuple[tuple[int, str], _Border | None] | None = None
        """Looks and effort of the last search in this shot, and what it found."""

    @property
    def inside(self) -> Box | None:
        """The box in px inside of the borders known so far in this shot; None where there are none."""
        return self._inside

    def cut(self, frame: int) -> None:
        """End the shot: another one begins with ``frame``."""
        if frame > self._first:
            is_known = self._looks >= _LEAST_LOOKS or self._first in self._given
            self._shots.append((self._first, frame - 1, self._found(), is_known))
        self._first = frame
        self._axes = _Axis(), _Axis()
        self._thumbs = []
        self._stride = 1
        self._people = None
        self._looks = 0
        self._last_found = None
        self._inside = self._given.get(frame)

    def look(self, luma: Luma, people: Mask) -> None:
        """Take a frame: (H, W) uint8, and all people (h, w) at a reduced size."""
        height, width = luma.shape
        self._axes[0].push(luma[:: max(1, height // _SAMPLES)])
        self._axes[1].push(np.ascontiguousarray(luma[:, :: max(1, width // _SAMPLES)].T))
        room = max(1, round(_PEOPLE_ROOM * min(people.shape)))
        inner = cv2.erode(people.view(np.uint8), np.ones((2 * room + 1, 2 * room + 1), np.uint8)).view(np.bool_)
        # A mask may reach into a bar; what has the bar's color there is nobody.
        shown = cv2.resize(luma, (people.shape[1], people.shape[0]), interpolation=cv2.INTER_AREA).astype(np.int16)
        for color in (color for axis in self._axes for color in axis.colors[-1]):
            inner &= np.abs(shown - round(color)) > _ALIKE
        self._people = inner if self._people is None else self._people | inner
        if self._looks % self._stride == 0:
            thumb = cv2.resize(luma, self._thumb_wh, interpolation=cv2.INTER_AREA)
            self._thumbs.append(np.asarray(thumb, np.uint8))
            if len(self._thumbs) > _MOST_THUMBS:
                self._thumbs = self._thumbs[::2]
                self._stride *= 2
        self._looks += 1
        # Later ones change little, and each costs a comparison.
        if self._looks in (_LEAST_LOOKS, 2 * _LEAST_LOOKS, 4 * _LEAST_LOOKS):
            found = self._found("early")
            self._inside = None if found is None else found.box_xyxy

    def has_borders(self) -> bool:
        """Return whether the shot, as far as it was looked at, has borders."""
        return self._found() is not None

    def finish(self, num_frames: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (B, 6): first and last frame of each shot that has borders, and the box x0, y0, x1, y1 inside; and
        their blurred copies, ``Overlays.copies``."""
        self.cut(num_frames)
        shots = [(first, last, border) for first, last, border in _continued(self._shots) if border is not None]
        rows = [(first, last, *border.box_xyxy) for first, last, border in shots]
        copies = [border.copy for _, _, border in shots]
        return np.array(rows, np.int64).reshape(-1, 6), copy_table(copies)

    def _found(self, effort: Literal["early", "final"] = "final") -> _Border | None:
        key = self._looks, effort
        if self._last_found is None or self._last_found[0] != key:
            self._last_found = key, self._search(effort)
        return self._last_found[1]

    def _search(self, effort: Literal["early", "final"]) -> _Border | None:
        if self._first in self._given:
            return _Border(self._given[self._first])
        if self._looks < _LEAST_LOOKS:
            return None
        width, height = self._size_wh
        left, right = self._axes[0].bars()
        top, bottom = self._axes[1].bars()
        box = (left, top, width - right, height - bottom)
        if (left or right or top or bottom) and not self._people_in(box):
            return _Border(box)
        across = [(a, 0, b, height) for a, b in self._axes[0].pairs()]
        down = [(0, a, width, b) for a, b in self._axes[1].pairs()]
        both = [(a, c, b, d) for a, _, b, _ in across for _, c, _, d in down]
        found = find_copy(self._thumbs, (*both, *across, *down), self._size_wh, effort)
        return None if found is None else _Border(_within_lines(found[0], self._size_wh), found[1])

    def _people_in(self, box: Box) -> bool:
        """Whether people were seen well inside of the bars around a box: then these are walls or sky."""
        if self._people is None:
            return False
        height, width = self._people.shape
        x, y = width / self._size_wh[0], height / self._size_wh[1]
        outside = np.ones((height, width), np.bool_)
        outside[int(box[1] * y) : int(np.ceil(box[3] * y)), int(box[0] * x) : int(np.ceil(box[2] * x))] = False
        return int(np.count_nonzero(self._people & outside)) >= _LEAST_PEOPLE_PX


def _within_lines(box: Box, size_wh: tuple[int, int]) -> Box:
    """Return a box without its outermost pixels, which were mixed with the border when the picture was scaled."""
    x0, y0, x1, y1 = box
    return x0 + (x0 > 0), y0 + (y0 > 0), x1 - (x1 < size_wh[0]), y1 - (y1 < size_wh[1])


def tracks_inside(tracks: Sequence[Track], overlays: Overlays) -> tuple[Track, ...]:
    """Return the tracks without those that lie in a border most of the time: people of a blurred copy."""
    return tuple(track for track in tracks if not _is_in_border(track, overlays))


def seen_in_copies(tracks: Sequence[Track], pictures: Sequence[tuple[int, int, Box]]) -> bool:
    """Return whether a part of somebody is seen beside the picture in shots that show its blurred copy there: first and
    last frame, and the picture's box."""
    for track in tracks:
        for first, last, box in pictures:
            boxes = track.boxes_xyxy[(track.frames >= first) & (track.frames <= last)]
            sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
            inside = np.clip(sides, 0, None).prod(axis=1)
            if (inside < _WHOLE * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).any():
                return True
    return False


def _is_in_border(track: Track, overlays: Overlays) -> bool:
    middles = (track.boxes_xyxy[:, :2] + track.boxes_xyxy[:, 2:]) / 2
    outside = 0
    for frame, (x, y) in zip(track.frames.tolist(), middles.tolist(), strict=True):
        inside = overlays.inside(frame)
        outside += inside is not None and not (inside[0] <= x < inside[2] and inside[1] <= y < inside[3])
    return 2 * outside > len(track.frames)


def _continued(shots: Sequence[tuple[int, int, _Border | None, bool]]) -> Iterator[tuple[int, int, _Border | None]]:
    """Yield shots with their borders; one that is too short to tell has the borders of the shots beside it, where these
    agree."""
    known = [index for index, shot in enumerate(shots) if shot[3]]
    for index, (first, last, border, is_known) in enumerate(shots):
        if not is_known and known:
            before = [shots[other][2] for other in known if other < index][-1:]
            after = [shots[other][2] for other in known if other > index][:1]
            beside = before + after
            is_same = all(_is_same(a, b) for a, b in pairwise(beside))
            border = beside[0] if is_same else None
        yield first, last, border


def _is_same(one: _Border | None, two: _Border | None) -> bool:
    if one is None or two is None:
        return one is two
    return max(abs(a - b) for a, b in zip(one.box_xyxy, two.box_xyxy, strict=True)) <= _SAME_PX
