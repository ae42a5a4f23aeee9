"""Control images for a generator: pose, the figure's depth and normals, edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.window import Window
from pipeline.joints import JOINT
from pipeline.maths.head import faces_away

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
"""Joints with less confidence are left out, as OpenPose omits undetected ones."""
_SURE_CONFIDENCE = 0.5
"""The same for Wan-Animate's pose drawing."""
_TOE_LIMBS = ((13, 18), (10, 19))
"""Of Wan-Animate's 20 points: left ankle to left toes, right ankle to right toes."""
_TOE_COLORS = ((200, 200, 0), (100, 100, 0))
_CANNY = (100, 200)
"""The thresholds that the canny ControlNet was trained with, on pictures of 512 px."""
_DEPTH_RANGE_BH = 0.8
"""Depth range from white to black about the middle of the body, body heights: a leg extended towards the camera
fits."""
_HIPS_SHADE = 0.6
"""Gray value of the hips' depth: the whole figure stands out against the black background."""
_FACE = ("nose", "left_eye", "right_eye")


def draw_pose(joints: NDArray[np.float32], size_wh: tuple[int, int]) -> Picture:
    """Return (h, w, 3) RGB: the OpenPose-18 picture of joints (21, 3), x, y px and confidence.

    Colors, order and widths are those of OpenPose's COCO drawing, which the pose ControlNet was trained on: limbs as
    ellipses at 60 % of their color, then dots. The neck is the middle of the shoulders. A limb with a missing end is
    left out.
    """
    return _draw_limbs(pose_points(joints), _LIMBS, _COLORS, _HALF_WIDTH_PX, size_wh)


def draw_wan_pose(joints: NDArray[np.float32], size_wh: tuple[int, int]) -> Picture:
    """Return (h, w, 3) RGB: the pose as Wan-Animate expects it.

    OpenPose's drawing with an additional limb from each ankle to its toes, and thinner: the half width is 1/200 of the
    picture's shorter side, less one px. Hands of 21 points each are left out: they are not detected here.
    """
    toes = [joints[JOINT[name]] for name in ("left_toe", "right_toe")]
    seen = [toe[:2] if toe[2] >= _SURE_CONFIDENCE else np.full(2, np.nan) for toe in toes]
    points = np.concatenate([pose_points(joints, _SURE_CONFIDENCE), np.array(seen, np.float64)])
    half_width = max(min(size_wh) // 200 - 1, 1)
    return _draw_limbs(points, (*_LIMBS, *_TOE_LIMBS), (*_COLORS, *_TOE_COLORS), half_width, size_wh)


def draw_canny(picture: Picture) -> Picture:
    """Return (h, w, 3): white edges on black (Canny, 1986)."""
    edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), *_CANNY)
    return cv2.cvtColor(edges, cv2.COLOR_GRAY2RGB)


def draw_depth_control(depth: NDArray[np.float32], body_height_px: float) -> Picture:
    """Return (h, w, 3): the figure's depth, near white, black where it is not.

    ``depth`` (h, w) is orthographic z in px, 0 at the hips, smaller nearer. The range is a fraction of body height, so
    that it is the same in every frame.
    """
    shade = _HIPS_SHADE - depth / (_DEPTH_RANGE_BH * body_height_px)
    gray = np.rint(np.clip(np.nan_to_num(shade, nan=0.0), 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=-1)


def draw_normal_control(normals: NDArray[np.float32], silhouette: Mask) -> Picture:
    """Return (h, w, 3): normals as the ``normalbae`` ControlNet expects them, in ScanNet's colors.

    Red is left, green is up, blue is towards the camera; outside the figure, a surface that faces the camera.
    ``normals`` (h, w, 3) are x right, y down, z away from the camera.
    """
    turned = np.where(silhouette[..., None], -normals, np.array([0.0, 0.0, 1.0], np.float32))
    return np.rint((np.clip(turned, -1, 1) + 1) * 127.5).astype(np.uint8)


def with_hidden_face(joints: NDArray[np.float32], skeleton: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the joints (21, 3) without nose and eyes where the head faces away from the camera.

    Landmark models report them anyway, and a pose ControlNet would then paint a face on the back of the head.
    """
    if not faces_away(joints, skeleton):
        return joints
    hidden = joints.copy()
    hidden[[JOINT[name] for name in _FACE], 2] = 0.0
    return hidden


class ControlPictures:
    """Draws the control images that a generator needs."""

    def __init__(self, names: Sequence[str]) -> None:
        """``names`` are of ``pose``, ``wan_pose``, ``depth``, ``normal``, ``canny``."""
        self._names = tuple(names)

    def draw(self, window: Window) -> Mapping[str, NDArray[np.uint8]]:
        """Return name -> (N, h, w, 3) for the frames of a window; depth and normals are the posed figure's."""
        return {name: np.stack([_drawn(name, window, i) for i in range(window.num_frames)]) for name in self._names}


def _drawn(name: str, window: Window, i: int) -> Picture:
    if name == "pose":
        return draw_pose(with_hidden_face(window.joints[i], window.skeletons[i]), window.size_wh)
    if name == "wan_pose":
        return draw_wan_pose(with_hidden_face(window.joints[i], window.skeletons[i]), window.size_wh)
    if name == "canny":
        assert window.pictures is not None
        return draw_canny(window.pictures[i])
    assert window.figure is not None
    if name == "normal":
        return draw_normal_control(window.figure.normals[i], window.figure.silhouette[i])
    return draw_depth_control(window.figure.depth[i], float(window.body_height_px[i]))


def _draw_limbs(
    points: NDArray[np.float64],
    limbs: Sequence[tuple[int, int]],
    colors: Sequence[tuple[int, int, int]],
    half_width_px: int,
    size_wh: tuple[int, int],
) -> Picture:
    """Draw limbs as ellipses at a fraction of their color, then a dot at each point; those with a NaN are left out."""
    canvas = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for (a, b), color in zip(limbs, colors, strict=False):
        if not (np.isfinite(points[a]).all() and np.isfinite(points[b]).all()):
            continue
        (ax, ay) = points[a]
        (bx, by) = points[b]
        middle = (int((ax + bx) / 2), int((ay + by) / 2))
        axes = (int(np.hypot(ax - bx, ay - by) / 2), half_width_px)
        angle = int(np.degrees(np.arctan2(ay - by, ax - bx)))
        outline = cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1)
        cv2.fillConvexPoly(canvas, outline, [int(value * _LIMB_SHADE) for value in color])
    for point, color in zip(points, colors, strict=True):
        if np.isfinite(point).all():
            cv2.circle(canvas, (int(point[0]), int(point[1])), half_width_px, color, -1)
    return canvas


def pose_points(joints: NDArray[np.float32], min_confidence: float = _MIN_CONFIDENCE) -> NDArray[np.float64]:
    """Return the points (18, 2) px of the pose picture, NaN where left out."""
    seen = np.where((joints[:, 2] >= min_confidence)[:, None], joints[:, :2], np.nan).astype(np.float64)
    neck = (seen[JOINT["left_shoulder"]] + seen[JOINT["right_shoulder"]]) / 2
    return np.stack([neck if name == "neck" else seen[JOINT[name]] for name in _POSE_POINTS])
