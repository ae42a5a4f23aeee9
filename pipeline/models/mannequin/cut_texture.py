"""Colors of the body parts that a reference picture cuts off or misses."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.joints import HIPS, JOINT
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Group
from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.unclear_body import usual_color

_LEGS = (Group.LOWER, Group.LEG)
_LEAST_KNOWN = 0.05
"""Fraction of the trousers that must be visible for the rest to take their color."""
_NEAR = (0.0, 0.06)
"""Heights below the last visible row over which the cloth turns into its mean color: a pattern carried on downwards
would be smeared."""

_HAND = 0.03
"""Height above the border within which a wrist is guessed, or most of its hand is below, standing heights."""
_FAR = 0.01
"""Distance beside the mask from which it says nothing, standing heights."""
_BESIDE = 0.05
"""Distance from the middle beyond which a top shows neither tie nor opening, standing heights."""


def far_beside(reference: ReferenceView) -> Mask:
    """Return (h, w) where the picture says nothing of the person.

    Colors are continued beyond the mask; a surface that lies far beyond it would get stripes.
    """
    apart = cv2.distanceTransform((~reference.mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(apart > _FAR * reference.height_px)


def cut_off(reference: ReferenceView, parts: NDArray[np.int64], groups: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(T,) triangles of hands whose wrists, and of trousers whose hips, are below the picture's lower border.

    What the picture shows there is sleeve and top.
    """
    out = np.zeros(len(parts), bool)
    if not np.isfinite(reference.cut_row):
        return out
    for side, suffix in (("left", "L"), ("right", "R")):
        wrist = reference.skeleton[JOINT[f"{side}_wrist"], 1]
        if not wrist < reference.cut_row - _HAND * reference.height_px:
            out |= (groups == Group.SKIN) & (parts == PARTS.index(f"arm.{suffix}"))
    if not reference.skeleton[HIPS, 1].mean() < reference.cut_row:
        out |= np.isin(groups, (*_LEGS, Group.SHIN, Group.SKIRT))
    return out


def with_matching_legs(
    fine: NDArray[np.float32],
    known: NDArray[np.bool_],
    corners: NDArray[np.float32],
    groups: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return colors (T, S, 3) and what of them is known (T, S), with trousers whose lower part is cut off completed.

    They continue in the usual color of what is visible. ``corners`` (T, 3, 3) are the triangles' at rest.
    """
    legs = np.isin(groups, _LEGS)
    if not legs.any() or known[legs].mean() < _LEAST_KNOWN:
        return fine, known & ~legs[:, None]
    _, weights = sample_grid()
    level = np.einsum("sk,tk->ts", weights, corners[..., 1])
    seen = known & legs[:, None]
    end = float(np.quantile(level[seen], 0.98))
    usual = usual_color(fine[seen])
    share = np.clip((level - end - _NEAR[0]) / (_NEAR[1] - _NEAR[0]), 0, 1)[..., None]
    out = np.where((legs[:, None] & ~known)[..., None], usual, fine)
    out = np.where(seen[..., None], (1 - share) * fine + share * usual, out)
    return out.astype(np.float32), known | legs[:, None]


def with_matching_top(
    fine: NDArray[np.float32],
    known: NDArray[np.bool_],
    corners: NDArray[np.float32],
    groups: NDArray[np.uint8],
    parts: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return completed colors (T, S, 3) whose top turns into the cloth of its sides below what is ``known`` (T, S).

    Where a portrait ends at the chest, tie, opening and folds would else be drawn out to the hem. ``corners`` (T, 3, 3)
    are the triangles' at rest, ``parts`` (T,) their body parts.
    """
    trunk = (groups == Group.UPPER) & (parts == PARTS.index("torso"))
    seen = known & trunk[:, None]
    if not seen.any():
        return fine
    _, weights = sample_grid()
    place = np.einsum("sk,tkd->tsd", weights, corners)
    beside = seen & (np.abs(place[..., 0]) > _BESIDE)
    cloth = usual_color(fine[beside if beside.any() else seen])
    end = float(np.quantile(place[..., 1][seen], 0.98))
    share = np.clip((place[..., 1] - end - _NEAR[0]) / (_NEAR[1] - _NEAR[0]), 0, 1)
    share *= trunk[:, None] & ~known
    return np.asarray(fine + share[..., None] * (cloth - fine), np.float32)
