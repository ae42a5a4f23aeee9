"""The figure's clothes: top, trousers and shoes, cut out of MakeHuman's ``helper-tights``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from builder.figure.mesh import Ints, along, even_rims, laplacian, normals_of, subdivide
from builder.figure.pieces import Piece, bone_weight, cut_piece
from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONES, Group

Joints = Mapping[str, Float64Array]
"""Places of MakeHuman's joints in one body."""


def clothes(positions: Float64Array, tights: Ints, weights: Float64Array, joints: Sequence[Joints]) -> list[Piece]:
    """Cut the clothes out of the first body, and let each body (rows of ``positions``) wear them by its own joints."""
    mean = positions[0]
    at = joints[0]
    center = mean[tights].mean(1)
    share = weights[tights].mean(1)
    arm = bone_weight(share, "upperarm1", "upperarm2", "forearm1", "forearm2", "hand") > 0.5
    shin = along(center, at["l-knee"], at["l-ankle"])
    thigh = along(center, at["l-upper-leg"], at["l-knee"])
    upper = along(center, at["l-shoulder"], at["l-elbow"])
    # The collar rises towards the nape.
    collar = at["neck"][1] + 0.02 - 0.35 * np.clip(center[:, 2] - at["neck"][2] + 0.2, -0.6, 1.2)
    hem = at["pelvis"][1] - 0.25
    waist = at["spine-4"][1] + 0.3

    top = (center[:, 1] > hem) & (center[:, 1] < collar)
    top_groups = np.where(arm & (upper > 0.72), Group.SLEEVE, Group.UPPER)
    bottom = (center[:, 1] < waist) & ~arm & (shin < 0.965)
    bottom_groups = np.where(thigh > 0.93, Group.LEG, Group.LOWER)
    shoe = (shin > 0.86) & ~arm

    def top_offset(p: Float64Array, w: Float64Array, at: Joints) -> Float64Array:
        loose = np.clip((at["spine-1"][1] - p[:, 1]) / 2.5, 0, 1) * (1 - bone_weight(w, "forearm1", "forearm2", "hand"))
        wrist = np.clip(along(p, at["l-elbow"], at["l-hand"]), 0, 1) * bone_weight(w, "forearm1", "forearm2", "hand")
        limb = bone_weight(w, "upperarm1", "upperarm2", "forearm1", "forearm2", "hand")
        # The collar lies on the skin: a gap there would show the dark inside.
        below = np.clip((at["neck"][1] + 0.1 - p[:, 1]) / 0.9, 0, 1)
        return (0.09 + 0.12 * loose - 0.03 * limb) * (0.25 + 0.75 * below) + 0.01 * wrist

    def bottom_offset(p: Float64Array, w: Float64Array, at: Joints) -> Float64Array:
        calf = np.clip(along(p, at["l-knee"], at["l-ankle"]), 0, 1)
        thigh = np.clip(along(p, at["l-upper-leg"], at["l-knee"]), 0, 1)
        return 0.06 + 0.05 * thigh + 0.13 * calf

    def shoe_offset(p: Float64Array, w: Float64Array, at: Joints) -> Float64Array:
        return 0.05 + 0.05 * np.clip((at["l-ankle"][1] - p[:, 1]) / 0.5, 0, 1)

    # A hem hangs from the hips: it follows the thighs only in part.
    hung = weights.copy()
    legs = [i for i, b in enumerate(BONES) if b.startswith("thigh")]
    hung[:, legs] *= 0.6
    hung[:, BONES.index("pelvis")] += 1 - hung.sum(1)
    pieces = [
        _garment(positions, tights[top], top_groups[top], hung, 6, top_offset, joints),
        _garment(positions, tights[bottom], bottom_groups[bottom], weights, 6, bottom_offset, joints),
        _shod(_garment(positions, tights[shoe], Group.SHOES, weights, 10, shoe_offset, joints)),
    ]
    return pieces


def _garment(
    positions: Float64Array,
    quads: Ints,
    groups: NDArray[np.uint8] | int,
    weights: Float64Array,
    rounds: int,
    offset: Callable[[Float64Array, Float64Array, Joints], Float64Array],
    joints: Sequence[Joints],
) -> Piece:
    """Subdivide, take the body's relief out (cloth spans it), and move it outwards.

    By ``offset(positions, weights, joints of the body)``, decimeters.
    """
    piece = cut_piece(positions, quads, groups, weights)
    stencil, fine = subdivide(piece.quads, len(piece.weights))
    share = np.asarray(stencil @ piece.weights)
    share /= share.sum(1, keepdims=True)
    smooth = laplacian(fine, len(share))
    places = []
    for coarse, at in zip(piece.positions, joints, strict=True):
        relaxed = stencil @ coarse
        for _ in range(rounds):
            # Taubin's pair of steps: smooths without shrinking.
            relaxed = relaxed + 0.5 * (smooth @ relaxed - relaxed)
            relaxed = relaxed - 0.51 * (smooth @ relaxed - relaxed)
        moved = relaxed + offset(relaxed, share, at)[:, None] * normals_of(relaxed, fine)
        places.append(even_rims(moved, fine, smooth))
    for _ in range(3):
        share = 0.5 * share + 0.5 * np.asarray(smooth @ share)
    return Piece(np.stack(places), fine, np.repeat(piece.groups, 4), share, np.ones((len(share), 3)))


def _shod(shoe: Piece) -> Piece:
    """Flatten the underside and lower the toe box."""
    positions = shoe.positions.copy()
    for p in positions:
        floor = p[:, 1].min()
        low = p[:, 1] < floor + 0.26
        p[low, 1] = floor + 0.25 * (p[low, 1] - floor) - 0.12
        # The toe box is lower than a bare foot's inflated toes.
        ahead = np.clip((p[:, 2] - 0.55) / 1.5, 0, 1)
        p[:, 1] -= 0.34 * ahead * np.maximum(p[:, 1] - floor, 0)
    return Piece(positions, shoe.quads, shoe.groups, shoe.weights, shoe.tint)
