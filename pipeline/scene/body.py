"""The subject's body as capsules around the bones: which part a pixel belongs to, and its distance from the body."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import JOINT
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

PART_NAMES = ("head", "torso", "upper arm", "forearm", "hand", "thigh", "shin", "foot")
"""Left and right share a part: clothes look the same on both sides."""
NUM_PARTS = len(PART_NAMES)
HEAD = PART_NAMES.index("head")
TORSO = PART_NAMES.index("torso")
UPPER_ARM = PART_NAMES.index("upper arm")
FOREARM = PART_NAMES.index("forearm")
HAND = PART_NAMES.index("hand")
THIGH = PART_NAMES.index("thigh")
SHIN = PART_NAMES.index("shin")

_PRESSED_BH = 0.06
"""A landmark model that is shown legs alone presses the shoulders to the picture's upper edge, from inside."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Body(Shaped):
    """Capsules of one frame, in the pixels of a work view."""

    SHAPES: ClassVar[Shapes] = {"segments": ("S", 6), "hands": ("H", 2), "hand_sides": ("H",), "in_picture": ("S",)}

    segments: NDArray[np.float32]
    """(S, 6): x0, y0, x1, y1, radius in px, part."""
    hands: NDArray[np.float32]
    """(H, 2) positions of the known hands."""
    hand_sides: NDArray[np.int64]
    """(H,) 0 for the left one, 1 for the right one."""
    height_px: float
    in_picture: NDArray[np.bool_]
    """(S,) whether both ends of a segment lie in the picture: where a limb leaves it, its other end is a guess."""
    are_arms_guessed: bool = False
    """Whether both shoulders lie above the picture, or at its upper edge, so that the arms' place is a guess."""

    def seen_from(self, x0: int, y0: int) -> Body:
        """Return the body in the pixels of a part of the view that starts at a pixel of it."""
        origin = np.array([x0, y0], np.float32)
        segments = self.segments.copy()
        segments[:, :4] -= np.tile(origin, 2)
        return replace(self, segments=segments, hands=self.hands - origin)


_LIMBS = (
    ("left_shoulder", "left_elbow", 0.035, 2),
    ("right_shoulder", "right_elbow", 0.035, 2),
    ("left_elbow", "left_wrist", 0.03, 3),
    ("right_elbow", "right_wrist", 0.03, 3),
    ("left_wrist", "left_hand", 0.035, 4),
    ("right_wrist", "right_hand", 0.035, 4),
    ("left_hip", "left_knee", 0.055, 5),
    ("right_hip", "right_knee", 0.055, 5),
    ("left_knee", "left_ankle", 0.04, 6),
    ("right_knee", "right_ankle", 0.04, 6),
    ("left_heel", "left_toe", 0.032, 7),
    ("right_heel", "right_toe", 0.032, 7),
    ("left_ankle", "left_heel", 0.032, 7),
    ("right_ankle", "right_heel", 0.032, 7),
    ("left_shoulder", "left_hip", 0.05, 1),
    ("right_shoulder", "right_hip", 0.05, 1),
    ("left_shoulder", "right_hip", 0.05, 1),
    ("right_shoulder", "left_hip", 0.05, 1),
    ("left_shoulder", "right_shoulder", 0.045, 1),
    ("left_hip", "right_hip", 0.06, 1),
)  # fmt: skip
"""Ends, half width in body heights, part; widths of a clothed adult."""
_HEAD_RADIUS_BH = 0.075


def body_of(
    skeleton: NDArray[np.float32],
    height_px: float,
    origin_xy: tuple[float, float],
    factor: float,
    size_wh: tuple[int, int] | None = None,
) -> Body:
    """Return the capsules of a skeleton (23, 3) in source px in the pixels of a view that starts at ``origin_xy`` and
    is ``factor`` times smaller. Limbs with a NaN joint are left out. ``size_wh`` is the size of the picture, where it
    matters which limbs leave it."""
    is_inside = _inside(skeleton[:, :2], size_wh)
    in_picture = []
    points = (skeleton[:, :2].astype(np.float64) - origin_xy + 0.5) / factor - 0.5
    scale = height_px / factor
    segments = []
    for first, second, radius_bh, part in _LIMBS:
        ends = points[[JOINT[first], JOINT[second]]]
        if np.isfinite(ends).all():
            segments.append((*ends.ravel(), radius_bh * scale, part))
            in_picture.append(bool(is_inside[[JOINT[first], JOINT[second]]].all()))
    head = _head(points, scale)
    if head is not None:
        segments.append((*head, _HEAD_RADIUS_BH * scale, 0))
        in_picture.append(bool(is_inside[JOINT["nose"]]))
    hands = points[[JOINT["left_hand"], JOINT["right_hand"]]]
    sides = np.flatnonzero(np.isfinite(hands).all(axis=1))
    capsules = np.array(segments, np.float32).reshape(-1, 6)
    shoulders_y = skeleton[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1]
    return Body(
        capsules,
        hands[sides].astype(np.float32),
        sides,
        scale,
        np.array(in_picture, np.bool_),
        are_arms_guessed=bool((shoulders_y < _PRESSED_BH * height_px).all()),
    )


def _inside(joints_xy: NDArray[np.float32], size_wh: tuple[int, int] | None) -> NDArray[np.bool_]:
    """Return which joints (N, 2) are known, and in a picture of a size where one is given."""
    low, high = (-np.inf, np.inf) if size_wh is None else (0.0, np.array(size_wh, np.float64))
    return np.asarray(((joints_xy >= low) & (joints_xy < high)).all(axis=1), np.bool_)


def _head(points: NDArray[np.float64], scale: float) -> tuple[float, float, float, float] | None:
    """Return a segment from the neck to the center of the skull, which lies above the ears."""
    face = points[[JOINT[name] for name in ("nose", "left_ear", "right_ear")]]
    shoulders = points[[JOINT["left_shoulder"], JOINT["right_shoulder"]]]
    if not (np.isfinite(face).all() and np.isfinite(shoulders).all()):
        return None
    middle = face.mean(axis=0)
    neck = shoulders.mean(axis=0)
    up = middle - neck
    length = max(float(np.hypot(*up)), 1e-6)
    top = middle + up / length * 0.025 * scale
    low = neck + up * 0.5
    return float(low[0]), float(low[1]), float(top[0]), float(top[1])


@njit(cache=True, nogil=True)
def part_distances(segments: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return (parts, h, w): signed distance in px from each part's surface, negative inside; large where the part is
    missing."""
    result = np.full((NUM_PARTS, height, width), np.float32(1e6))
    columns = np.arange(width).astype(np.float32)
    zero, one = np.float32(0), np.float32(1)
    for s in range(segments.shape[0]):
        x0, y0, x1, y1, radius, part = segments[s]
        k = int(part)
        dx, dy = x1 - x0, y1 - y0
        # All in float32: twice as many pixels fit into a vector.
        per_square = one / max(dx * dx + dy * dy, np.float32(1e-6))
        for r in range(height):
            line = result[k, r]
            down = np.float32(r) - y0
            for c in range(width):
                across = columns[c] - x0
                along = (across * dx + down * dy) * per_square
                # Without a branch the loop can be vectorized.
                along = along if along > zero else zero
                along = along if along < one else one
                ex, ey = across - along * dx, down - along * dy
                distance = np.sqrt(ex * ex + ey * ey) - radius
                line[c] = distance if distance < line[c] else line[c]
    return result
