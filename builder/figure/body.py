"""The figure's skin, hair and eyes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from builder.figure.mesh import Ints, along, laplacian, normals_of, subdivide
from builder.figure.pieces import Piece, bone_weight, cut_piece
from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONES, Group


def skin(positions: Float64Array, body: Ints, weights: Float64Array, at: Mapping[str, Float64Array]) -> Piece:
    """Head, neck, hands, and (drawn with short sleeves or legs) forearms and shins."""
    mean = positions[0]
    arm = bone_weight(weights, "upperarm1", "upperarm2", "forearm1", "forearm2", "hand") > 0.5
    leg = bone_weight(weights, "thigh1", "thigh2", "shin1", "shin2", "foot") > 0.5
    upper = along(mean, at["l-shoulder"], at["l-elbow"])
    fore = along(mean, at["l-elbow"], at["l-hand"])
    shin = along(mean, at["l-knee"], at["l-ankle"])
    thigh = along(mean, at["l-upper-leg"], at["l-knee"])
    # The collar's own line, less an overlap, so that a turning neck never opens a gap.
    neck = (mean[:, 1] > at["neck"][1] - 1.1) & ~arm & (np.abs(mean[:, 0]) < 1.5)
    kind = np.full(len(mean), 255, np.uint8)
    kind[neck] = Group.SKIN
    kind[arm & (upper > 0.45)] = Group.FOREARM
    kind[arm & (fore > 0.86)] = Group.SKIN
    kind[leg & (thigh > 0.7) & (shin < 1.02)] = Group.SHIN
    corner = kind[body]
    group = corner.max(1)
    # A face across two groups goes with the one always drawn; across the rim of the kept body it is dropped.
    group = np.where((corner != 255).all(1), corner.min(1), group)
    keep = group != 255
    return cut_piece(positions, body[keep], group[keep], weights, _face_tint(mean, at))


def _face_tint(mean: Float64Array, at: Mapping[str, Float64Array]) -> Float64Array:
    """Lips, brows and a warm nose and cheeks, by place around MakeHuman's eye and mouth joints."""
    tint = np.ones((len(mean), 3))
    x, y, z = np.abs(mean[:, 0]), mean[:, 1], mean[:, 2]
    eye = at["l-eye"]
    front = z > 0.75

    def paint(weight: Float64Array, color: tuple[float, float, float]) -> None:
        weight = np.where(front, np.clip(weight, 0, 1), 0.0)[:, None]
        tint[:] = tint * (1 - weight) + tint * np.array(color) * weight

    cheek = np.exp(-(((x - 0.42) / 0.22) ** 2) - ((y - eye[1] + 0.42) / 0.2) ** 2)
    nose = np.exp(-((x / 0.16) ** 2) - ((y - eye[1] + 0.36) / 0.14) ** 2)
    paint(0.7 * np.maximum(cheek, nose), (1.0, 0.86, 0.84))
    # The mouth's slit lies 0.645 dm under the eyes in the mean shape; lips are 0.5 dm wide.
    lips = 1.25 * np.exp(-(((x / 0.25) ** 4) + (((y - eye[1] + 0.64) / 0.085) ** 4)))
    paint(lips, (0.86, 0.56, 0.55))
    brow_y = eye[1] + 0.165 + 0.22 * np.clip(x - 0.12, 0, 0.25) - 0.45 * np.maximum(x - 0.40, 0)
    brow = 1.4 * np.exp(-((np.abs(y - brow_y) / 0.05) ** 4) - ((x - 0.3) / 0.2) ** 6)
    paint(brow, (0.30, 0.24, 0.22))
    lids = np.exp(-(((x - eye[0]) / 0.2) ** 4) - ((y - eye[1]) / 0.1) ** 4)
    paint(0.5 * lids, (0.74, 0.62, 0.6))
    return tint


def hair(positions: Float64Array, body: Ints, weights: Float64Array, at: Mapping[str, Float64Array]) -> Piece:
    """Short hair: the scalp, thickened towards the crown."""
    mean = positions[0]
    eye = at["l-eye"]
    top = at["head-2"]
    depth = (mean[:, 2] - eye[2]) / (top[1] - eye[1])
    height = (mean[:, 1] - eye[1]) / (top[1] - eye[1])
    side = np.abs(mean[:, 0])
    # The hairline falls from the forehead over the temple, round the ear and down to the nape.
    back = [-0.4, 0.02, 0.28, 0.46, 0.57, 0.68, 0.79, 0.94, 1.07, 1.22, 1.5]
    line = np.interp(-depth, back, [0.60, 0.56, 0.43, 0.30, 0.11, 0.09, 0.19, 0.15, -0.05, -0.34, -0.54])
    inside = height - line
    # Far under the skin the cap does no harm; the ears, wider than the head, would stick out of it.
    ears = (side > 0.73) & (height < 0.32)
    scalp = (inside > -0.45) & ~ears & (bone_weight(weights, "head", "neck") > 0.9)
    quads = body[scalp[body].all(1)]
    piece = cut_piece(positions, quads, Group.HAIR, weights)
    stencil, quads = subdivide(piece.quads, len(piece.weights))
    used = np.unique(body[scalp[body].all(1)])
    places = np.stack([stencil @ p for p in piece.positions])
    level = stencil @ inside[used]
    smooth = laplacian(quads, len(level))
    for _ in range(5):
        level = 0.4 * level + 0.6 * (smooth @ level)
    front = np.clip(stencil @ depth[used] + 0.75, 0, 1)
    # Below the hairline it dives under the skin, so that the line itself is smooth whatever the faces are.
    full = np.clip(level / 0.45, 0, 1)
    thick = np.where(level < 0, 1.2 * level, 0.025 * np.clip(level / 0.03, 0, 1) + (0.055 + 0.10 * front) * full)
    # Subdivision has drawn the cap a little into the skull.
    thick = np.clip(thick, -0.10, None) + 0.012
    out = np.stack([p + thick[:, None] * normals_of(p, quads) for p in places])
    strand = np.sin(places[0][:, 0] * 37 + 5 * places[0][:, 1]) * np.sin(places[0][:, 0] * 23 - 9 * places[0][:, 2])
    tint = np.repeat(1 + 0.16 * strand[:, None], 3, 1) * (0.8 + 0.25 * np.clip(level / 0.5, 0, 1))[:, None]
    share = stencil @ piece.weights
    return Piece(out, quads, np.full(len(quads), Group.HAIR, np.uint8), share / share.sum(1, keepdims=True), tint)


def eyes(positions: Float64Array, faces: Mapping[str, list[list[int]]]) -> list[Piece]:
    meshes = []
    for side in ("l", "r"):
        quads = np.asarray(faces[f"helper-{side}-eye"], np.int64)
        weights = np.zeros((positions.shape[1], len(BONES)))
        weights[:, BONES.index("head")] = 1
        piece = cut_piece(positions, quads, Group.EYES, weights)
        stencil, fine = subdivide(piece.quads, len(piece.weights))
        places = np.stack([stencil @ p for p in piece.positions])
        center = places[0].mean(0)
        ray = places[0] - center
        off = np.linalg.norm(ray[:, :2], axis=1) / np.linalg.norm(ray, axis=1)
        iris = np.where((ray[:, 2] > 0) & (off < 0.55), 1.0, 0.0)[:, None]
        tint = 1 - iris * (1 - np.array([0.16, 0.10, 0.07]))
        meshes.append(
            Piece(places, fine, np.full(len(fine), Group.EYES, np.uint8), stencil @ piece.weights, np.asarray(tint))
        )
    return meshes
