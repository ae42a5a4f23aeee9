"""The side of a head that a picture shows at a glance or not at all, because the head is turned: like the other one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.maths.smoothing import smoothstep
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Figure, Group
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES, sample_grid

_BETTER = (0.3, 0.7)
"""How much better the other side must be shown for its color to begin to be taken, and to be taken alone."""
_TURNED = 0.1
"""How much of what is shown of both sides one shows more than the other where a head is turned."""
_GROUPS = (Group.SKIN, Group.HAIR, Group.EYES)


def with_far_side_mirrored(
    fine: NDArray[np.float32],
    strength: NDArray[np.float32],
    figure: Figure,
    triangles: NDArray[np.int32],
    groups: NDArray[np.uint8],
    parts: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return linear colors (T, S, 3) and how well pictures show them (T, S), 0..1, with a head's worse side replaced.

    ``triangles`` (T, 3), ``groups`` (T,) and ``parts`` (T,) are those drawn. A head seen from the front, or from all
    sides, shows both sides about alike, and stays.
    """
    _, corners = sample_grid()
    out = fine.copy()
    shown = strength.copy()
    head = (parts == PARTS.index("head")) & np.isin(groups, _GROUPS)
    is_left = figure.vertices[triangles][:, :, 0].mean(1) > 0
    sides = [float(strength[head & side].mean()) if (head & side).any() else 0.0 for side in (is_left, ~is_left)]
    if abs(sides[0] - sides[1]) <= _TURNED * sum(sides):
        return out, shown
    for group in _GROUPS:
        row = head & (groups == group)
        if not row.any():
            continue
        place = np.einsum("sk,tkd->tsd", corners, figure.vertices[triangles[row]]).reshape(-1, 3)
        _, other = cKDTree(place).query(place * np.array([-1, 1, 1], np.float32))
        colors = fine[row].reshape(-1, 3)
        own = strength[row].ravel()
        share = smoothstep((own[other] - own - _BETTER[0]) / (_BETTER[1] - _BETTER[0])).astype(np.float32)
        mixed = colors + share[:, None] * (colors[other] - colors)
        out[row] = mixed.reshape(-1, NUM_SAMPLES, 3)
        shown[row] = (own + share * (own[other] - own)).reshape(-1, NUM_SAMPLES)
    return out, shown
