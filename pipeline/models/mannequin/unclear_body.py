"""Plain cloth where a picture shows little of a body: forearms before it, a portrait, or a body that is turned aside.

What such a picture hides would else be filled with what happens to be beside it: fingers on a belly, a lapel on the
back, stripes around a sleeve. There the garment's usual color is a better guess.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from pipeline.joints import JOINT
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Figure, Group
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES, sample_grid
from pipeline.models.mannequin.reference import ReferenceView

_TURNED = np.tan(np.radians(22))
"""Slope of the shoulders in depth from which a body's far side is hardly seen, and its front lies on one side."""
_REACH = 0.012
"""Distance from what is seen over which a filled gap turns into the usual color, standing heights."""
_LEAST_SEEN = 200
"""Samples from which a garment's usual color is known."""
_BIN = 0.3
"""Width of a bin of log light in each channel: one cloth in soft light falls into a few of them."""
_DARKEST, _NUM_BINS = 4e-3, 22
_SHADE = 0.3
"""Weight of a difference in log light against one in the ratios of channels."""


def is_turned_aside(reference: ReferenceView) -> bool:
    """Return whether a view from the front or behind hardly shows one side of the body."""
    across = reference.skeleton[JOINT["left_shoulder"]] - reference.skeleton[JOINT["right_shoulder"]]
    return reference.view in ("front", "back") and bool(abs(across[2]) > _TURNED * abs(across[0]))


def is_unclear(reference: ReferenceView) -> bool:
    """Return whether a view from the front or behind has forearms before the body, or neither of them, or is aside."""
    arms = find_lower_arms(reference)
    return arms.are_folded or arms.shows_none or is_turned_aside(reference)


def usual_color(colors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (3,) linear color that most of (n, 3) have.

    Of several cloths, or of cloth and skin, the median of each channel is a color that none of them has.
    """
    logs = np.log(np.maximum(colors, _DARKEST) / _DARKEST)
    bins = np.clip((logs / _BIN).astype(np.int64), 0, _NUM_BINS - 1)
    counts = np.zeros((_NUM_BINS,) * 3)
    np.add.at(counts, tuple(bins.T), 1.0)
    most = np.unravel_index(uniform_filter(counts, 3, mode="constant").argmax(), counts.shape)
    alike = (np.abs(bins - np.array(most)) <= 1).all(1)
    return np.asarray(np.median(colors[alike], axis=0), np.float32)


def plain_cloth(
    colors: NDArray[np.float32],
    seen: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    groups: NDArray[np.uint8],
) -> NDArray[np.float32]:
    """Return linear colors (T, S, 3) whose ``chosen`` triangles (T,) have the usual color of their garment where it is
    seen.

    ``seen`` (T, S) are the samples that a picture shows well, ``groups`` (T,) the garments. One of which too little is
    seen stays.
    """
    out = colors.copy()
    for group in np.unique(groups[chosen]):
        row = chosen & (groups == group)
        own = seen & row[:, None]
        if np.count_nonzero(own) >= _LEAST_SEEN:
            out[row] = usual_color(colors[own])
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
            usual = usual_color(filled[seen])
            out[wanted] = filled[wanted] + share * (usual - filled[wanted])
    return out.astype(np.float32)


def apart_as_materials(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how different two linear colors (3,) are as materials: shade counts little."""
    logs = np.log(np.maximum(first, _DARKEST)) - np.log(np.maximum(second, _DARKEST))
    return float(np.hypot(logs[0] - logs[1], logs[2] - logs[1]) + _SHADE * abs(logs.mean()))


def with_plain_arms(
    colors: NDArray[np.float32],
    known: NDArray[np.bool_],
    well_seen: NDArray[np.bool_],
    groups: NDArray[np.uint8],
    parts: NDArray[np.int64],
    arms: Sequence[int],
    skin: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return linear colors (T, S, 3) and what of them is known (T, S) with plain ``arms``, numbers of parts.

    A portrait that ends at the upper arms shows them at a glance, beside background. They are bare if what is
    ``well_seen`` (T, S) of one is more like the ``skin`` (3,) than like the trunk's cloth, else of that. Below bare
    upper arms forearms and hands are as they are, and else stay.
    """
    out, now_known = colors.copy(), known.copy()
    tops = np.isin(groups, (Group.UPPER, Group.SLEEVE))
    trunk = known & well_seen & ((groups == Group.UPPER) & (parts == PARTS.index("torso")))[:, None]
    if np.count_nonzero(trunk) < _LEAST_SEEN:
        return out, now_known
    cloth = usual_color(colors[trunk])
    limbs = [tops & (parts == arm) for arm in arms]
    shown = [colors[limb][well_seen[limb] & known[limb]] for limb in limbs]
    usual = [usual_color(seen) for seen in shown if len(seen) >= _LEAST_SEEN]
    # One sleeve is as long as the other.
    bare = [own for own in usual if skin is not None and apart_as_materials(own, skin) < apart_as_materials(own, cloth)]
    for limb in limbs:
        out[limb] = bare[0] if bare else cloth
        now_known[limb] = True
    if bare:
        lower = np.isin(groups, (Group.SKIN, Group.FOREARM)) & np.isin(parts, list(arms))
        out[lower] = bare[0]
        now_known[lower] = True
    return out, now_known
