"""The extent of hair beyond the figure's cap of short hair, where a front view does not show it.

The cap ends above the ears and in the middle of the nape, like the shortest hair. On nearly everybody with hair on the
crown it continues from there: behind the ears, and in front of them to the temples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.models.mannequin.figure import LANDMARK, Figure, Group
from pipeline.models.mannequin.mesh_colors import sample_grid

_REACH = 0.02
"""Beyond the cap hair thins out over this length, standing heights; half of it is full."""
_TEMPLES = (0.022, 0.04)
"""Distances behind the eyes at which hair starts at a temple, and is full."""
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
    apart, _ = cKDTree(vertices[np.unique(cap)]).query(places)
    near = _smooth(2 - 2 * apart / _REACH)
    eyes = figure.landmarks[LANDMARK["left_eye"], 2]
    behind = _smooth((places[..., 2] - eyes - _TEMPLES[0]) / (_TEMPLES[1] - _TEMPLES[0]))
    for side in ("left", "right"):
        off = (places - figure.landmarks[LANDMARK[f"{side}_ear"]]) / _EAR
        near *= 1 - _smooth(3 - 2.5 * np.linalg.norm(off, axis=2))
    share[skin] = near * behind
    return share


def _smooth(value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)
