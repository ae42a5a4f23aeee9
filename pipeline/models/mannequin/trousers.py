"""Depth of trousers that a front view does not show: loose cloth spans the hollows of a leg.

Seen from the side, cloth hangs from the thigh over the calf, and over the knee to the instep, as a string would that is
stretched over them; tight cloth follows the leg. How loose it is, a front view tells by its width
around the lower leg, compared with a bare one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONE, Figure, Group

_LOWER_LEG = (0.5, 0.9)
"""The stretch between knee and ankle where looseness is measured, as fractions: below the calf, above the shoe."""
_TIGHT, _LOOSE = 0.016, 0.026
"""Width beyond the bare leg's from which cloth leaves the leg, and from which it hangs freely; standing heights."""
_UNDER_BUTTOCKS = 0.3
"""Fraction of the thigh where the back of a trouser leg, drawn in under the buttocks, starts to hang."""
_LEVELS = 40
"""Levels between hip and hem."""
_LEAST_RADIUS = 0.015
"""A profile nearer to the leg's axis than this is not scaled: the axis is uncertain there; standing heights."""
_MOST_GAIN = 1.6


def with_spanning_trousers(figure: Figure, bare: Figure) -> Figure:
    """Return the figure with the depth of its trouser legs widened to what loose cloth spans.

    ``bare`` is the unfitted figure, with the legs that most people have.
    """
    share = _looseness(figure, bare)
    if share == 0:
        return figure
    vertices = figure.vertices.copy()
    cloth = np.unique(figure.triangles[np.isin(figure.groups, [Group.LOWER, Group.LEG])])
    for suffix, sign in ((".L", 1.0), (".R", -1.0)):
        rows = cloth[sign * figure.vertices[cloth, 0] > 0]
        leg = _Leg.of(figure, suffix)
        rows = rows[figure.vertices[rows, 1] > leg.joints[0, 1]]
        if len(rows):
            vertices[rows, 2] = _spanned(figure.vertices[rows].astype(np.float64), leg, share)
    return replace(figure, vertices=vertices)


@dataclass(frozen=True, slots=True, eq=False)
class _Leg:
    joints: Float64Array
    """(3, 3) hip, knee and ankle."""

    @classmethod
    def of(cls, figure: Figure, suffix: str) -> _Leg:
        return cls(figure.heads[[BONE[f"{bone}{suffix}"] for bone in ("thigh1", "shin1", "foot")]])

    def axis(self, level: Float64Array, column: int) -> Float64Array:
        """(n,) x or z of the leg's axis at heights ``level`` (n,)."""
        return np.interp(level, self.joints[:, 1], self.joints[:, column])


def _looseness(figure: Figure, bare: Figure) -> float:
    """0 for trousers that cling to the lower leg or end above it, to 1."""
    own = _lower_leg_width(figure, Group.LEG)
    skin = _lower_leg_width(bare, Group.SHIN)
    if own is None or skin is None:
        return 0.0
    return float(np.clip((own - skin - _TIGHT) / (_LOOSE - _TIGHT), 0, 1))


def _lower_leg_width(figure: Figure, group: Group) -> float | None:
    """Mean width of a surface below the calf, standing heights; None where it does not reach down there."""
    rows = np.unique(figure.triangles[figure.groups == group])
    widths = []
    for suffix, sign in ((".L", 1.0), (".R", -1.0)):
        leg = _Leg.of(figure, suffix)
        points = figure.vertices[rows[sign * figure.vertices[rows, 0] > 0]].astype(np.float64)
        knee, ankle = leg.joints[1, 1], leg.joints[2, 1]
        for start, stop in _bands(knee, ankle):
            near = (points[:, 1] >= start) & (points[:, 1] < stop)
            if not near.any():
                return None
            # The axis is subtracted, so that a leg that stands aslant is not taken for a wide one.
            across = points[near, 0] - leg.axis(points[near, 1], 0)
            widths.append(float(np.ptp(across)))
    return float(np.mean(widths))


def _bands(knee: float, ankle: float) -> list[tuple[float, float]]:
    edges = knee + (ankle - knee) * np.linspace(*_LOWER_LEG, 4)
    return [(float(a), float(b)) for a, b in pairwise(edges)]


def _spanned(points: Float64Array, leg: _Leg, share: float) -> NDArray[np.float32]:
    """(n,) z of one leg's points (n, 3) after ``share`` of the widening."""
    level, axis = points[:, 1], leg.axis(points[:, 1], 2)
    depth = points[:, 2] - axis
    out = depth.copy()
    hip, knee = leg.joints[0, 1], leg.joints[1, 1]
    for sign, top in ((-1.0, hip), (1.0, hip + _UNDER_BUTTOCKS * (knee - hip))):
        levels = np.linspace(top, level.max(), _LEVELS)
        gain = _gain(level, sign * depth, sign * leg.axis(levels, 2), levels)
        here = (sign * depth > 0) & (level > top)
        out[here] *= 1 + share * (np.interp(level[here], levels, gain) - 1)
    return np.asarray(axis + out, np.float32)


def _gain(level: Float64Array, depth: Float64Array, axis: Float64Array, levels: Float64Array) -> Float64Array:
    """(n,) factor at each of ``levels`` (n,) from one side's profile to its hull; ``axis`` (n,) grows to that side."""
    nearest = np.abs(level[:, None] - levels).argmin(1)
    inside = level >= levels[0]
    profile = np.full(len(levels), np.nan)
    for row in range(len(levels)):
        of_level = depth[inside & (nearest == row)]
        if len(of_level):
            profile[row] = of_level.max()
    known = np.flatnonzero(np.isfinite(profile))
    profile = np.interp(np.arange(len(levels)), known, profile[known])
    hull = _hull_above(levels, profile + axis) - axis
    gain = np.where(profile > _LEAST_RADIUS, hull / np.maximum(profile, _LEAST_RADIUS), 1.0)
    return np.clip(gain, 1.0, _MOST_GAIN)


def _hull_above(x: Float64Array, y: Float64Array) -> Float64Array:
    """(n,) least concave function that is nowhere below y (n,), at ascending x (n,).

    Method: monotone chain (Andrew, Information Processing Letters 9(5), 1979).
    """
    kept: list[int] = []
    for n in range(len(x)):
        while len(kept) > 1 and _is_below(x, y, kept[-2], kept[-1], n):
            kept.pop()
        kept.append(n)
    return np.maximum(np.interp(x, x[kept], y[kept]), y)


def _is_below(x: Float64Array, y: Float64Array, first: int, middle: int, last: int) -> bool:
    slope = (y[last] - y[first]) / (x[last] - x[first])
    return bool(y[middle] <= y[first] + slope * (x[middle] - x[first]))
