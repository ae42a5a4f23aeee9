"""Choose the anchor frames, and the frames stacked at each, from masks and camera motion alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Transforms
from pipeline.datatypes.light import WallShape
from pipeline.maths.camera_speed import FAST, frame_speeds
from pipeline.maths.cast_shadow import cast
from pipeline.maths.masks import grow
from pipeline.maths.reflection import mirror
from pipeline.maths.wall_shadow import throw_on_wall
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.median import MIN_CLEAR_SAMPLES
from pipeline.plate.spread import spread_anchors
from pipeline.shaped import Shaped, Shapes

_COARSE = 8
_CANDIDATES_PER_SECOND = 10.0
_CACHED_MASKS = 400
_BLURRED_WORTH = 0.4
"""Samples that a frame in fast motion counts as: others are searched for, and decide where there are enough."""
_LOOKED_AT = 80
_SHOULDERS_BH = 0.18
"""Distance of the shoulders below the top of a person's mask."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnchorPlan(Shaped):
    """One plate to make."""

    SHAPES: ClassVar[Shapes] = {"needed_mask_small": ("h", "w")}

    frame: int
    shot_start: int
    shot_stop: int
    candidates: tuple[int, ...]
    """Ascending frame numbers, including the anchor's own."""
    needed_mask_small: Mask
    """(h, w), an eighth of the picture: the area that people occlude in the frames around, with a margin; elsewhere the
    anchor itself is the plate."""
    size_wh: tuple[int, int]

    @property
    def needed_mask(self) -> Mask:
        """(H, W)."""
        large = self.needed_mask_small.repeat(_COARSE, axis=0).repeat(_COARSE, axis=1)
        return large[: self.size_wh[1], : self.size_wh[0]]


def background_grade(
    people_mask: Mask,
    height: float,
    shear: tuple[float, float] | None = None,
    wall: WallShape | None = None,
    *,
    is_mirrored: bool = False,
) -> NDArray[np.uint8]:
    """Grade the pixels of a frame: 0 people, 1 background that may lie in their shadow, 2 clear.

    The area around the feet counts as shadow, and where it is known what the ``shear`` of ``maths.cast_shadow`` and the
    shape on a ``wall`` predict; so does the floor beneath the feet that mirrors people. The mask is widened by 2 % of
    body height: half a pixel of clothes in the median is a ghost.
    """
    grade = np.full(people_mask.shape, 2, np.uint8)
    if not people_mask.any():
        return grade
    people = people_mask.astype(np.uint8)
    radius = max(2, round(0.02 * height))
    # Bodies are separated on a small picture: their boxes need no more.
    factor = max(1, round(height / 100))
    small = np.ascontiguousarray(people[::factor, ::factor])
    count, labels, stats, _ = cv2.connectedComponentsWithStats(small)
    for label, (x, y, w, h, _area) in enumerate(stats[1:count] * factor, 1):
        if h > 0.15 * height:
            center = (int(x + w // 2), int(y + h - round(0.08 * height)))
            cv2.ellipse(grade, center, (round(0.7 * height), round(0.2 * height)), 0, 0, 360, 1, -1)
            if shear is not None:
                grade[_shaded(labels == label, (y + h) / factor, shear, people.shape, height / factor)] = 1
            if wall is not None:
                shoulders = (x + w / 2) / factor, (y + _SHOULDERS_BH * height) / factor
                grade[_shaded_wall(labels == label, shoulders, wall, people.shape, height / factor)] = 1
            if is_mirrored:
                image = mirror((labels == label).astype(np.float32), (y + h) / factor)
                grade[_with_margin(image, people.shape, height / factor)] = 1
    grade[grow(people_mask, radius)] = 0
    return grade


def _shaded(body: Mask, bottom_row: float, shear: tuple[float, float], shape: tuple[int, ...], height: float) -> Mask:
    """Return where a body's shadow falls, with a margin for its soft edge: (H, W) of ``shape`` from a smaller mask."""
    return _with_margin(cast(body.astype(np.float32), bottom_row - 0.03 * height, *shear), shape, height)


def _shaded_wall(
    body: Mask, shoulders: tuple[float, float], wall: WallShape, shape: tuple[int, ...], height: float
) -> Mask:
    """Return where a body's shadow falls on the wall, as ``_shaded``; ``shoulders`` are their column and row."""
    return _with_margin(throw_on_wall(body.astype(np.float32), shoulders, height, wall), shape, height)


def _with_margin(shadow: Matte, shape: tuple[int, ...], height: float) -> Mask:
    grown = grow(shadow > 0.2, max(1, round(0.05 * height)))
    return cv2.resize(grown.view(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


class _CoarseGrades:
    """Grades at an eighth of the size, cached for the most recent frames."""

    def __init__(self, inputs: PlateInputs) -> None:
        self._inputs = inputs
        self._height = inputs.body_height_px / _COARSE
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __call__(self, frame: int) -> NDArray[np.uint8]:
        if frame not in self._kept:
            mask = self._inputs.people_mask(frame)
            h, w = mask.shape
            small = cv2.resize(
                mask.astype(np.uint8) * 255, (-(-w // _COARSE), -(-h // _COARSE)), interpolation=cv2.INTER_AREA
            )
            shadows = self._inputs.shadows
            grade = background_grade(
                small > 12,
                self._height,
                shadows.shear_at(frame),
                shadows.wall_at(frame),
                is_mirrored=shadows.mirrored_at(frame),
            )
            self._kept[frame] = self._inputs.moving.lower(grade, frame)
            if len(self._kept) > _CACHED_MASKS:
                self._kept.popitem(last=False)
        return self._kept[frame]


def plan_anchors(inputs: PlateInputs, anchor_seconds: float, samples: int) -> list[AnchorPlan]:
    """Choose anchors over the needed frames of each shot and the frames to stack at each; ascending by frame.

    Anchors lie ``anchor_seconds`` apart. Candidates are the frames nearest in time that still contribute to an occluded
    place with fewer than ``samples`` samples; distant frames are examined ever more sparsely.
    """
    grades = _CoarseGrades(inputs)
    rate = _mean_rate(inputs.clip.info.pts_seconds)
    bounds = [*(int(start) for start in inputs.shot_starts), len(inputs.needed)]
    plans: list[AnchorPlan] = []
    for start, stop in pairwise(bounds):
        needed = np.flatnonzero(inputs.needed[start:stop]) + start
        if not len(needed):
            continue
        speeds = frame_speeds(inputs.world_from_source[start:stop], inputs.size_wh)
        shot = _Shot(start, stop, inputs.world_from_source, grades, speeds)
        anchors = spread_anchors(needed, rate * anchor_seconds, inputs.world_from_source, inputs.size_wh)
        for row, anchor in enumerate(anchors):
            first = needed[0] if row == 0 else (anchors[row - 1] + anchor) // 2
            last = needed[-1] if row == len(anchors) - 1 else (anchor + anchors[row + 1]) // 2
            # The other plate of the blend reaches to the next anchor.
            room = max(anchor - first, last - anchor)
            around = range(max(first - room, start), min(last + room + 1, stop), 2)
            frames_served = [frame for frame in around if inputs.needed[frame]]
            needed_mask = shot.hidden([*frames_served, anchor], anchor, inputs.body_height_px)
            views = _views_nearest_in_time(anchor, shot, needed_mask, samples, rate)
            _add_views_without_shadow(views, anchor, shot, needed_mask, rate)
            plans.append(AnchorPlan(int(anchor), start, stop, tuple(sorted(views)), needed_mask, inputs.size_wh))
    return plans


def _mean_rate(pts_seconds: NDArray[np.float64]) -> float:
    """Return the frames per second."""
    if len(pts_seconds) > 1 and pts_seconds[-1] > 0:
        return float((len(pts_seconds) - 1) / pts_seconds[-1])
    return 30.0


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """What the frames of one shot show of its background."""

    start: int
    stop: int
    world_from_source: Transforms
    """(T, 3, 3) of the whole clip."""
    grades: _CoarseGrades
    speeds: NDArray[np.float64]
    """(stop - start,) camera motion in each frame, per cent of the picture's diagonal."""

    def view(self, frame: int, anchor: int) -> NDArray[np.uint8]:
        """Warp the coarse grades of a frame to an anchor, (h, w); 0 outside of the frame."""
        return self._warped(self.grades(frame), frame, anchor)

    def hidden(self, frames: list[int], anchor: int, body_height_px: float) -> Mask:
        """Return the coarse (h, w) area of an anchor that people or their shadows cover in one of the ``frames``."""
        hidden = np.zeros(self.grades(anchor).shape, np.bool_)
        shaded = hidden.copy()
        for frame in frames:
            grade = self.grades(frame)
            hidden |= self._warped((grade == 0).astype(np.uint8), frame, anchor) > 0
            shaded |= self._warped((grade < 2).astype(np.uint8), frame, anchor) > 0
        # Margin for the new person's layer and for the band in which light is matched.
        radius = max(2, round(0.25 * body_height_px / _COARSE))
        return grow(hidden, radius) | shaded

    def _warped(self, coarse: NDArray[np.uint8], frame: int, anchor: int) -> NDArray[np.uint8]:
        scale = np.array([[_COARSE, 0, (_COARSE - 1) / 2], [0, _COARSE, (_COARSE - 1) / 2], [0, 0, 1.0]])
        frame_from_anchor = np.linalg.inv(self.world_from_source[frame]) @ self.world_from_source[anchor]
        transform = np.linalg.inv(scale) @ frame_from_anchor @ scale
        h, w = coarse.shape
        return cv2.warpPerspective(coarse, transform, (w, h), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)


def _views_nearest_in_time(
    anchor: int, shot: _Shot, needed_mask: Mask, samples: int, rate: float
) -> dict[int, NDArray[np.uint8]]:
    """Return frame -> coarse view of the frames to stack: the nearest that show what still lacks samples."""
    views = {anchor: shot.grades(anchor)}
    shown = np.where(needed_mask, shot.grades(anchor) > 0, samples).astype(np.float64)
    for frame in _outwards(anchor, shot, rate):
        lacking = shown < samples
        if len(views) > 2 * samples or not lacking.any():
            break
        view = shot.view(frame, anchor)
        if (lacking & (view > 0)).sum() >= max(1.0, 0.08 * lacking.sum(), 0.003 * needed_mask.sum()):
            views[frame] = view
            shown += (view > 0) * (_BLURRED_WORTH if shot.speeds[frame - shot.start] > FAST else 1.0)
    return views


def _add_views_without_shadow(
    views: dict[int, NDArray[np.uint8]], anchor: int, shot: _Shot, needed_mask: Mask, rate: float
) -> None:
    """Add the most informative frames for the ground that may be in shadow: those in which people were elsewhere."""
    clear = np.where(needed_mask, np.sum([view == 2 for view in views.values()], axis=0), MIN_CLEAR_SAMPLES)
    if not (clear < MIN_CLEAR_SAMPLES).any():
        return
    # Thinned by time: in their own order, earlier and later frames alternate, and every second one would be one side.
    others = list(_outwards(anchor, shot, rate))
    thinned = sorted(others)[:: 1 + len(others) // _LOOKED_AT]
    # Of equally informative frames the nearest is taken first.
    nearest_first = sorted(set(thinned) - set(views), key=others.index)
    left = {frame: shot.view(frame, anchor) for frame in nearest_first}
    for _ in range(2 * MIN_CLEAR_SAMPLES):
        worth = {frame: int(((clear < MIN_CLEAR_SAMPLES) & (view == 2)).sum()) for frame, view in left.items()}
        best = max(worth, key=lambda frame: worth[frame], default=anchor)
        if worth.get(best, 0) < max(1.0, 0.003 * needed_mask.sum()):
            break
        views[best] = left.pop(best)
        clear += views[best] == 2


def _outwards(anchor: int, shot: _Shot, rate: float) -> Iterator[int]:
    """Yield the frames of the shot to examine, nearest first, ever more sparsely."""
    base = max(1.0, rate / _CANDIDATES_PER_SECOND)
    distance = base
    while anchor - round(distance) >= shot.start or anchor + round(distance) < shot.stop:
        for frame in (anchor - round(distance), anchor + round(distance)):
            if shot.start <= frame < shot.stop:
                yield frame
        distance += max(base, 0.04 * distance)
