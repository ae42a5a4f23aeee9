"""Skeletons of the figure at rest, and skeletons made whole where joints are unknown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure
from pipeline.models.mannequin.rotations import normalized

_SIDES = (("left", ".L", 1.0), ("right", ".R", -1.0))
_PARENT = {
    JOINT[f"{side}_{child}"]: JOINT[f"{side}_{parent}"]
    for side in ("left", "right")
    for child, parent in (
        ("elbow", "shoulder"), ("wrist", "elbow"), ("hand", "wrist"), ("knee", "hip"), ("ankle", "knee"),
        ("heel", "ankle"), ("toe", "heel"),
    )
}  # fmt: skip


def fill_skeleton(figure: Figure, skeleton: NDArray[np.float32], body_height_px: float) -> Float64Array:
    """Return (23, 3) figure units with unknown joints taken from a relaxed standing figure at the known ones.

    An unknown joint lies from its nearest known parent as in the relaxed figure: a limb that is not seen hangs.
    Raises ``ValueError`` when no joint is known at all.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(skeleton).all(1))
    if not known.any():
        raise ValueError("a skeleton without any known joint")
    out = np.where(known[:, None], skeleton, 0).astype(np.float64) / body_height_px
    rest = relaxed_skeleton(figure)
    if not known.all():
        body = [JOINT[f"{side}_{part}"] for part in ("hip", "shoulder") for side in ("left", "right")]
        anchors = [j for j in body if known[j]] or list(np.flatnonzero(known))
        root = np.mean([out[j] - rest[j] for j in anchors], axis=0)
        for j in (*body, *range(len(out))):
            if known[j]:
                continue
            parent = _PARENT.get(j)
            out[j] = rest[j] + (root if parent is None else out[parent] - rest[parent])
            known[j] = True
    return out


def relaxed_skeleton(figure: Figure) -> Float64Array:
    """(23, 3) figure units: standing, facing the camera, arms hanging; z 0 at the hips."""
    out = np.zeros((len(JOINT), 3))
    bones = {"shoulder": "upperarm1", "hip": "thigh1", "knee": "shin1", "ankle": "foot"}
    for name, row in JOINT.items():
        side, _, part = name.rpartition("_")
        suffix = ".L" if side == "left" else ".R"
        if part in bones:
            out[row] = figure.heads[BONE[bones[part] + suffix]]
        elif name in LANDMARK:
            out[row] = figure.landmarks[LANDMARK[name]]
    for side, suffix, sign in _SIDES:
        place = out[JOINT[f"{side}_shoulder"]].copy()
        for part, bone, parent in (("elbow", "forearm1", "upperarm1"), ("wrist", "hand", "forearm1")):
            length = np.linalg.norm(figure.heads[BONE[bone + suffix]] - figure.heads[BONE[parent + suffix]])
            place = place + length * normalized(np.array([0.12 * sign, 1.0, -0.06]))
            out[JOINT[f"{side}_{part}"]] = place
        out[JOINT[f"{side}_hand"]] = place + np.array([0.0, 0.045, -0.005])
    out[:, 2] -= (out[JOINT["left_hip"], 2] + out[JOINT["right_hip"], 2]) / 2
    return out
