"""Let short sleeves end where a front view shows their ends.

The figure's own reach to three quarters of the upper arm. Where the picture's are shorter the rest would be a step in
the middle of the skin: it is laid under the arm's surface.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.maths.smoothing import smoothstep
from pipeline.models.mannequin.deformation import PARTS, part_shares
from pipeline.models.mannequin.figure import BONE, Figure, Group
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.raster import vertex_normals

_BANDS = np.arange(0.3, 0.75, 0.04)
"""Places along the upper arm at which colors are counted, of its length from the shoulder."""
_LEAST_PIXELS = 12
_FIRST_END = 0.52
"""Farther up there is no skin under the sleeve."""
_NARROWS = 0.06
"""Over so much of the upper arm a sleeve narrows to the skin."""
_DARKEST = 3e-3
_APART = 0.25
"""Least difference of cloth and skin in the logarithm of a channel by which they can be told apart."""
_INSIDE = 0.0015
"""Depth under the skin of what is not shown, standing heights."""


def with_sleeves_as_shown(figure: Figure, view: FittedView, drawn: NDArray[np.bool_]) -> Figure:
    """Return the figure whose short sleeves end where the front ``view`` of it shows skin.

    ``drawn`` (F,) are the triangles that are shown. Sleeves that cannot be told from skin stay, and so do longer ones.
    """
    is_short = (figure.groups[drawn] == Group.FOREARM).any()
    skin = skin_color(view.reference)
    if view.reference.view != "front" or not is_short or skin is None:
        return figure
    shares = part_shares(figure)
    vertices = figure.vertices.copy()
    for side in "LR":
        along = _along_upper_arm(figure, side)
        of_arm = shares[:, PARTS.index(f"arm.{side}")] > 0.5
        end = _end(figure, view, drawn, np.where(of_arm, along, np.nan), skin)
        if end is not None:
            _lay_under_skin(vertices, figure, along, of_arm, end)
    return replace(figure, vertices=vertices)


def _along_upper_arm(figure: Figure, side: str) -> Float64Array:
    """Return (V,) 0 at the height of the shoulder's joint, 1 at the elbow's."""
    start, stop = (figure.heads[BONE[f"{bone}.{side}"]] for bone in ("upperarm1", "forearm1"))
    way = stop - start
    return np.asarray((figure.vertices - start) @ way / (way @ way), np.float64)


def _end(
    figure: Figure, view: FittedView, drawn: NDArray[np.bool_], along: Float64Array, skin: NDArray[np.floating]
) -> float | None:
    """Return the place along the arm from which on most of the sleeve's pixels are skin; None without one."""
    places = along[figure.triangles[drawn]].mean(axis=1)
    sleeve = (figure.groups[drawn] == Group.UPPER) & np.isfinite(places)
    shown = view.reference.mask & (view.nearest >= 0)
    shown[shown] = sleeve[view.nearest[shown]]
    place = places[view.nearest[shown]]
    logs = np.log(np.maximum(view.reference.colors[shown], _DARKEST))
    upper = place < _BANDS[0]
    if np.count_nonzero(upper) < _LEAST_PIXELS:
        return None
    cloth = np.median(logs[upper], axis=0)
    bare = np.log(np.maximum(skin, _DARKEST))
    if np.abs(cloth - bare).max() < _APART:
        return None
    is_skin = np.linalg.norm(logs - bare, axis=1) < np.linalg.norm(logs - cloth, axis=1)
    step = float(_BANDS[1] - _BANDS[0])
    for start in _BANDS:
        band = (place >= start) & (place < start + step)
        if np.count_nonzero(band) >= _LEAST_PIXELS and is_skin[band].mean() > 0.5:
            return max(float(start), _FIRST_END)
    return None


def _lay_under_skin(
    vertices: NDArray[np.float32], figure: Figure, along: Float64Array, of_arm: NDArray[np.bool_], end: float
) -> None:
    """Move the sleeve's ``vertices`` (V, 3) beyond ``end`` under the arm's skin."""
    on_arm = np.flatnonzero(of_arm)
    cloth = np.intersect1d(np.unique(figure.triangles[figure.groups == Group.UPPER]), on_arm)
    skin = np.intersect1d(np.unique(figure.triangles[figure.groups == Group.FOREARM]), on_arm)
    last = cloth[along[cloth] > end - _NARROWS]
    normals = vertex_normals(figure.vertices, np.ascontiguousarray(figure.triangles))
    _, near = cKDTree(figure.vertices[skin]).query(figure.vertices[last])
    under = figure.vertices[skin[near]] - _INSIDE * normals[skin[near]]
    share: Float64Array = smoothstep((along[last] - end + _NARROWS) / _NARROWS)[:, None]
    vertices[last] += (share * (under - figure.vertices[last])).astype(np.float32)
