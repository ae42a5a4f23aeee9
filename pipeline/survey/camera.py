"""Measure the camera's motion.

The motion is measured between neighboring frames on points of the background, and over a few frames where it cannot be
from one to the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import CameraMotion, Overlays
from pipeline.maths.geometry import (
    apply_transform,
    corners_of,
    normalized,
    params_of_similarities,
    similarities_from_params,
    similarity_part,
)
from pipeline.maths.masks import grow
from pipeline.settings import StabilizeSettings
from pipeline.survey.camera_fit import MIN_INLIERS, MotionFit
from pipeline.survey.camera_points import BackgroundPoints, Luma, Points32, Seen
from pipeline.survey.sudden_light import agreement, light_change, without_light

_HOLD_DECAY = 0.8
"""A held motion decays, so that a minute without texture does not drift away."""
_LONGEST_BRIDGE = 8
"""Frames over which motion is measured where it cannot be from frame to frame: over a flash or a blurred frame."""
_SUDDEN_OF_DIAGONAL = 0.004
"""A step whose corners go this much farther than the step before is looked at twice: 3 px at 640 x 360."""
_OTHER_LIGHT = 4.0
"""``light_change``: more than a pan, people who enter, or a ramp cause from one frame to the next."""
_CLEARLY_BETTER = 0.1
"""Correlation by which another motion must fit better than the one measured first."""
_LEAST_AGREEMENT = 0.4
"""Correlation of the pictures, without their light, under a motion that only points in these show."""


class CameraEstimator:
    """Measures a clip's camera motion, frame after frame; holds two frames of luma."""

    def __init__(self, info: VideoInfo, settings: StabilizeSettings) -> None:
        self._size_wh = info.size_wh
        self._diagonal = float(np.hypot(*info.size_wh))
        self._points = BackgroundPoints.of_size(info.size_wh, settings.scale, settings.features)
        self._fit = MotionFit(info.size_wh, settings.model)
        self._before: Seen | None = None
        self._measured: Seen | None = None
        """The last frame whose motion was measured."""
        self._world: list[Transforms] = []
        self._starts: set[int] = set()
        self._reliable: list[bool] = []
        self._pairs: list[Points32] = []
        self._last: Transforms = np.eye(3)

    def push(
        self,
        luma: Luma,
        people_mask: Mask,
        feet_px: NDArray[np.floating],
        is_cut: bool,
        overlays: Mask | None = None,
    ) -> Transforms:
        """Take the next frame; return (3, 3) its motion since the shot began, source to ``world``.

        ``luma`` is (H, W) uint8, upright; ``people_mask`` (H, W) covers all people; ``feet_px`` (K, 2) are points on
        their feet, around which ground features are tracked as well (for contacts); ``is_cut`` says that a shot begins
        here. ``overlays`` (h, w), at any size, are static graphics in the picture: no point lies on them.
        """
        w, h = self._size_wh
        if luma.shape != (h, w) or people_mask.shape != (h, w):
            raise ValueError(f"luma {luma.shape} and mask {people_mask.shape} are not {(h, w)}")
        small = self._points.small(luma)
        blocked = self._points.blocked(people_mask, overlays)
        if is_cut or self._before is None:
            pairs = np.empty((0, 4), np.float32)
            self._starts.add(len(self._world))
            self._world.append(np.eye(3))
            # A cut is not a failure; the motion of another shot says nothing about this one.
            self._reliable.append(True)
            self._last = np.eye(3)
        else:
            pairs = self._step(self._before, luma, small, blocked)
        self._pairs.append(pairs)
        points = self._points.features(small, luma, blocked, people_mask, np.asarray(feet_px, np.float64))
        self._before = Seen(len(self._world) - 1, luma, small, points)
        if self._reliable[-1]:
            self._measured = self._before
        return self._world[-1]

    def _step(self, before: Seen, luma: Luma, small: Luma, blocked: NDArray[np.uint8]) -> Points32:
        """Add the next frame's motion, and return the points that agree with it: (N, 4), previous and current."""
        index = len(self._world)
        held = _faded(self._last, self._size_wh)
        found = self._measure(before, luma, small, blocked, held)
        step, pairs = found or (held, np.empty((0, 4), np.float32))
        self._world.append(normalized(self._world[-1] @ step))
        self._last = step
        self._reliable.append(found is not None)
        first = self._measured
        if first is None or first.index == index - 1 or index - first.index > _LONGEST_BRIDGE:
            return pairs
        usual = normalized(np.linalg.inv(self._world[first.index]) @ self._world[index])
        bridged = self._measure(first, luma, small, blocked, usual)
        if bridged is not None:
            self._cross(first.index, index, bridged[0])
        return pairs

    def _measure(
        self, before: Seen, luma: Luma, small: Luma, blocked: NDArray[np.uint8], usual: Transforms
    ) -> tuple[Transforms, Points32] | None:
        """Return the motion between two frames and its pairs as ``MotionFit.fit`` does.

        Where it is missing, or far from the ``usual`` one, or where it became lighter or darker, the pictures are
        compared without their light: what explains them counts, and None where the ``usual`` motion does better.
        """
        found = self._fit.fit(self._points.follow(before, small, luma, blocked))
        is_lit_otherwise = light_change(before.small, small) > _OTHER_LIGHT
        if found is not None and not is_lit_otherwise and not self._is_sudden(found[0], usual):
            return found
        plain = without_light(before.small), without_light(small)
        shadowless = Seen(before.index, without_light(before.luma), plain[0], before.points)
        again = self._fit.fit(self._points.follow(shadowless, plain[1], without_light(luma), blocked))
        ratio = np.diag([*(np.array(self._points.small_wh) / self._size_wh), 1.0])

        def fit(step: Transforms) -> float:
            return agreement(*plain, ratio @ step @ np.linalg.inv(ratio), blocked == 0)

        # What points say is accurate to a fraction of a pixel, which the pictures' agreement hardly shows.
        least = fit(usual) - _CLEARLY_BETTER
        result = None
        if again is not None and fit(again[0]) > max(least, _LEAST_AGREEMENT):
            # Where the light changed, points in its gray levels are drawn along.
            least = max(least, fit(again[0]) - (0.0 if is_lit_otherwise else _CLEARLY_BETTER))
            result = again
        return found if found is not None and fit(found[0]) > least else result

    def _is_sudden(self, step: Transforms, usual: Transforms) -> bool:
        corners = corners_of(self._size_wh)
        apart = np.abs(apply_transform(step, corners) - apply_transform(usual, corners)).max()
        return bool(apart > _SUDDEN_OF_DIAGONAL * self._diagonal)

    def _cross(self, first: int, last: int, motion: Transforms) -> None:
        """Take over the motion between two frames, and interpolate it in the frames between them."""
        params = params_of_similarities(similarity_part(motion, self._size_wh)[None], self._size_wh)
        for index in range(first + 1, last):
            part = similarities_from_params(params * ((index - first) / (last - first)), self._size_wh)[0]
            self._world[index] = normalized(self._world[first] @ part)
        self._world[last] = normalized(self._world[first] @ motion)
        self._last = normalized(np.linalg.inv(self._world[last - 1]) @ self._world[last])
        self._reliable[last] = True

    def finish(self, overlays: Overlays | None = None) -> CameraMotion:
        """Return the motion of all frames pushed, without the points found to lie on ``overlays``."""
        if overlays is not None and len(overlays.packed) + len(overlays.borders):
            self._fit_beside(overlays)
        world = np.stack(self._world) if self._world else np.empty((0, 3, 3))
        return CameraMotion(world, np.array(self._reliable, bool), tuple(self._pairs))

    def _fit_beside(self, overlays: Overlays) -> None:
        """Refit the motions of frames whose graphics were not known when they were read.

        While the scene moves slowly, static points lie within the RANSAC tolerance and bias the fit.
        """
        measured = list(self._world)
        for index, pairs in enumerate(self._pairs):
            if index in self._starts:
                continue
            step = normalized(np.linalg.inv(measured[index - 1]) @ measured[index])
            overlay = overlays.mask(index)
            if overlay is not None and len(pairs):
                columns, rows = np.round(pairs[:, 2:]).astype(int).T
                free = ~grow(overlay, self._points.overlay_margin_px)[rows, columns]
                if not free.all() and np.count_nonzero(free) >= MIN_INLIERS:
                    before, now = np.split(pairs[free].astype(np.float64), 2, axis=1)
                    step, self._pairs[index] = self._fit.refit(before, now, step)
            self._world[index] = normalized(self._world[index - 1] @ step)


def _faded(motion: Transforms, size_wh: tuple[int, int]) -> Transforms:
    params = params_of_similarities(similarity_part(motion, size_wh)[None], size_wh)
    return similarities_from_params(params * _HOLD_DECAY, size_wh)[0]
