"""Hair that hangs over the ears: a curtain around the sides and the back of the head, fitted to a front view.

Its width is the hair's outline, its depth the skull's plus the same thickness; it hangs as low behind as at the sides.
It moves with the head, and below the chin partly with the chest, on which it lies.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.deformation import PARTS, part_shares
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Group, Pose
from pipeline.models.mannequin.hair_region import HairRegion

_AROUND, _DOWN = 41, 26
_FRONT = np.deg2rad(62)
"""Angle from straight ahead at which the curtain starts: before it, hair lies on the face."""
_INNER = (0.6, 0.93)
"""Where hair beside a face begins, over its outline's distance from the middle: covers ears, and not the face."""
_ABOVE_EYES = 0.9
"""Height above the eyes at which it starts, under the cap of short hair, in lengths from eyes to chin."""
_TUCKED = 0.82
"""Fraction of its radius at the very top, so that it emerges from under the cap."""
_EMERGED = 0.3
"""Fraction of its length at which it has its whole radius."""
_FRONT_DEPTH = 0.55
"""Depth before the ears over that behind them."""
_FLAT_SIDES = 0.6
"""Exponent below 1 that makes the section squarer than an ellipse."""
_TAPER = 0.9
"""Fraction of the depth that is left at the hem of hair that ends at the neck."""
_THICKNESS = (0.004, 0.03)
"""Bounds of the hair's thickness behind the head, standing heights."""
_BESIDE_EYES = 0.6
"""Rows above and below the eyes in which hair is as wide as the head makes it, in lengths from eyes to chin."""
_WIDEST, _FALLING = 1.35, 1.1
"""Largest half width there, in that unit, and by how much wider hair may be where it falls."""
_TILTED = 0.1
"""Radians from which a head is tilted."""
_ON_CHEST = 0.7
"""Share of the chest in what hangs a head's length below the chin."""


def with_long_hair(
    figure: Figure,
    pose: Pose,
    places: NDArray[np.float32],
    y_scale: float,
    y_shift: float,
    hair: HairRegion,
    height_px: float,
    group: Group = Group.LONG_HAIR,
    tucked: float = _TUCKED,
) -> Figure:
    """Return the figure with the curtain as a further surface, mapped to the rest pose by the inverse of the pose.

    ``places`` (V, 3) are the posed vertices whose y were then scaled and shifted. ``tucked`` is the fraction of its
    radius at the very top.
    """
    # Of a tilted head the curtain is as long and wide along its own axis.
    tilt = float(np.arctan2(*pose.linear[BONE["head"]][[1, 0], 0]))
    if abs(tilt) < _TILTED:
        tilt = 0.0
    else:
        places, hair = _turned(places, hair.middle, -tilt).astype(np.float32), _untilted(hair, tilt)
    points = _turned(_curtain(figure, pose, places, hair, height_px, tucked, tilt), hair.middle, tilt)
    index, weight = _weights(points[:, 1], hair)
    points[:, 1] = (points[:, 1] - y_shift) / y_scale
    linear = np.einsum("vk,vkij->vij", weight, pose.linear[index])
    offset = np.einsum("vk,vki->vi", weight, pose.offset[index])
    rest = np.linalg.solve(linear, (points - offset)[:, :, None])[:, :, 0]
    triangles = len(figure.vertices) + _grid_triangles()
    return replace(
        figure,
        vertices=np.concatenate([figure.vertices, rest]).astype(np.float32),
        triangles=np.concatenate([figure.triangles, triangles]).astype(np.int32),
        groups=np.concatenate([figure.groups, np.full(len(triangles), group, np.uint8)]),
        bone_index=np.concatenate([figure.bone_index, index]).astype(np.uint8),
        bone_weight=np.concatenate([figure.bone_weight, weight]).astype(np.float32),
        tint=np.concatenate([figure.tint, np.ones((len(rest), 3), np.float32)]),
        occlusion=np.concatenate([figure.occlusion, np.full(len(rest), 0.95, np.float32)]),
    )


def _curtain(
    figure: Figure,
    pose: Pose,
    places: NDArray[np.float32],
    hair: HairRegion,
    height_px: float,
    tucked: float,
    tilt: float,
) -> Float64Array:
    """(n, 3) its points, ring by ring from the top, each from the picture's left around the back to its right."""
    ears = np.array([pose.apply("head", figure.landmarks[LANDMARK[f"{side}_ear"]]) for side in ("left", "right")])
    ears = _turned(ears, hair.middle, -tilt)
    middle_x, middle_z = float(ears[:, 0].mean()), float(ears[:, 2].mean())
    shares = part_shares(figure)
    skull = places[shares[:, PARTS.index("head")] > 0.9].astype(np.float64) - [middle_x, 0, middle_z]
    back = places[shares[:, PARTS.index("torso")] > 0.5].astype(np.float64) - [middle_x, 0, middle_z]
    top = hair.middle[1] - _ABOVE_EYES * hair.unit_px
    rows = np.linspace(top, max(hair.hems), _DOWN)
    widths = _half_widths(hair, rows, middle_x)
    beside = np.abs(skull[:, 1] - hair.middle[1]) < 0.5 * hair.unit_px
    least, most = (bound * height_px for bound in _THICKNESS)
    thick = float(np.clip(widths.mean(1).max() - np.quantile(np.abs(skull[beside, 0]), 0.98), least, most))
    back = back[np.abs(back[:, 0]) < widths.max()]
    behind = _depth_behind(np.concatenate([skull, back]), rows) + thick
    front = _front(hair, middle_x)
    angle = np.linspace(-(np.pi - front), np.pi - front, _AROUND)
    # Measured from straight behind, growing towards the picture's right.
    side = 0.5 + 0.5 * np.sin(angle)
    hem = hair.hems[0] * (1 - side) + hair.hems[1] * side
    down = np.linspace(0, 1, _DOWN)[:, None]
    y = top + down * (hem - top)
    at = np.clip((y - rows[0]) / (rows[-1] - rows[0]), 0, 1) * (_DOWN - 1)
    half = np.where(
        np.sin(angle) < 0,
        np.interp(at, np.arange(_DOWN), widths[:, 0]),
        np.interp(at, np.arange(_DOWN), widths[:, 1]),
    )
    depth = np.interp(at, np.arange(_DOWN), behind) * np.where(np.cos(angle) > 0, 1.0, _FRONT_DEPTH)
    lies_on_back = bool((back[:, 1] < rows[-1]).any())
    depth *= 1 - (0.0 if lies_on_back else 1 - _TAPER) * down
    emerging = tucked + (1 - tucked) * np.clip(down / _EMERGED, 0, 1)
    # Flatter at the sides than an ellipse: hair lies over the ears.
    x = middle_x + emerging * half * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** _FLAT_SIDES
    z = middle_z + emerging * depth * np.cos(angle)
    return np.stack([x, y, z], 2).reshape(-1, 3)


def _turned(points: NDArray[np.floating], middle: Float64Array, angle: float) -> Float64Array:
    """Return (n, 3) points turned in the picture about ``middle`` by radians, from x towards y."""
    out = np.asarray(points, np.float64).copy()
    cos, sin = np.cos(angle), np.sin(angle)
    out[:, :2] = (out[:, :2] - middle) @ np.array([[cos, sin], [-sin, cos]]) + middle
    return out


def _untilted(hair: HairRegion, tilt: float) -> HairRegion:
    """Return the hair of a head that is tilted by radians, as if it were upright."""
    turn = cv2.getRotationMatrix2D((float(hair.middle[0]), float(hair.middle[1])), float(np.degrees(tilt)), 1.0)
    size = hair.mask.shape[::-1]
    turned = cv2.warpAffine(hair.mask.astype(np.uint8), turn, size, flags=cv2.INTER_NEAREST)
    return replace(hair, mask=turned > 0)


def _front(hair: HairRegion, middle_x: float) -> float:
    """Return the angle from straight ahead at which the curtain starts: where the picture's hair does beside the face,
    so that no ears show between the two."""
    rows = np.arange(max(round(hair.middle[1]), 0), min(round(min(hair.hems)), len(hair.mask)))
    ratios = []
    for row in rows:
        for side in (-1, 1):
            away = side * (np.flatnonzero(hair.mask[row]) - middle_x)
            away = np.sort(away[away > 0])
            if len(away):
                gaps = np.flatnonzero(np.diff(away) > 1.5)
                inner = away[gaps[-1] + 1] if len(gaps) else away[0]
                ratios.append(inner / away[-1])
    ratio = float(np.median(ratios)) if ratios else 0.0
    if ratio < _INNER[0] / 2:
        # Hair all over the face, or an outline alone: nothing is known.
        return _FRONT
    return float(np.arcsin(np.clip(ratio, *_INNER) ** (1 / _FLAT_SIDES)))


def _depth_behind(body: Float64Array, rows: Float64Array) -> Float64Array:
    """(n,) how far head and back (m, 3) reach behind the ears at each row or above, px: hair falls straight down."""
    out = np.zeros(len(rows))
    step = (rows[-1] - rows[0]) / len(rows)
    for n, row in enumerate(rows):
        near = np.abs(body[:, 1] - row) < step
        out[n] = max(body[near, 2].max() if near.any() else 0.0, out[n - 1] if n else 0.0)
    return gaussian_filter1d(out, 1.5, mode="nearest")


def _half_widths(hair: HairRegion, rows: Float64Array, middle_x: float) -> Float64Array:
    """(n, 2) how far hair reaches to the picture's left and right of the middle in each row, px."""
    out = np.full((len(rows), 2), np.nan)
    for n, row in enumerate(np.clip(np.rint(rows).astype(int), 0, len(hair.mask) - 1)):
        columns = np.flatnonzero(hair.mask[row])
        if not len(columns):
            continue
        for side, reach in enumerate((middle_x - columns[0], columns[-1] - middle_x)):
            if row <= hair.hems[side] and reach > 0:
                out[n, side] = reach + 0.5
    for side in range(2):
        known = np.flatnonzero(np.isfinite(out[:, side]))
        out[:, side] = np.interp(np.arange(len(rows)), known, out[known, side]) if len(known) else hair.unit_px
    # What lies on the shoulders, or belongs to somebody behind, does not stand off the head.
    beside = np.abs(rows - hair.middle[1]) < _BESIDE_EYES * hair.unit_px
    widest = np.clip(np.median(out[beside], axis=0) if beside.any() else out.max(0), None, _WIDEST * hair.unit_px)
    out = np.minimum(out, _FALLING * widest)
    return gaussian_filter1d(out, 1.0, axis=0, mode="nearest")


def _weights(level: Float64Array, hair: HairRegion) -> tuple[NDArray[np.int64], Float64Array]:
    """(n, 4) bones and weights at heights ``level`` (n,): the head, and below the chin the chest."""
    below = np.clip((level - hair.middle[1] - hair.unit_px) / (2 * hair.unit_px), 0, 1)
    on_chest = _ON_CHEST * below * below * (3 - 2 * below)
    index = np.tile([BONE["head"], BONE["chest"], BONE["head"], BONE["head"]], (len(level), 1))
    zeros = np.zeros(len(level))
    return index, np.stack([1 - on_chest, on_chest, zeros, zeros], 1)


def _grid_triangles() -> NDArray[np.int64]:
    """(F, 3) of the grid, normals outwards."""
    ring, place = np.mgrid[: _DOWN - 1, : _AROUND - 1]
    a = (ring * _AROUND + place).ravel()
    b, c, d = a + 1, a + _AROUND, a + _AROUND + 1
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
