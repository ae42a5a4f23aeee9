"""How the pixels of the lower legs move with the feet that the foot lock shifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import JOINT
from pipeline.maths.boxes import Box
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

_REACH_BH = 0.085
"""Half width around the lower leg that moves rigidly with it: a calf, trousers, the width of a shoe."""
_FADE_BH = 0.06
_PARTING_BH = 0.02
"""Sharpness with which a pixel between two legs is assigned to the nearer one."""
_SHORTEST_SHANK_BH = 0.05
_SMALLEST_OFFSET_PX = 1e-3


def lower_leg_displacement(
    placed_joints: NDArray[np.floating],
    foot_offsets_px: NDArray[np.float64],
    body_height_px: float,
    box_xyxy: Box,
) -> NDArray[np.float32]:
    """Return the displacement field d (h, w, 2) float32 that moves the lower legs by the feet's offsets, over a source
    box.

    The layer is sampled at ``crop_from_source(p - d(p))``. ``placed_joints`` (21, 3) are the joints as generated,
    source px; ``foot_offsets_px`` (2, 2) left, right, source px. Full offset at the ankle and below (heel, toes),
    falling smoothly to exactly 0 at the knee, within a strip around the leg; between two legs each pixel follows the
    nearer one, whether or not that has an offset. A leg with an unknown knee or ankle does not move.
    """
    x0, y0, x1, y1 = box_xyxy
    field = np.zeros((y1 - y0, x1 - x0, 2), np.float32)
    if np.abs(foot_offsets_px).max() < _SMALLEST_OFFSET_PX or not np.isfinite(body_height_px):
        return field
    found = (_leg(placed_joints, side, offset) for side, offset in zip(("left", "right"), foot_offsets_px, strict=True))
    legs = [leg for leg in found if leg is not None]
    moving = [leg.points for leg in legs if np.abs(leg.offset).max() >= _SMALLEST_OFFSET_PX]
    if not moving:
        return field
    reach = (_REACH_BH + _FADE_BH) * body_height_px
    low = np.min([points.min(axis=0) for points in moving], axis=0) - reach
    high = np.max([points.max(axis=0) for points in moving], axis=0) + reach
    ax, ay = np.clip(np.floor(low).astype(int), [x0, y0], [x1, y1])
    bx, by = np.clip(np.ceil(high).astype(int) + 1, [x0, y0], [x1, y1])
    bones = np.zeros((len(legs), 3, 4))
    for number, leg in enumerate(legs):
        # A foot without heel or toe repeats the shank.
        bones[number] = leg.bones[[0, *range(1, len(leg.bones)), *[0] * (3 - len(leg.bones))]]
    _displace(
        field[ay - y0 : by - y0, ax - x0 : bx - x0],
        (float(ax), float(ay)),
        bones,
        np.stack([leg.offset for leg in legs]),
        body_height_px,
    )
    return field


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Leg(Shaped):
    """The target position of a lower leg: the knee as generated, ankle and foot moved; source px."""

    SHAPES: ClassVar[Shapes] = {"points": ("N", 2), "offset": (2,)}

    points: NDArray[np.float64]
    """(N, 2) knee, ankle, and what is known of heel and toe."""
    offset: NDArray[np.float64]

    @property
    def bones(self) -> NDArray[np.float64]:
        """(N - 1, 4) from knee to ankle, and from the ankle to heel and toe: x, y of both ends."""
        ankle = self.points[1]
        return np.array([[*self.points[0], *ankle], *([*ankle, *foot] for foot in self.points[2:])])


def _leg(placed_joints: NDArray[np.floating], side: str, offset: NDArray[np.float64]) -> _Leg | None:
    """Return one leg; None where its knee or ankle is unknown."""
    names = [f"{side}_{name}" for name in ("knee", "ankle", "heel", "toe")]
    joints = placed_joints[[JOINT[name] for name in names], :2].astype(np.float64)
    points = joints + np.array([[0.0], [1.0], [1.0], [1.0]]) * offset
    known = np.asarray(np.isfinite(points).all(axis=1), np.bool_)
    return _Leg(points[known], offset) if known[:2].all() else None


@njit(inline="always")
def _smooth(u: float) -> float:
    """0 below 0, 1 above 1, and a smooth cubic in between."""
    u = min(max(u, 0.0), 1.0)
    return u * u * (3.0 - 2.0 * u)


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_distances(line: NDArray[np.float64], left: float, y: float, bones: NDArray[np.float64]) -> None:
    """Fill a row (w,) that starts at ``left``, ``y`` with the squared distances from the nearest of ``bones`` (B, 4).

    Without branches it is vectorized.
    """
    line[:] = np.inf
    for k in range(len(bones)):
        ax, ay, bx, by = bones[k]
        dx, dy = bx - ax, by - ay
        length2 = max(dx * dx + dy * dy, 1e-12)
        for c in range(len(line)):
            x = left + c
            along = ((x - ax) * dx + (y - ay) * dy) / length2
            along = along if along > 0.0 else 0.0
            along = along if along < 1.0 else 1.0
            ex, ey = x - ax - along * dx, y - ay - along * dy
            square = ex * ex + ey * ey
            line[c] = square if square < line[c] else line[c]


@njit(cache=True, nogil=True, error_model="numpy")
def _displace(
    field: NDArray[np.float32],
    corner_xy: tuple[float, float],
    bones: NDArray[np.float64],
    offsets: NDArray[np.float64],
    body: float,
) -> None:
    """Add to the field (h, w, 2), whose first pixel is ``corner_xy``, the offsets (L, 2) of legs with ``bones``
    (L, B, 4)."""
    height, width, _ = field.shape
    parting = (_PARTING_BH * body) ** 2
    farthest = ((_REACH_BH + _FADE_BH) * body) ** 2
    lines = np.empty((len(bones), width))
    shares = np.empty(len(bones))
    for r in range(height):
        y = corner_xy[1] + r
        for leg in range(len(bones)):
            _squared_distances(lines[leg], corner_xy[0], y, bones[leg])
        for c in range(width):
            squared = lines[:, c]
            if squared.min() >= farthest:
                continue
            x = corner_xy[0] + c
            total = 0.0
            for leg in range(len(bones)):
                shares[leg] = 1.0 / (squared[leg] + parting) ** 2
                total += shares[leg]
            for leg in range(len(bones)):
                if squared[leg] >= farthest:
                    continue
                ax, ay, bx, by = bones[leg, 0]
                dx, dy = bx - ax, by - ay
                shank = max(dx * dx + dy * dy, (_SHORTEST_SHANK_BH * body) ** 2)
                weight = _smooth(((x - ax) * dx + (y - ay) * dy) / shank)
                weight *= _smooth(1.0 - (np.sqrt(squared[leg]) / body - _REACH_BH) / _FADE_BH)
                weight *= shares[leg] / total
                for axis in range(2):
                    field[r, c, axis] += np.float32(weight * offsets[leg, axis])
