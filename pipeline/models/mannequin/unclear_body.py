"""Plain cloth where a picture shows little of a body: forearms before it, a portrait, or a body that is turned aside.

What such a picture hides would else be filled with what happens to be beside it: fingers on a belly, a lapel on the
back, stripes around a sleeve. There the garment's usual color is a better guess.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.joints import JOINT
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.figure import Figure, Group
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES, sample_grid
from pipeline.models.mannequin.reference import ReferenceView

_TURNED = np.tan(np.radians(30))
"""Slope of the shoulders in depth from which a body's far side is hardly seen."""
_REACH = 0.012
"""Distance from what is seen over which a filled gap turns into the usual color, standing heights."""
_LEAST_SEEN = 200
"""Samples from which a garment's usual color is known."""


def is_turned_aside(reference: ReferenceView) -> bool:
    """Return whether a view from the front or behind hardly shows one side of the body."""
    across = reference.skeleton[JOINT["left_shoulder"]] - reference.skeleton[JOINT["right_shoulder"]]
    return reference.view in ("front", "back") and bool(abs(across[2]) > _TURNED * abs(across[0]))


def is_unclear(reference: ReferenceView) -> bool:
    """Return whether a view from the front or behind has forearms before the body, or neither of them, or is aside."""
    arms = find_lower_arms(reference)
    return arms.are_folded or arms.shows_none or is_turned_aside(reference)


def plain_cloth(
    colors: NDArray[np.float32],
    seen: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    groups: NDArray[np.uint8],
) -> NDArray[np.float32]:
    """Return linear colors (T, S, 3) whose ``chosen`` triangles (T,) have the median of what of their garment is seen.

    ``seen`` (T, S) are the samples that a picture shows well, ``groups`` (T,) the garments. One of which too little is
    seen stays.
    """
    out = colors.copy()
    for group in np.unique(groups[chosen]):
        row = chosen & (groups == group)
        own = seen & row[:, None]
        if np.count_nonzero(own) >= _LEAST_SEEN:
            out[row] = np.median(colors[own], axis=0)
    return out


def with_plain_gaps(
    filled: NDArray[np.float32],
    known: NDArray[np.bool_],
    figure: Figure,
    triangles: NDArray[np.int32],
    groups: NDArray[np.uint8],
    vague: NDArray[np.bool_],
    arms: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return linear colors (T, S, 3) whose ``filled`` samples of ``vague`` triangles (T,) are of the garment's usual
    color, except close to what is ``known`` (T, S); that of ``arms`` (T,) is their own, which may be bare."""
    out = filled.copy()
    _, corners = sample_grid()
    place = np.einsum("sk,tkd->tsd", corners, figure.vertices[triangles])
    for group in np.unique(groups[vague]):
        # The file's long sleeves are a layer of their own.
        layer = np.isin(groups, (Group.UPPER, Group.SLEEVE)) if group == Group.SLEEVE else groups == group
        for limb in (arms, ~arms):
            wanted = (groups == group) & vague & limb
            seen = known & (layer & limb)[:, None]
            if np.count_nonzero(seen) < _LEAST_SEEN:
                seen = known & layer[:, None]
            if np.count_nonzero(seen) < _LEAST_SEEN or known[wanted].all():
                continue
            apart, _ = cKDTree(place[seen]).query(place[wanted].reshape(-1, 3))
            share = np.clip(apart / _REACH, 0, 1).reshape(-1, NUM_SAMPLES, 1)
            usual = np.median(filled[seen], axis=0)
            out[wanted] = filled[wanted] + share * (usual - filled[wanted])
    return out.astype(np.float32)
