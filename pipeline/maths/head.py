"""The head of a skeleton: whether it faces the camera, and the square around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import JOINT

_FACE = tuple(JOINT[name] for name in ("nose", "left_eye", "right_eye"))
_EARS = tuple(JOINT[name] for name in ("left_ear", "right_ear"))
_SEEN = 0.3
"""Confidence above which a joint counts as visible; OpenPose omits joints below it."""
_HEAD_BH = 0.14
"""Chin to crown, body heights, with some hair."""
_UP_BH = 0.01
"""From the middle of nose, eyes and ears to the middle of the head."""


def faces_away(joints: NDArray[np.float32], skeleton: NDArray[np.float32]) -> bool:
    """Return whether the head of joints (21, 3) and skeleton (23, 3) faces away from the camera.

    The skeleton provides depth: the nose is nearer than the ears on a head that faces the camera. Where it has none
    (all z equal), the right shoulder is right of the left one on a body that faces away.
    """
    ears = skeleton[list(_EARS), 2]
    nose = skeleton[_FACE[0], 2]
    if np.isfinite(nose) and np.isfinite(ears).any() and np.nanmax(np.abs(ears - nose)) > 0:
        return bool(nose > np.nanmean(ears))
    return bool(joints[JOINT["right_shoulder"], 0] > joints[JOINT["left_shoulder"], 0])


def face_is_seen(joints: NDArray[np.float32], skeleton: NDArray[np.float32]) -> bool:
    """Return whether nose and an eye are visible on a head that does not face away."""
    nose, *eyes = (joints[row] for row in _FACE)
    seen = [bool(np.isfinite(point[:2]).all() and point[2] >= _SEEN) for point in (nose, *eyes)]
    return seen[0] and any(seen[1:]) and not faces_away(joints, skeleton)


def head_square(joints: NDArray[np.float32], body_height_px: float, heads: float) -> NDArray[np.float64]:
    """Return (3,): center x, y and side of a square of ``heads`` head heights around the head, px; NaN where unknown.

    The side is derived from body height, which is stable, and not from the few px between eyes and ears.
    """
    points = joints[[*_FACE, *_EARS]]
    known = np.isfinite(points[:, :2]).all(axis=1) & (points[:, 2] >= _SEEN)
    if not known.any() or not np.isfinite(body_height_px):
        return np.full(3, np.nan)
    x, y = points[known, :2].mean(axis=0)
    return np.array([x, y - _UP_BH * body_height_px, heads * _HEAD_BH * body_height_px])
