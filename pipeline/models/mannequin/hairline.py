"""The extent of hair beyond the figure's cap of short hair, where a front view does not show it.

The cap ends above the ears and in the middle of the nape, like the shortest hair. On nearly everybody with hair on the
crown it continues from there: behind the ears, and in front of them to the temples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.models.mannequin.figure import LANDMARK, Figure, Group
from pipeline.models.mannequin.mesh_colors import sample_grid

_REACH = 0.02
"""Beyond the cap hair thins out over this length, standing heights; half of it is full."""
_TEMPLES = (0.022, 0.04)
"""Distances behind the eyes at which hair starts at a temple, and is full."""
_ABOVE_EARS = 0.004
"""Height above the ears' middle down to which hair covers the sides, standing heights."""
_EAR_TOPS = 0.014
"""Height of their upper ends above their middle, standing heights."""
_SOFT = 0.008
"""Height over which it thins out there."""
_RIM = (0.0025, 0.007)
"""Distances from the skin within which hair is its rim, entirely and not at all; standing heights."""
_EAR = np.array([0.011, 0.021, 0.014])
"""Half size of an ear: out, up, forward."""


def hair_share(figure: Figure, triangles: NDArray[np.int32], groups: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (T, S) 0..1 hair coverage of the skin's samples; 0 on every other surface."""
    share = np.zeros((len(triangles), len(sample_grid()[0])), np.float32)
    skin = groups == Group.SKIN
    cap = triangles[groups == Group.HAIR]
    if not len(cap):
        return share
    vertices = figure.vertices.astype(np.float64)
    # Only the head: everything else is far below the cap.
    skin &= vertices[triangles][:, :, 1].max(1) < vertices[cap][:, :, 1].max() + _REACH
    places = np.einsum("sk,tkd->tsd", sample_grid()[1], vertices[triangles[skin]])
    # Farther samples are at an infinite distance: to look for their nearest vertex takes most of the time.
    apart, _ = cKDTree(vertices[np.unique(cap)]).query(places, distance_upper_bound=_REACH)
    near = _smooth(2 - 2 * apart / _REACH)
    eyes = figure.landmarks[LANDMARK["left_eye"], 2]
    behind = _smooth((places[..., 2] - eyes - _TEMPLES[0]) / (_TEMPLES[1] - _TEMPLES[0]))
    ears = figure.landmarks[[LANDMARK["left_ear"], LANDMARK["right_ear"]]].mean(0)
    # Above the ears, and down to their upper third before and behind them.
    near = np.maximum(near, _smooth((ears[1] - _ABOVE_EARS - places[..., 1]) / _SOFT))
    for side in ("left", "right"):
        off = (places - figure.landmarks[LANDMARK[f"{side}_ear"]]) / _EAR
        near *= 1 - _smooth(3 - 2.5 * np.linalg.norm(off, axis=2))
    # In front of the ears short hair ends at their tops.
    before = _smooth((ears[2] - places[..., 2]) / _SOFT) * _smooth((places[..., 1] - ears[1] + _EAR_TOPS) / _SOFT)
    share[skin] = near * behind * (1 - before)
    return share


@dataclass(frozen=True, slots=True, eq=False)
class HairRim:
    """The rim of the cap of hair, which should not be visible as an edge."""

    rows: NDArray[np.int64]
    """(n,) its vertices."""
    under: NDArray[np.int64]
    """(n,) the vertex of the skin nearest to each."""
    share: NDArray[np.float32]
    """(n, 1) 1 at the rim to 0 farther in."""

    def shaded_as_skin(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return normals (V, 3) with those of the rim turned to the skin's under it."""
        out = normals.copy()
        mixed = self.share * normals[self.under] + (1 - self.share) * normals[self.rows]
        out[self.rows] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6)
        return out


def hair_rim(figure: Figure) -> HairRim:
    """Find the rim of the cap, where it dives under the skin."""
    cap = np.unique(figure.triangles[figure.groups == Group.HAIR])
    skin = np.unique(figure.triangles[figure.groups == Group.SKIN])
    if not len(cap):
        return HairRim(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 1), np.float32))
    apart, near = cKDTree(figure.vertices[skin]).query(figure.vertices[cap])
    share = _smooth(1 - (apart - _RIM[0]) / (_RIM[1] - _RIM[0]))
    chosen = share > 0
    return HairRim(cap[chosen], skin[near[chosen]], share[chosen, None].astype(np.float32))


def _smooth(value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)
