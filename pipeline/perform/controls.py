"""Pictures that guide a generator: pose, depth, edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Picture
from pipeline.joints import JOINT
from pipeline.models.interfaces import DepthBackend

_POSE_POINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
"""OpenPose's COCO-18."""
_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
_COLORS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
_LIMB_SHADE = 0.6
_HALF_WIDTH_PX = 4
_MIN_CONFIDENCE = 0.3
"""Below it a joint is left out, as OpenPose leaves out what it does not see."""
_CANNY = (100, 200)
"""The thresholds that the canny ControlNet was trained with, on pictures of 512 px."""
_DEPTH_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True, slots=True)
class DepthLimits:
    """What is black and what is white in every depth picture of a clip: with limits of each frame's own it would
    flicker."""

    far: float
    near: float


def draw_pose(joints: NDArray[np.float32], size_wh: tuple[int, int]) -> Picture:
    """Return (h, w, 3) RGB: the OpenPose-18 picture of joints (21, 3), x, y px and confidence.

    Colours, order and widths are those of OpenPose's COCO drawing, which the pose ControlNet was trained on: limbs as
    ellipses at 60 % of their colour, then dots. The neck is the middle of the shoulders. A limb without both of its
    ends is left out.
    """
    points = _pose_points(joints)
    canvas = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for (a, b), color in zip(_LIMBS, _COLORS, strict=False):
        if not (np.isfinite(points[a]).all() and np.isfinite(points[b]).all()):
            continue
        (ax, ay), (bx, by) = points[a], points[b]
        middle = (int((ax + bx) / 2), int((ay + by) / 2))
        axes = (int(np.hypot(ax - bx, ay - by) / 2), _HALF_WIDTH_PX)
        angle = int(np.degrees(np.arctan2(ay - by, ax - bx)))
        outline = cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1)
        cv2.fillConvexPoly(canvas, outline, [int(value * _LIMB_SHADE) for value in color])
    for point, color in zip(points, _COLORS, strict=True):
        if np.isfinite(point).all():
            cv2.circle(canvas, (int(point[0]), int(point[1])), _HALF_WIDTH_PX, color, -1)
    return canvas


def draw_canny(picture: Picture) -> Picture:
    """Return (h, w, 3): white edges on black (Canny, 1986)."""
    edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *_CANNY)
    return np.asarray(cv2.cvtColor(edges, cv2.COLOR_GRAY2RGB), np.uint8)


def depth_limits(inverse_depth: NDArray[np.float32]) -> DepthLimits:
    """Return the limits for a clip, of (N, h, w) inverse depth of some of its frames."""
    far, near = np.percentile(inverse_depth, _DEPTH_PERCENTILES)
    return DepthLimits(float(far), float(max(near, far + 1e-6)))


def draw_depth_control(inverse_depth: NDArray[np.float32], limits: DepthLimits) -> NDArray[np.uint8]:
    """Return (N, h, w, 3): near is white. ``inverse_depth`` (N, h, w) is larger where nearer."""
    shade = (inverse_depth - limits.far) / (limits.near - limits.far)
    gray = np.rint(np.clip(shade, 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


class ControlPictures:
    """Draws what a generator asks for, for the frames of one clip."""

    def __init__(
        self, names: Sequence[str], depth: DepthBackend | None = None, limits: DepthLimits | None = None
    ) -> None:
        """``depth`` and ``limits`` are needed where ``names`` (of ``pose``, ``depth``, ``canny``) has ``depth``."""
        self._names, self._depth, self._limits = tuple(names), depth, limits

    def draw(
        self, joints: NDArray[np.float32], pictures: NDArray[np.uint8] | None, size_wh: tuple[int, int]
    ) -> Mapping[str, NDArray[np.uint8]]:
        """Return name -> (N, h, w, 3), of joints (N, 21, 3) and the source's pictures (N, h, w, 3)."""
        return {name: self._drawn(name, joints, pictures, size_wh) for name in self._names}

    def _drawn(
        self, name: str, joints: NDArray[np.float32], pictures: NDArray[np.uint8] | None, size_wh: tuple[int, int]
    ) -> NDArray[np.uint8]:
        if name == "pose":
            return np.stack([draw_pose(of_frame, size_wh) for of_frame in joints])
        assert pictures is not None
        if name == "canny":
            return np.stack([draw_canny(picture) for picture in pictures])
        assert self._depth is not None and self._limits is not None
        return draw_depth_control(self._depth.estimate(pictures), self._limits)


def _pose_points(joints: NDArray[np.float32]) -> NDArray[np.float64]:
    """(18, 2) px, NaN where left out."""
    seen = np.where((joints[:, 2] >= _MIN_CONFIDENCE)[:, None], joints[:, :2], np.nan).astype(np.float64)
    neck = (seen[JOINT["left_shoulder"]] + seen[JOINT["right_shoulder"]]) / 2
    return np.stack([neck if name == "neck" else seen[JOINT[name]] for name in _POSE_POINTS])
