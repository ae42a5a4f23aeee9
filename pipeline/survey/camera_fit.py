"""Fit the motion between two frames to points on the background.

A similarity is found by RANSAC; it, or a homography where the points support one, is refitted to all of them with
Cauchy weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.maths.geometry import Model, apply_transform, corners_of, refit_irls
from pipeline.survey.camera_points import Points32

MIN_INLIERS = 10
_MIN_INLIER_SHARE = 0.3
_INLIER_PX_OF_DIAGONAL = 1.5 / 734
"""1.5 px at 640 x 360: parallax stays within it, people do not."""
_HOMOGRAPHY_INLIERS = 40
_HOMOGRAPHY_HULL = 0.25
"""Least fraction of the picture that the inliers' hull must cover: eight parameters extrapolate badly."""


@dataclass(frozen=True, slots=True)
class MotionFit:
    """Fits motions between pictures of one size."""

    size_wh: tuple[int, int]
    model: Literal["auto", "homography", "similarity"]
    """As in ``StabilizeSettings``."""

    def fit(self, found: Points32) -> tuple[Transforms, Points32] | None:
        """Return the transform from this frame's source px to the earlier frame's, and the inlier pairs (N, 4); None
        where too few of the pairs ``found`` (M, 4) agree."""
        before = found[:, :2].astype(np.float64)
        now = found[:, 2:].astype(np.float64)
        if len(found) >= MIN_INLIERS:
            # RANSAC with a fixed seed inside OpenCV: the same points give the same start.
            start, inliers = cv2.estimateAffinePartial2D(
                now, before, ransacReprojThreshold=self._limit_px, confidence=0.995
            )
            if start is not None and inliers.sum() >= max(MIN_INLIERS, _MIN_INLIER_SHARE * len(found)):
                return self.refit(before, now, np.vstack([start, [0, 0, 1]]))
        return None

    def refit(
        self, before: NDArray[np.float64], now: NDArray[np.float64], start: Transforms
    ) -> tuple[Transforms, Points32]:
        """Return ``fit``'s result for points (N, 2) in both frames, from a transform close to it."""
        limit = self._limit_px
        result, residual = refit_irls(before, now, "similarity", start)
        model: Model = "similarity"
        near = residual < 3 * limit
        if self.model != "similarity" and self._carries_homography(now[near]):
            model = "homography"
        if model == "homography":
            bent, bent_residual = refit_irls(before, now, "homography", result)
            corners = corners_of(self.size_wh)
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
        w, h = self.size_wh
        hull = cv2.contourArea(cv2.convexHull(inliers.astype(np.float32)))
        return bool(hull >= _HOMOGRAPHY_HULL * w * h)

    @property
    def _diagonal(self) -> float:
        return float(np.hypot(*self.size_wh))

    @property
    def _limit_px(self) -> float:
        """The distance at which a point no longer agrees."""
        return max(1.0, _INLIER_PX_OF_DIAGONAL * self._diagonal)
