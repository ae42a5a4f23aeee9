"""Choose the anchor frames, and the frames stacked at each, from masks and camera motion alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.light import CastShadows
from pipeline.maths.cast_shadow import cast
from pipeline.maths.masks import grow
from pipeline.plate.median import MIN_CLEAR_SAMPLES
from pipeline.plate.spread import frame_speeds, spread_anchors
from pipeline.settings import PlateSettings

_COARSE = 8
_CANDIDATES_PER_SECOND = 10.0
_CACHED_MASKS = 400
_FAST = 1.0
"""Camera motion in one frame, per cent of the picture's diagonal, above which motion blur is likely."""
_BLURRED_WORTH = 0.4
"""Samples that a frame in fast motion counts as: others are searched for, and decide where there are enough."""
_LOOKED_AT = 80


@dataclass(frozen=True, slots=True, eq=False)
class AnchorPlan:
    """One plate to make."""

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


def background_grade(people_mask: Mask, height: float, shear: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Grade the pixels of a frame: 0 people, 1 ground that may lie in their shadow, 2 clear.

    The area around the feet counts as shadow, and where it is known what the ``shear`` of ``maths.cast_shadow``
    predicts. The mask is widened by 2 % of body height: half a pixel of clothes in the median is a ghost.
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
    grade[grow(people_mask, radius)] = 0
    return grade


def _shaded(body: Mask, bottom_row: float, shear: tuple[float, float], shape: tuple[int, ...], height: float) -> Mask:
    """Return where a body's shadow falls, with a margin for its soft edge: (H, W) of ``shape`` from a smaller mask."""
    shadow = cast(body.astype(np.float32), bottom_row - 0.03 * height, *shear)
    grown = grow(shadow > 0.2, max(1, round(0.05 * height)))
    return cv2.resize(grown.view(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


class _CoarseGrades:
    """Grades at an eighth of the size, cached for the most recent frames."""

    def __init__(self, people_mask: Callable[[int], Mask], height: float, shadows: CastShadows) -> None:
        self._people_mask, self._height, self._shadows = people_mask, height, shadows
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __call__(self, frame: int) -> NDArray[np.uint8]:
        if frame not in self._kept:
            mask = self._people_mask(frame)
            h, w = mask.shape
            small = cv2.resize(
                mask.astype(np.uint8) * 255, (-(-w // _COARSE), -(-h // _COARSE)), interpolation=cv2.INTER_AREA
            )
            self._kept[frame] = background_grade(small > 12, self._height / _COARSE, self._shadows.shear_at(frame))
            if len(self._kept) > _CACHED_MASKS:
                self._kept.popitem(last=False)
        return self._kept[frame]


def plan_anchors(
    info: VideoInfo,
    world_from_source: Transforms,
    shot_starts: NDArray[np.int64],
    needed: NDArray[np.bool_],
    people_mask: Callable[[int], Mask],
    height: float,
    settings: PlateSettings,
    shadows: CastShadows,
) -> list[AnchorPlan]:
    """Choose anchors over the needed frames of each shot and the frames to stack at each; ascending by frame.

    Anchors lie ``anchor_seconds`` apart. Candidates are the frames nearest in time that still contribute to an occluded
    place with fewer than ``samples`` samples; distant frames are examined ever more sparsely.
    """
    size_wh = info.size_wh
    coarse = _CoarseGrades(people_mask, height, shadows)
    seconds = info.pts_seconds
    rate = (len(seconds) - 1) / seconds[-1] if len(seconds) > 1 and seconds[-1] > 0 else 30.0
    bounds = [*(int(start) for start in shot_starts), len(needed)]
    plans: list[AnchorPlan] = []
    for start, stop in pairwise(bounds):
        frames = np.flatnonzero(needed[start:stop]) + start
        if not len(frames):
            continue
        speeds = frame_speeds(world_from_source[start:stop], size_wh)
        anchors = spread_anchors(frames, rate * settings.anchor_seconds, world_from_source, size_wh)
        for row, anchor in enumerate(anchors):
            first = frames[0] if row == 0 else (anchors[row - 1] + anchor) // 2
            last = frames[-1] if row == len(anchors) - 1 else (anchor + anchors[row + 1]) // 2
            # The other plate of the blend reaches a quarter of the gap further.
            room = round(max(anchor - first, last - anchor) * 2 / 3)
            frames_served = [t for t in range(max(first - room, start), min(last + room + 1, stop), 2) if needed[t]]
            needed_mask = _hidden(anchor, [*frames_served, anchor], world_from_source, coarse, size_wh, height)
            chosen = _choose(
                anchor, start, stop, rate, world_from_source, coarse, needed_mask, settings.samples, speeds
            )
            plans.append(AnchorPlan(int(anchor), start, stop, tuple(sorted(chosen)), needed_mask, size_wh))
    return plans


def _coarse_view(grade: NDArray[np.uint8], anchor: int, frame: int, world_from_source: Transforms) -> NDArray[np.uint8]:
    """Warp coarse grades of a frame to the anchor; 0 outside of the frame."""
    scale = np.array([[_COARSE, 0, (_COARSE - 1) / 2], [0, _COARSE, (_COARSE - 1) / 2], [0, 0, 1.0]])
    frame_from_anchor = np.linalg.inv(world_from_source[frame]) @ world_from_source[anchor]
    transform = np.linalg.inv(scale) @ frame_from_anchor @ scale
    h, w = grade.shape
    return cv2.warpPerspective(grade, transform, (w, h), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)


def _hidden(
    anchor: int,
    frames_served: list[int],
    world_from_source: Transforms,
    coarse: _CoarseGrades,
    size_wh: tuple[int, int],
    height: float,
) -> Mask:
    """Return the coarse (h, w) area of the anchor that people or their shadows cover in one of the frames it serves."""
    hidden = np.zeros(coarse(anchor).shape, np.bool_)
    shaded = hidden.copy()
    for frame in frames_served:
        grade = coarse(frame)
        hidden |= _coarse_view((grade == 0).astype(np.uint8), anchor, frame, world_from_source) > 0
        shaded |= _coarse_view((grade < 2).astype(np.uint8), anchor, frame, world_from_source) > 0
    # Margin for the new person's layer and for the band in which light is matched.
    radius = max(2, round(0.25 * height / _COARSE))
    return grow(hidden, radius) | shaded


def _choose(
    anchor: int,
    start: int,
    stop: int,
    rate: float,
    world_from_source: Transforms,
    coarse: _CoarseGrades,
    needed_mask: Mask,
    samples: int,
    speeds: NDArray[np.float64],
) -> list[int]:
    views = {anchor: coarse(anchor)}
    shown = np.where(needed_mask, coarse(anchor) > 0, samples).astype(np.float64)
    others = list(_outwards(anchor, start, stop, max(1.0, rate / _CANDIDATES_PER_SECOND)))
    for frame in others:
        lacking = shown < samples
        if len(views) > 2 * samples or not lacking.any():
            break
        view = _coarse_view(coarse(frame), anchor, frame, world_from_source)
        if (lacking & (view > 0)).sum() >= max(1.0, 0.08 * lacking.sum(), 0.003 * needed_mask.sum()):
            views[frame] = view
            shown += (view > 0) * (_BLURRED_WORTH if speeds[frame - start] > _FAST else 1.0)
    # Then the ground that may be in shadow: it needs frames in which people were elsewhere, the most informative first.
    clear = np.where(needed_mask, np.sum([view == 2 for view in views.values()], axis=0), MIN_CLEAR_SAMPLES)
    if (clear < MIN_CLEAR_SAMPLES).any():
        # Thinned by time: in their own order, earlier and later frames alternate, and every second one would be one
        # side.
        thinned = set(sorted(others)[:: 1 + len(others) // _LOOKED_AT])
        left = {
            frame: _coarse_view(coarse(frame), anchor, frame, world_from_source)
            for frame in others
            if frame in thinned and frame not in views
        }
        for _ in range(2 * MIN_CLEAR_SAMPLES):
            worth = {frame: int(((clear < MIN_CLEAR_SAMPLES) & (view == 2)).sum()) for frame, view in left.items()}
            best = max(worth, key=lambda frame: worth[frame], default=anchor)
            if worth.get(best, 0) < max(1.0, 0.003 * needed_mask.sum()):
                break
            views[best] = left.pop(best)
            clear += views[best] == 2
    return list(views)


def _outwards(anchor: int, start: int, stop: int, base: float) -> Iterator[int]:
    """Yield the frames of the shot to examine, nearest first, ever more sparsely."""
    distance = base
    while anchor - round(distance) >= start or anchor + round(distance) < stop:
        for frame in (anchor - round(distance), anchor + round(distance)):
            if start <= frame < stop:
                yield frame
        distance += max(base, 0.04 * distance)
