"""Let tops and trousers end where they end in a front view.

The figure's clothes have hems of their own. Where the picture's are elsewhere a step would run through the middle of
one color, and the next garment's color would begin on the wrong surface.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.maths.smoothing import smoothstep
from pipeline.models.mannequin.figure import BONE, Figure, Group
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.raster import vertex_normals

_STEP = 0.004
"""Height of the bands in which colors are counted, standing heights like everything below."""
_LEAST_PIXELS = 12
"""Of a band, and of what tells a garment's usual color."""
_DARKEST = 3e-3
_APART = 0.2
"""Least difference of two garments' usual colors, in the logarithm of a channel, by which they can be told apart."""
_STRETCHED_TROUSERS, _STRETCHED_TOP = 0.12, 0.09
"""Length above a hem over which a garment is stretched to a new one."""
_LOWEST = 0.02
"""Height over the soles at which trousers end at the latest: farther down shoes of the same color are meant."""
_TROUSERS_MOVE, _TOP_MOVES = (0.0, 0.05), (-0.06, 0.05)
"""Bounds by how much a hem is lowered; it is not raised where there is no skin under it."""
_TUCKED = 0.015
"""A top that ends higher than the figure's by more than this is tucked in, or skin: it has no step at its end."""
_FLATTENED = 0.03
_LINE_REACH = 5
"""Bands on each side of the one that a shadow line is compared with."""
_SHADOW = 0.07
"""Least darkness, in the logarithm of the light, of the line of shadow under a hem on cloth of the same color."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_INSIDE = 0.0015


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The pixels of a front view that show the figure's surface."""

    groups: NDArray[np.uint8]
    """(n,) of the surface there."""
    levels: NDArray[np.float32]
    """(n,) its height on the figure at rest; y, downwards."""
    sides: NDArray[np.float32]
    """(n,) its x there."""
    logs: NDArray[np.float32]
    """(n, 3) the logarithm of the picture's linear color."""

    @classmethod
    def of(cls, figure: Figure, view: FittedView, drawn: NDArray[np.bool_]) -> _Seen:
        shown = view.reference.mask & (view.nearest >= 0)
        owner = view.nearest[shown]
        middles = figure.vertices[figure.triangles[drawn]].mean(axis=1)
        colors = np.log(np.maximum(view.reference.colors[shown], _DARKEST))
        return cls(figure.groups[drawn][owner], middles[owner, 1], middles[owner, 0], colors)

    def usual(self, group: Group, low: float, high: float) -> NDArray[np.float32] | None:
        """Return the (3,) median color of a group between two levels; None where too little of it is seen."""
        chosen = (self.groups == group) & (self.levels > low) & (self.levels < high)
        return np.median(self.logs[chosen], axis=0) if np.count_nonzero(chosen) >= _LEAST_PIXELS else None

    def end_of(
        self,
        upper: NDArray[np.float32],
        lower: NDArray[np.float32],
        chosen: NDArray[np.bool_],
        start: float,
        stop: float,
    ) -> float | None:
        """Return the level, from ``start`` down, at which most ``chosen`` pixels (n,) are no longer nearer to the
        ``upper`` color (3,) than to the ``lower`` one; None where that never happens before ``stop``."""
        is_upper = np.linalg.norm(self.logs - upper, axis=1) < np.linalg.norm(self.logs - lower, axis=1)
        for level in np.arange(start, stop, _STEP):
            band = chosen & (self.levels >= level) & (self.levels < level + _STEP)
            if np.count_nonzero(band) >= _LEAST_PIXELS and is_upper[band].mean() < 0.5:
                return float(level)
        return None

    def shadow_line(self, chosen: NDArray[np.bool_], start: float, stop: float) -> float | None:
        """Return the level of a dark line across the ``chosen`` pixels (n,) between two levels; None without one."""
        reach = _LINE_REACH * _STEP
        levels = np.arange(start - reach, stop + reach, _STEP)
        light = np.full(len(levels), np.nan)
        for row, level in enumerate(levels):
            band = chosen & (self.levels >= level) & (self.levels < level + _STEP)
            if np.count_nonzero(band) >= _LEAST_PIXELS:
                light[row] = np.median(self.logs[band] @ _LUMA)
        windows = np.lib.stride_tricks.sliding_window_view(light, 2 * _LINE_REACH + 1)
        if not np.isfinite(windows).all():
            return None
        darker = np.median(windows, axis=1) - windows[:, _LINE_REACH]
        best = int(darker.argmax())
        return float(levels[best + _LINE_REACH]) if darker[best] > _SHADOW else None


def with_hems_as_shown(figure: Figure, view: FittedView, drawn: NDArray[np.bool_]) -> Figure:
    """Return the figure with the hems of top and trousers where the front ``view`` of it shows them.

    ``drawn`` (F,) are the triangles that are shown. A hem that cannot be told stays: of clothes in one color, under a
    skirt or coat, or below the end of a picture.
    """
    if view.reference.view != "front" or not view.reference.is_whole or (figure.groups[drawn] == Group.SKIRT).any():
        return figure
    seen = _Seen.of(figure, view, drawn)
    if (figure.groups[drawn] == Group.LEG).any():
        figure = _with_trousers(figure, seen)
    return _with_top(figure, seen)


def _with_trousers(figure: Figure, seen: _Seen) -> Figure:
    rows = np.unique(figure.triangles[figure.groups == Group.LEG])
    vertices = figure.vertices.copy()
    for sign in (1, -1):
        leg = rows[sign * figure.vertices[rows, 0] > 0]
        hem = float(figure.vertices[leg, 1].max())
        of_side = replace(seen, groups=np.where(sign * seen.sides > 0, seen.groups, np.uint8(255)))
        cloth = of_side.usual(Group.LEG, hem - _STRETCHED_TROUSERS, hem - 5 * _STEP)
        shoe = of_side.usual(Group.SHOES, -1.5 * _LOWEST, 0.0)
        if cloth is None or shoe is None or not _differ(cloth, shoe):
            continue
        below = np.isin(of_side.groups, (Group.LEG, Group.SHOES))
        end = of_side.end_of(cloth, shoe, below, hem - 5 * _STEP, -_LOWEST)
        if end is not None:
            by = float(np.clip(end - hem, *_TROUSERS_MOVE))
            vertices[leg, 1] = _stretched(figure.vertices[leg, 1], hem, by, _STRETCHED_TROUSERS)
    return replace(figure, vertices=vertices)


def _with_top(figure: Figure, seen: _Seen) -> Figure:
    top = np.unique(figure.triangles[figure.groups == Group.UPPER])
    hem = float(figure.vertices[top, 1].max())
    hips = float(figure.heads[BONE["thigh1.L"], 1])
    upper = seen.usual(Group.UPPER, hem - _STRETCHED_TOP, hem + _TOP_MOVES[0])
    lower = seen.usual(Group.LOWER, hem + _TOP_MOVES[1], hips + 0.2)
    if upper is None or lower is None:
        return figure
    around = np.isin(seen.groups, (Group.UPPER, Group.LOWER))
    start, stop = hem + _TOP_MOVES[0], hem + _TOP_MOVES[1]
    if _differ(upper, lower):
        end = seen.end_of(upper, lower, around, start, stop)
    else:
        end = seen.shadow_line(around, hem, stop)
    if end is None:
        return figure
    vertices = figure.vertices.copy()
    vertices[top, 1] = _stretched(figure.vertices[top, 1], hem, end - hem, _STRETCHED_TOP)
    moved = replace(figure, vertices=vertices)
    return _tucked_in(moved, top, end) if end < hem - _TUCKED else moved


def _differ(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    return bool(np.abs(first - second).max() > _APART)


def _stretched(levels: NDArray[np.float32], hem: float, by: float, length: float) -> NDArray[np.float32]:
    """Return levels (n,) with the last ``length`` above a hem stretched so that it is lower ``by`` so much."""
    share = np.clip((levels - hem + length) / length, 0, 1)
    return np.asarray(levels + by * share, np.float32)


def _tucked_in(figure: Figure, top: NDArray[np.int64], hem: float) -> Figure:
    """Return the figure whose top, vertices ``top`` (n,), vanishes in the trousers at its hem."""
    trousers = np.unique(figure.triangles[figure.groups == Group.LOWER])
    last = top[figure.vertices[top, 1] > hem - _FLATTENED]
    normals = vertex_normals(figure.vertices, np.ascontiguousarray(figure.triangles))
    _, near = cKDTree(figure.vertices[trousers]).query(figure.vertices[last])
    under = figure.vertices[trousers[near]] - _INSIDE * normals[trousers[near]]
    share: Float64Array = smoothstep((figure.vertices[last, 1] - hem + _FLATTENED) / _FLATTENED)[:, None]
    vertices = figure.vertices.copy()
    # What is under the cloth already stays there, and its height stays.
    vertices[last, 0] = ((1 - share) * figure.vertices[last] + share * under)[:, 0]
    vertices[last, 2] = ((1 - share) * figure.vertices[last] + share * under)[:, 2]
    return replace(figure, vertices=vertices)
