"""Cloth that hangs around both legs (skirt, dress or coat): a tube fitted to the person's outline.

It is detected where the mask is closed between separated legs, and extends from the hips to the lowest such row. Its
width is the outline's, its depth a fraction of that; at the hips it is skinned to the pelvis, lower down to the thighs
and, less, the shins, each side to its own leg, so that it swings and stretches with the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.maths.smoothing import smoothstep
from pipeline.models.mannequin.figure import BONE, Figure, Group, Pose
from pipeline.models.mannequin.hem_colors import are_trousers, first_bare_row, stands
from pipeline.models.mannequin.reference import ReferenceView

_AROUND = 56
_DOWN = 48
_LEGS_APART = 0.085
"""Legs whose centers are this far apart show a gap between trousers; closer ones are inconclusive. Standing heights."""
_LEAST_LENGTH = 0.1
"""Least height of the rows closed between the legs; less is a crotch. Standing heights."""
_DEPTH = 0.6
"""Ratio of a hanging cloth's depth to its width."""
_HIPS = 0.25
"""Fraction of its length over which it lies on the hips: below, it hangs and the legs' depth does not matter."""
_STRAIGHT_FROM = 0.3
"""Fraction of its length from which its middle is a straight line."""
_BEYOND = 0.12
"""Distance from a leg's center within which the outline may be cloth; farther out it is a hand. Standing heights."""
_CORNERS = 0.03
"""Height of the hem's corners, standing heights."""
_ANKLE = 0.8
"""Fraction of the shin from which on a cloth hides trousers, if there are any."""
_HEM_PLACES = np.linspace(-1, 1, 15)
"""Where across the cloth its hem is looked at, in half widths."""
_HEM_CORNER = 0.9
"""From there on the outline is rounded, and its lower end is no hem's."""
_HEM_STEP = 3
"""Distance of the columns that are compared, px: a hem is flatter than 45 degrees."""
_HEM_DROP = 0.02
"""Largest distance of a hem from its middle, up or down; what reaches lower is a leg. Standing heights."""
_UNDER_HEM = 0.015
"""Height over which legs go on under a hem, standing heights: cut off with it, their zigzag edge would show below."""
_ABOVE_HIPS = 0.035
"""Distance above the hips at which it starts, under the top; standing heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Hanging:
    """Outline of a hanging cloth in a picture, row by row."""

    rows: Float64Array
    """(n,) y, px, from the hips down to the hem."""
    left: Float64Array
    """(n,) smallest x, px."""
    right: Float64Array
    """(n,) largest x, px."""
    spread: Float64Array
    """(n,) by how much farther apart the legs are than at the hips, px: it widens the cloth, and does not deepen it."""
    drops: Float64Array | None = None
    """How much lower than in the last row the hem is at 15 places from the left to the right, px; None: it is level."""


def find_hanging(reference: ReferenceView) -> Hanging | None:
    """Detect a skirt or the like in a front or back view; None where legs are visibly apart, or too close to decide."""
    if reference.view not in ("front", "back") or not reference.is_whole or not stands(reference):
        return None
    legs = [_leg_line(reference, side) for side in ("left", "right")]
    hips, ankles = (np.mean([leg[k, 1] for leg in legs]) for k in (0, 2))
    if not np.isfinite([hips, ankles]).all() or ankles - hips < 0.2 * reference.height_px:
        return None
    last = min(int(ankles + 0.06 * reference.height_px), reference.mask.shape[0] - 1)
    rows = np.arange(int(hips - _ABOVE_HIPS * reference.height_px), last)
    sides = np.array([np.interp(rows, leg[:, 1], leg[:, 0]) for leg in legs])
    low, high = sides.min(0), sides.max(0)
    apart = high - low > _LEGS_APART * reference.height_px
    middle = np.rint((low + high) / 2).astype(int)
    closed = np.array([reference.mask[y, x - 2 : x + 3].all() for y, x in zip(rows, middle, strict=True)])
    open_rows = np.flatnonzero(~closed & (rows > hips))
    hem = int(open_rows[0]) if len(open_rows) else len(rows)
    hem = min(hem, first_bare_row(reference, rows, low, high))
    hem = max(hem - 1, 0)
    if np.count_nonzero(apart[:hem] & (rows[:hem] > hips)) < _LEAST_LENGTH * reference.height_px:
        return None
    rows = rows[:hem].astype(np.float64)
    low = low[:hem]
    high = high[:hem]
    room = _BEYOND * reference.height_px
    left, right = (_edge(reference, rows, middle[:hem], way) for way in (-1, 1))
    left, right = np.maximum(left, low - room), np.minimum(right, high + room)
    # At the hem's corners the outline turns inward, to the shoes: there the cloth is extrapolated.
    whole = rows < rows[-1] - _CORNERS * reference.height_px
    if are_trousers(reference, rows, low, high, left, right):
        return None
    sigma = 0.008 * reference.height_px
    left, right = (_carried_on(gaussian_filter1d(v, sigma, mode="nearest"), rows, whole) for v in (left, right))
    spread = np.maximum((high - low) - (high - low)[0], 0)
    return Hanging(rows, left, right, spread, _drops(reference, rows, left, right))


def _drops(reference: ReferenceView, rows: Float64Array, left: Float64Array, right: Float64Array) -> Float64Array:
    """(15,) how much lower than its last row the cloth ends across its width, px; over a leg as beside it."""
    most = round(_HEM_DROP * reference.height_px)
    first = max(int(rows[-1]) - most, 0)
    below = reference.mask[first : int(rows[-1]) + most + 2]
    half = (right[-1] - left[-1]) / 2
    columns = np.rint((left[-1] + right[-1]) / 2 + np.clip(_HEM_PLACES, -_HEM_CORNER, _HEM_CORNER) * half)
    ends = np.zeros((3, len(columns)))
    for n, beside in enumerate((-_HEM_STEP, 0, _HEM_STEP)):
        is_open = ~below[:, np.clip(columns + beside, 0, below.shape[1] - 1).astype(int)]
        ends[n] = np.where(is_open.any(0) & ~is_open[0], is_open.argmax(0), np.nan)
    # The outline of a leg that leans ends in every column elsewhere.
    found = np.ptp(ends, axis=0) < _HEM_STEP
    if not found.any():
        return np.zeros(len(_HEM_PLACES))
    levels = np.interp(_HEM_PLACES, _HEM_PLACES[found], first + ends[1, found] - 1)
    return gaussian_filter1d(levels - rows[-1], 1.0, mode="nearest")


def hides_shins(cloth: Hanging, reference: ReferenceView) -> bool:
    """Return whether the cloth reaches to the ankles: what the picture shows at the shins is its color."""
    knees, ankles = (np.mean([_leg_line(reference, side)[k, 1] for side in ("left", "right")]) for k in (1, 2))
    return bool(cloth.rows[-1] > knees + _ANKLE * (ankles - knees))


def _carried_on(edge: Float64Array, rows: Float64Array, whole: NDArray[np.bool_]) -> Float64Array:
    """Linear extrapolation from the last rows that are ``whole``."""
    count = max(2, len(rows) // 6)
    known = np.flatnonzero(whole)[-count:]
    slope, start = np.polyfit(rows[known], edge[known], 1)
    return np.where(whole, edge, slope * rows + start)


def _leg_line(reference: ReferenceView, side: str) -> Float64Array:
    """(3, 2) hip, knee and ankle, px."""
    return reference.joints[[JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")], :2]


def _edge(reference: ReferenceView, rows: Float64Array, middle: NDArray[np.int64], way: int) -> Float64Array:
    """(n,) position where the mask ends, from the middle of each row to one side, px."""
    out = np.empty(len(rows))
    for n, (y, x) in enumerate(zip(rows.astype(int), middle, strict=True)):
        line = reference.mask[y, x:] if way > 0 else reference.mask[y, x::-1]
        gap = np.flatnonzero(~line)
        out[n] = x + way * ((gap[0] if len(gap) else len(line)) - 0.5)
    return out


def with_hanging(
    figure: Figure, pose: Pose, places: NDArray[np.float32], y_scale: float, y_shift: float, cloth: Hanging
) -> Figure:
    """Return the figure with the cloth as a further surface, mapped to the rest pose by the inverse of the pose.

    ``places`` (V, 3) are the posed vertices whose y were then scaled and shifted.
    """
    at = np.linspace(0, len(cloth.rows) - 1, _DOWN)
    of_rows = (cloth.rows, cloth.left, cloth.right, cloth.spread)
    rows, left, right, spread = (np.interp(at, np.arange(len(cloth.rows)), values) for values in of_rows)
    angle = 2 * np.pi * (np.arange(_AROUND) + 0.5) / _AROUND
    half = (right - left) / 2
    depth, z = _depths(figure, places, rows, half - spread / 2)
    x = ((left + right) / 2)[:, None] + half[:, None] * np.sin(angle)
    y = np.repeat(rows[:, None], _AROUND, 1)
    if cloth.drops is not None:
        lowered = smoothstep(np.linspace(0, 1, _DOWN))
        y += lowered[:, None] * np.interp(np.sin(angle), _HEM_PLACES, cloth.drops)
    tube = np.stack([x, y, z[:, None] - depth[:, None] * np.cos(angle)], 2).reshape(-1, 3)
    tube[:, 1] = (tube[:, 1] - y_shift) / y_scale
    index, weight = _weights(pose, figure, tube, np.repeat(half, _AROUND))
    linear = np.einsum("vk,vkij->vij", weight, pose.linear[index])
    offset = np.einsum("vk,vki->vi", weight, pose.offset[index])
    rest = np.linalg.solve(linear, (tube - offset)[:, :, None])[:, :, 0]
    triangles = len(figure.vertices) + _tube_triangles(np.linalg.det(linear).mean() > 0)
    return replace(
        figure,
        vertices=np.concatenate([figure.vertices, rest]).astype(np.float32),
        triangles=np.concatenate([figure.triangles, triangles]).astype(np.int32),
        groups=np.concatenate([figure.groups, np.full(len(triangles), Group.SKIRT, np.uint8)]),
        bone_index=np.concatenate([figure.bone_index, index]).astype(np.uint8),
        bone_weight=np.concatenate([figure.bone_weight, weight]).astype(np.float32),
        tint=np.concatenate([figure.tint, np.ones((len(rest), 3), np.float32)]),
        occlusion=np.concatenate([figure.occlusion, np.full(len(rest), 0.95, np.float32)]),
    )


def covered_by_hanging(figure: Figure) -> NDArray[np.bool_]:
    """(F,) triangles of trousers and legs that lie under the cloth, so far above its hem that none is missed there."""
    skirt = np.unique(figure.triangles[figure.groups == Group.SKIRT])
    if not len(skirt):
        return np.zeros(len(figure.groups), bool)
    hem = figure.vertices[skirt[-_AROUND:]]
    legs = np.flatnonzero(np.isin(figure.groups, [Group.LOWER, Group.LEG, Group.SHIN]))
    places = figure.vertices[figure.triangles[legs]]
    _, over = cKDTree(hem[:, [0, 2]]).query(places.mean(1)[:, [0, 2]])
    out = np.zeros(len(figure.groups), bool)
    out[legs] = places[:, :, 1].max(1) < hem[over, 1] - _UNDER_HEM
    return out


def near_hem(figure: Figure) -> NDArray[np.bool_]:
    """(V,) the lowest tenth of the cloth."""
    out = np.zeros(len(figure.vertices), bool)
    skirt = np.unique(figure.triangles[figure.groups == Group.SKIRT])
    if len(skirt):
        level = figure.vertices[skirt, 1]
        out[skirt] = level > level.max() - 0.1 * np.ptp(level)
    return out


def _depths(
    figure: Figure, places: NDArray[np.float32], rows: Float64Array, half: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """(n,) half depth and (n,) middle z of each ring, px: around the trousers' at the hips, its own below.

    ``half`` (n,) is half the width that the cloth would have with the legs together. Cloth hangs straight, whatever the
    legs inside do.
    """
    legs = np.unique(figure.triangles[np.isin(figure.groups, [Group.LOWER, Group.LEG])])
    y, z = places[legs, 1], places[legs, 2]
    step = (rows[-1] - rows[0]) / len(rows)
    depth = np.full(len(rows), np.nan)
    middle = np.full(len(rows), np.nan)
    for n, row in enumerate(rows):
        near = np.abs(y - row) < 1.5 * step + 1
        if near.sum() > 8:
            low, high = np.quantile(z[near], [0.02, 0.98])
            depth[n] = (high - low) / 2
            middle[n] = (high + low) / 2
    known = np.flatnonzero(np.isfinite(depth))
    depth, middle = (np.interp(np.arange(len(rows)), known, v[known]) for v in (depth, middle))
    depth = np.maximum(np.where(rows < rows[0] + _HIPS * np.ptp(rows), depth * 1.03, 0), _DEPTH * half)
    down = np.linspace(0, 1, len(rows))
    straight = np.polyval(np.polyfit(down, middle, 1), down)
    hung = np.clip(down / _STRAIGHT_FROM, 0, 1)
    return gaussian_filter1d(depth, 2.0, mode="nearest"), middle * (1 - hung) + straight * hung


def _weights(
    pose: Pose, figure: Figure, tube: Float64Array, half: Float64Array
) -> tuple[NDArray[np.int64], Float64Array]:
    """(n, 4) bones and weights of posed points: pelvis, then thighs, then thighs and shins, each side its own."""
    hips, knees, ankles = (
        np.mean([pose.apply(bone + s, figure.heads[BONE[bone + s]]) for s in (".L", ".R")], axis=0)
        for bone in ("thigh1", "shin1", "foot")
    )
    thigh = np.clip((tube[:, 1] - hips[1]) / max(knees[1] - hips[1], 1e-6), 0, 1)
    shin = np.clip((tube[:, 1] - knees[1]) / max(ankles[1] - knees[1], 1e-6), 0, 1)
    on_legs = smoothstep(thigh / 0.9)
    # Shins bend backward far more than a hem swings.
    on_shins = 0.6 * smoothstep(shin / 0.5)
    facing = float(np.sign(pose.linear[BONE["pelvis"]][0, 0]))
    across = facing * (tube[:, 0] - hips[0]) / np.maximum(half, 1e-6)
    left = smoothstep(0.5 + 0.75 * across)
    names = ("thigh2.L", "thigh2.R", "shin1.L", "shin1.R")
    index = np.tile([BONE[name] for name in names], (len(tube), 1))
    sides = np.stack([left, 1 - left], 1)
    weight = np.concatenate([(on_legs * (1 - on_shins))[:, None] * sides, (on_legs * on_shins)[:, None] * sides], 1)
    # Above the knees the shin has no weight: the third slot is the pelvis there.
    upper = on_shins == 0
    index[upper, 2] = BONE["pelvis"]
    weight[upper, 2] = 1 - on_legs[upper]
    weight /= weight.sum(1, keepdims=True)
    return index, weight


def _tube_triangles(keeps_hands: bool) -> NDArray[np.int64]:
    """(F, 3) of the tube's grid, normals outwards."""
    ring, place = np.mgrid[: _DOWN - 1, :_AROUND]
    a = (ring * _AROUND + place).ravel()
    b = (ring * _AROUND + (place + 1) % _AROUND).ravel()
    c, d = a + _AROUND, b + _AROUND
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    return triangles if keeps_hands else triangles[:, ::-1]
