"""Measure the camera's motion, and smooth it.

The motion is measured between neighboring frames on background points: good features at a reduced size, people
masked out, followed by pyramidal Lucas-Kanade (forward only: a backward pass costs as much and changes nothing) and
refined on the full-size picture. A similarity is found by RANSAC; it, or a homography where the points support one, is
refitted to all tracks with Cauchy weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import CameraMotion, Overlays
from pipeline.maths.geometry import (
    Model,
    apply_transform,
    corners_of,
    normalized,
    params_of_similarities,
    refit_irls,
    similarities_from_params,
    similarity_part,
)
from pipeline.maths.masks import grow
from pipeline.settings import StabilizeSettings
from pipeline.survey.sudden_light import agreement, light_change, without_light

Luma = NDArray[np.uint8]
Points32 = NDArray[np.float32]

_MIN_INLIERS = 10
_MIN_INLIER_SHARE = 0.3
_INLIER_PX_OF_DIAGONAL = 1.5 / 734
"""1.5 px at 640 x 360: parallax stays within it, people do not."""
_HOMOGRAPHY_INLIERS = 40
_HOMOGRAPHY_HULL = 0.25
"""Least fraction of the picture that the inliers' hull must cover: eight parameters extrapolate badly."""
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
_GROUND_FEATURES = 40
_WINDOW_PX = 15
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)
_START_PX = 11
_START_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.1)
"""On the small picture, from whose result the full one starts: a tenth of a pixel is near enough."""
_MASK_MARGIN = 0.02
"""Fraction of the picture's diagonal: a point's window must not contain the person."""
_OVERLAY_MARGIN_PX = 4
"""In px of the small picture: half a point's window would leave nothing between the lines of a caption."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame from which points are followed."""

    index: int
    luma: Luma
    small: Luma
    points: Points32
    """(N, 2) full-size px."""


class CameraEstimator:
    """Measures a clip's camera motion, frame after frame; holds two frames of luma."""

    def __init__(self, info: VideoInfo, settings: StabilizeSettings) -> None:
        self._size_wh = info.size_wh
        self._diagonal = float(np.hypot(*info.size_wh))
        # Small pictures are tracked at full size; below 64 px a side there is nothing left to track.
        short = min(info.size_wh)
        self._scale = min(1.0, max(settings.scale, 64 / short)) if short > 64 else 1.0
        self._settings = settings
        self._before: _Seen | None = None
        self._measured: _Seen | None = None
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
        small = luma if self._scale == 1.0 else cv2.resize(luma, self._small_wh, interpolation=cv2.INTER_AREA)
        blocked = self._blocked(people_mask)
        if overlays is not None:
            near = cv2.resize(overlays.view(np.uint8), self._small_wh, interpolation=cv2.INTER_NEAREST)
            blocked[grow(near.astype(np.bool_), _OVERLAY_MARGIN_PX)] = 255
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
        points = self._features(small, luma, blocked, people_mask, np.asarray(feet_px, np.float64))
        self._before = _Seen(len(self._world) - 1, luma, small, points)
        if self._reliable[-1]:
            self._measured = self._before
        return self._world[-1]

    def _step(self, before: _Seen, luma: Luma, small: Luma, blocked: NDArray[np.uint8]) -> Points32:
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
        self, before: _Seen, luma: Luma, small: Luma, blocked: NDArray[np.uint8], usual: Transforms
    ) -> tuple[Transforms, Points32] | None:
        """Return the motion between two frames and its pairs as ``_fit`` does.

        Where it is missing, or far from the ``usual`` one, or where it became lighter or darker, the pictures are
        compared without their light: what explains them counts, and None where the ``usual`` motion does better.
        """
        found = self._fit(self._follow(before, small, luma, blocked))
        is_lit_otherwise = light_change(before.small, small) > _OTHER_LIGHT
        if found is not None and not is_lit_otherwise and not self._is_sudden(found[0], usual):
            return found
        plain = without_light(before.small), without_light(small)
        shadowless = _Seen(before.index, without_light(before.luma), plain[0], before.points)
        again = self._fit(self._follow(shadowless, plain[1], without_light(luma), blocked))
        ratio = np.diag([*(np.array(self._small_wh) / self._size_wh), 1.0])

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
        limit = max(1.0, _INLIER_PX_OF_DIAGONAL * self._diagonal)
        for index, pairs in enumerate(self._pairs):
            if index in self._starts:
                continue
            step = normalized(np.linalg.inv(measured[index - 1]) @ measured[index])
            overlay = overlays.mask(index)
            if overlay is not None and len(pairs):
                columns, rows = np.round(pairs[:, 2:]).astype(int).T
                free = ~grow(overlay, round(_OVERLAY_MARGIN_PX / self._scale))[rows, columns]
                if not free.all() and np.count_nonzero(free) >= _MIN_INLIERS:
                    before, now = np.split(pairs[free].astype(np.float64), 2, axis=1)
                    step, self._pairs[index] = self._refit(before, now, step, limit)
            self._world[index] = normalized(self._world[index - 1] @ step)

    @property
    def _small_wh(self) -> tuple[int, int]:
        w, h = self._size_wh
        return round(w * self._scale), round(h * self._scale)

    def _full(self, small_points: NDArray[np.floating]) -> Points32:
        """Pixel centers of the small picture in the full one: (p + 0.5) / scale - 0.5, which is 2 p + 0.5 at half
        size."""
        ratio = np.array(self._size_wh, np.float64) / self._small_wh
        return np.asarray((small_points + 0.5) * ratio - 0.5, np.float32)

    def _to_small(self, full_points: NDArray[np.floating]) -> Points32:
        ratio = np.array(self._size_wh, np.float64) / self._small_wh
        return np.asarray((full_points + 0.5) / ratio - 0.5, np.float32)

    def _blocked(self, people_mask: Mask) -> NDArray[np.uint8]:
        """The dilated people mask at the small size: 255 where no point may lie."""
        small = cv2.resize(people_mask.astype(np.uint8) * 255, self._small_wh, interpolation=cv2.INTER_AREA)
        reach = max(1, round(_MASK_MARGIN * self._diagonal * self._scale))
        return grow(small > 0, reach) * np.uint8(255)

    def _features(
        self, small: Luma, luma: Luma, blocked: NDArray[np.uint8], people_mask: Mask, feet_px: NDArray[np.float64]
    ) -> Points32:
        """Return full-size points (N, 2): spread over the background, and more on the ground around the feet."""
        wanted = self._settings.features
        w, h = self._small_wh
        free = cv2.bitwise_not(blocked)
        # A third of the even spacing: corners cluster, and far corners (small motion, true direction) are worth having.
        spacing = max(3.0, 0.35 * float(np.sqrt(w * h / wanted)))
        corners = cv2.goodFeaturesToTrack(small, wanted, 0.005, spacing, mask=free, blockSize=5)
        points = [] if corners is None else [self._full(corners.reshape(-1, 2))]
        points.extend(self._ground_features(luma, free, people_mask, feet_px))
        return np.concatenate(points) if points else np.empty((0, 2), np.float32)

    def _ground_features(
        self, luma: Luma, free: NDArray[np.uint8], people_mask: Mask, feet_px: NDArray[np.float64]
    ) -> Iterator[Points32]:
        feet_px = feet_px[np.isfinite(feet_px).all(-1)]
        rows = np.flatnonzero(people_mask.any(1))
        if not len(feet_px) or not len(rows):
            return
        body = float(rows[-1] - rows[0] + 1)
        w, h = self._size_wh
        # Half a body height to both sides; more below the foot than above, where the ground runs far away.
        x0, y0 = np.maximum(np.floor(feet_px.min(0) - np.array([0.5, 0.12]) * body), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(feet_px.max(0) + np.array([0.5, 0.3]) * body), [w, h]).astype(int)
        if x1 - x0 < 16 or y1 - y0 < 16:
            return
        (sx0, sy0), (sx1, sy1) = np.floor(self._to_small(np.array([[x0, y0], [x1, y1]]))).astype(int).clip(0)
        part = free[sy0 : sy1 + 1, sx0 : sx1 + 1]
        mask = cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        spacing = max(4.0, 0.03 * body)
        corners = cv2.goodFeaturesToTrack(luma[y0:y1, x0:x1], _GROUND_FEATURES, 0.01, spacing, mask=mask, blockSize=5)
        if corners is not None:
            yield np.asarray(corners.reshape(-1, 2) + np.array([x0, y0]), np.float32)

    def _follow(self, seen: _Seen, small: Luma, luma: Luma, blocked: NDArray[np.uint8]) -> Points32:
        """Return the points that could be tracked and lie on the background: (N, 4), in the frame ``seen`` and in the
        current one, full size."""
        before = seen.points
        if not len(before):
            return np.empty((0, 4), np.float32)
        is_refined = self._scale < 1.0
        window, stop = (_START_PX, _START_STOP) if is_refined else (_WINDOW_PX, _STOP)
        now, good, _ = cv2.calcOpticalFlowPyrLK(
            seen.small, small, self._to_small(before), None, winSize=(window, window), maxLevel=3, criteria=stop
        )
        keep = good.ravel() == 1
        if is_refined and keep.any():
            # One more level: the full picture, starting from the small one's result; a third more accurate on walk_a.
            now, good, _ = cv2.calcOpticalFlowPyrLK(
                seen.luma,
                luma,
                before,
                self._full(now),
                winSize=(_WINDOW_PX, _WINDOW_PX),
                maxLevel=0,
                criteria=_STOP,
                flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            )
            keep &= good.ravel() == 1
        w, h = self._size_wh
        keep &= np.isfinite(now).all(1) & (now >= 0).all(1) & (now <= [w - 1, h - 1]).all(1)
        both = np.column_stack([before, now])[keep]
        at = np.round(self._to_small(both[:, 2:])).astype(int)
        at = np.clip(at, 0, np.array(self._small_wh) - 1)
        return both[blocked[at[:, 1], at[:, 0]] == 0]

    def _fit(self, found: Points32) -> tuple[Transforms, Points32] | None:
        """Return the transform from this frame's source px to the earlier frame's and the inlier pairs; None where too
        few points agree."""
        before = found[:, :2].astype(np.float64)
        now = found[:, 2:].astype(np.float64)
        limit = max(1.0, _INLIER_PX_OF_DIAGONAL * self._diagonal)
        if len(found) >= _MIN_INLIERS:
            # RANSAC with a fixed seed inside OpenCV: the same points give the same start.
            start, inliers = cv2.estimateAffinePartial2D(now, before, ransacReprojThreshold=limit, confidence=0.995)
            if start is not None and inliers.sum() >= max(_MIN_INLIERS, _MIN_INLIER_SHARE * len(found)):
                return self._refit(before, now, np.vstack([start, [0, 0, 1]]), limit)
        return None

    def _refit(
        self, before: NDArray[np.float64], now: NDArray[np.float64], start: Transforms, limit: float
    ) -> tuple[Transforms, Points32]:
        result, residual = refit_irls(before, now, "similarity", start)
        model: Model = "similarity"
        near = residual < 3 * limit
        if self._settings.model != "similarity" and self._carries_homography(now[near]):
            model = "homography"
        if model == "homography":
            bent, bent_residual = refit_irls(before, now, "homography", result)
            corners = corners_of(self._size_wh)
            bend = np.abs(apply_transform(bent, corners) - apply_transform(result, corners)).max()
            # Neighboring frames differ little: a strong perspective term is a fit to noise or to something moving.
            if bend < 0.05 * self._diagonal and np.median(bent_residual) <= np.median(residual):
                result = bent
                residual = bent_residual
        keep = residual < 3 * limit
        return result, np.column_stack([before, now])[keep].astype(np.float32)

    def _carries_homography(self, inliers: NDArray[np.float64]) -> bool:
        if len(inliers) < _HOMOGRAPHY_INLIERS:
            return False
        w, h = self._size_wh
        hull = cv2.contourArea(cv2.convexHull(inliers.astype(np.float32)))
        return bool(hull >= _HOMOGRAPHY_HULL * w * h)


def _faded(motion: Transforms, size_wh: tuple[int, int]) -> Transforms:
    params = params_of_similarities(similarity_part(motion, size_wh)[None], size_wh)
    return similarities_from_params(params * _HOLD_DECAY, size_wh)[0]
