"""Things that move near people without a mask of their own: a bag, a dog, an umbrella, a part that the mask missed.

A plate must not show them. Each looked-at frame is compared, made small, with the masked median of frames before and
after that the camera's path moves onto it: what differs there from the usual background has moved. The result only
lowers the grade of such pixels (``anchors.background_grade``), so that a false alarm costs samples, not knowledge.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture, Transforms
from pipeline.datatypes.clip import FrameSource
from pipeline.maths.channels import largest_channel
from pipeline.maths.masks import grow
from pipeline.maths.reduce import reduced
from pipeline.media.pixels import rgb_of
from pipeline.plate.median import MIN_CLEAR_SAMPLES, masked_median
from pipeline.runtime.prefetch import prefetch

_BODY_PX = 64
"""Body height at which frames are compared: registration by the camera's path alone is good to a pixel there."""
_LOOKS_PER_SECOND = 6.0
_REACH_SECONDS = 6.0
"""How far away in time the frames of a median lie; somebody who stands for longer with a thing makes it background."""
_APART_SECONDS = 0.5
_MOST_SAMPLES = 9
_DIFFERENT = 20.0
"""Gray levels from the nearest values in a neighborhood of 5 x 5: more than light, blur and parallax change."""
_OTHER_HUE = 14.0
"""The same for differences of channels, which shadows and the texture of stones change little."""
_SHADE = np.float32(0.4)
"""What is left of the light in a shadow, which is no thing."""
_NEAR_BH = 0.6
"""Farther from all people nothing can be in the way of the subject."""
_ROOM_BH = 0.03
_LEAST_PX = 8
"""Least area of something that moved, at ``_BODY_PX``: 4 % of body height squared."""
_PEOPLE_ROOM_BH = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    frame: int
    picture: Picture
    grade: NDArray[np.uint8]
    """(h, w) 2 outside people, 0 on them."""


class MovingThings:
    """Coarse masks of moving things, about six a second; a few hundred bytes each."""

    def __init__(self) -> None:
        self._frames: list[int] = []
        self._masks: list[bytes] = []
        self._shape = (0, 0)

    def add(self, frame: int, mask: Mask) -> None:
        """Add the (h, w) mask of the next frame."""
        self._frames.append(frame)
        self._shape = mask.shape[0], mask.shape[1]
        self._masks.append(zlib.compress(np.packbits(mask).tobytes()) if mask.any() else b"")

    def mask(self, frame: int, size_wh: tuple[int, int]) -> Mask | None:
        """Return (H, W) of ``size_wh`` where something moves in a frame: what did so in the looked-at frames on either
        side. None where nothing does."""
        after = int(np.searchsorted(self._frames, frame))
        beside = {row for row in (after - 1, after) if 0 <= row < len(self._frames)}
        packed = [self._masks[row] for row in sorted(beside) if self._masks[row]]
        if not packed:
            return None
        small = np.zeros(self._shape, np.bool_)
        for data in packed:
            bits = np.frombuffer(zlib.decompress(data), np.uint8)
            small |= np.unpackbits(bits, count=small.size).reshape(self._shape).astype(np.bool_)
        return cv2.resize(small.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0

    def lower(self, grade: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
        """Return a frame's grades (h, w) with moving things no longer clear."""
        moving = self.mask(frame, (grade.shape[1], grade.shape[0]))
        return grade if moving is None else np.where(moving, np.minimum(grade, 1), grade)


def find_moving_things(
    clip: FrameSource,
    world_from_source: Transforms,
    shot_starts: NDArray[np.int64],
    people_mask: Callable[[int], Mask],
    needed: NDArray[np.bool_],
    height_px: float,
    check: Callable[[], None],
) -> MovingThings:
    """Look at the shots with ``needed`` (T,) frames. One read of the clip; memory holds ``_REACH_SECONDS`` of small
    pictures."""
    found = MovingThings()
    seconds = clip.info.pts_seconds
    count = len(needed)
    rate = (count - 1) / float(seconds[-1] - seconds[0]) if count > 1 and seconds[-1] > seconds[0] else 30.0
    shot_of = np.searchsorted(shot_starts, np.arange(count), side="right")
    in_use = np.isin(shot_of, np.unique(shot_of[needed]))
    stride = max(1, round(rate / _LOOKS_PER_SECOND))
    looked_at = np.flatnonzero(in_use & (np.arange(count) % stride == 0)).tolist()
    factor = max(1.0, height_px / _BODY_PX)
    reach = _REACH_SECONDS * rate
    apart = _APART_SECONDS * rate
    waiting: deque[_Look] = deque()
    near: deque[_Look] = deque()

    def settle(look: _Look) -> None:
        others = [
            each
            for each in near
            if apart <= abs(each.frame - look.frame) <= reach and shot_of[each.frame] == shot_of[look.frame]
        ]
        found.add(look.frame, _moved(look, others, world_from_source, factor, height_px / factor))

    for frame in prefetch(clip.frames_at(looked_at)):
        check()
        look = _look(rgb_of(frame), frame.index, people_mask(frame.index), factor, height_px / factor)
        near.append(look)
        waiting.append(look)
        while waiting and waiting[0].frame < frame.index - reach:
            settle(waiting.popleft())
        while near and waiting and near[0].frame < waiting[0].frame - reach:
            near.popleft()
    for look in waiting:
        settle(look)
    return found


def _look(picture: Picture, frame: int, people: Mask, factor: float, body_px: float) -> _Look:
    size_wh = max(1, round(picture.shape[1] / factor)), max(1, round(picture.shape[0] / factor))
    small = reduced(picture, size_wh)
    covered = cv2.resize(people.view(np.uint8) * 255, size_wh, interpolation=cv2.INTER_AREA) > 12
    hidden = grow(covered, max(1, round(_PEOPLE_ROOM_BH * body_px)))
    return _Look(frame, small, np.where(hidden, np.uint8(0), np.uint8(2)))


def _moved(
    look: _Look, others: list[_Look], world_from_source: Transforms, factor: float, body_px: float
) -> NDArray[np.bool_]:
    """Return (h, w) where a frame differs from the median of the others, near people."""
    nothing = np.zeros(look.grade.shape, np.bool_)
    people = look.grade == 0
    if not people.any() or len(others) < MIN_CLEAR_SAMPLES:
        return nothing
    which = np.unique(np.linspace(0, len(others) - 1, _MOST_SAMPLES).round().astype(int))
    views = [_seen_from(others[k], look, world_from_source, factor) for k in which]
    pictures = np.stack([view[0] for view in views])
    grades = np.stack([view[1] for view in views])
    usual, samples = masked_median(pictures, grades, _MOST_SAMPLES, np.zeros(len(views), np.int64))
    known = (samples >= MIN_CLEAR_SAMPLES) & ~people
    if not known.any():
        return nothing
    differs = known & _differs(look.picture, usual, known)
    differs &= grow(people, max(1, round(_NEAR_BH * body_px)))
    count, labeled, stats, _ = cv2.connectedComponentsWithStats(differs.view(np.uint8), connectivity=8)
    kept = stats[:count, cv2.CC_STAT_AREA] >= _LEAST_PX
    kept[0] = False
    return grow(kept[labeled], max(1, round(_ROOM_BH * body_px))) & ~people


def _seen_from(
    other: _Look, look: _Look, world_from_source: Transforms, factor: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Move another frame's small picture and grades onto a frame; grade 0 outside."""
    height, width = look.grade.shape
    scale = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1.0]])
    other_from_look = np.linalg.inv(world_from_source[other.frame]) @ world_from_source[look.frame]
    transform = np.linalg.inv(scale) @ other_from_look @ scale
    flags = cv2.WARP_INVERSE_MAP
    picture = cv2.warpPerspective(other.picture, transform, (width, height), flags=flags | cv2.INTER_LINEAR)
    grade = cv2.warpPerspective(other.grade, transform, (width, height), flags=flags | cv2.INTER_NEAREST)
    return np.asarray(picture, np.uint8), np.asarray(grade, np.uint8)


def _differs(now: Picture, usual: Picture, known: Mask) -> NDArray[np.bool_]:
    """Return (h, w): where a picture lies outside the values of its neighborhood in the usual one, in its light."""
    gain = np.median(now[known].astype(np.float32) + 1, axis=0) / np.median(usual[known].astype(np.float32) + 1, axis=0)
    lit = usual.astype(np.float32) * gain.astype(np.float32)
    calm = cv2.blur(now, (3, 3)).astype(np.float32)
    return (_beyond(calm, lit) > _DIFFERENT) | (_beyond(_hues(calm), _hues(lit)) > _OTHER_HUE)


def _beyond(now: Float32Array, usual: Float32Array) -> Float32Array:
    """Return (h, w): the distance from the range of the neighborhood's values, in the sun and in the shade."""
    kernel = np.ones((5, 5), np.uint8)
    high, low = cv2.dilate(usual, kernel), cv2.erode(usual, kernel)
    above = now - np.maximum(high, _SHADE * high)
    below = np.minimum(low, _SHADE * low) - now
    return np.asarray(largest_channel(np.maximum(above, below)), np.float32)


def _hues(picture: Float32Array) -> Float32Array:
    """Return (h, w, 2): red against green, and both against blue."""
    red, green, blue = cv2.split(picture)
    return np.stack([red - green, (red + green) / 2 - blue], axis=-1)
