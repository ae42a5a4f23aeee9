"""Skeletons of the figure at rest, and completion of skeletons with unknown joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure
from pipeline.models.mannequin.rotations import normalized, ramp

_DOUBTED = (0.0, 0.05)
"""Confidence bounds: below the first a joint has no influence, above the second full: half-hidden joints are estimated
well."""
_SIDES = (("left", ".L", 1.0), ("right", ".R", -1.0))
_PARENT = {
    JOINT[f"{side}_{child}"]: JOINT[f"{side}_{parent}"]
    for side in ("left", "right")
    for child, parent in (
        ("elbow", "shoulder"), ("wrist", "elbow"), ("hand", "wrist"), ("knee", "hip"), ("ankle", "knee"),
        ("heel", "ankle"), ("toe", "heel"),
    )
}  # fmt: skip


def fill_skeleton(figure: Figure, skeleton: NDArray[np.floating], body_height_px: float) -> Float64Array:
    """Return (23, 3) figure units with unknown joints taken from a relaxed standing figure attached to the known ones.

    An unknown joint is placed relative to its nearest known parent as in the relaxed figure: an invisible limb hangs.
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


def believed(joints: NDArray[np.float32]) -> Float64Array:
    """Return (23,) the trust in each joint of a skeleton, 0..1, from the joints' (21, 3) confidence.

    A hand has the value of its wrist.
    """
    seen = np.array([ramp(value, *_DOUBTED) for value in np.nan_to_num(joints[:, 2]).tolist()])
    return np.concatenate([seen, seen[[JOINT["left_wrist"], JOINT["right_wrist"]]]])


def soften_skeleton(figure: Figure, points: Float64Array, seen: Float64Array) -> Float64Array:
    """Return (23, 3) figure units: each joint blended between a relaxed figure and its measurement by its trust.

    ``points`` (23, 3) are complete (``fill_skeleton``), ``seen`` (23,) 0..1. The rest of the weight is a joint of a
    relaxed figure attached to the joints nearer to the trunk; where hips or shoulders are missing, to the other two,
    rotated like those. Everything is continuous in ``seen``: a leg that comes into the picture does not jump.
    """
    rest = relaxed_skeleton(figure)
    out = points.copy()
    hips, shoulders = ([JOINT[f"{side}_{part}"] for side in ("left", "right")] for part in ("hip", "shoulder"))
    body = [*hips, *shoulders]
    # The face counts only where the trunk is not visible.
    weights = seen * np.where(np.isin(np.arange(len(rest)), body), 1.0, 1e-3) + 1e-9
    root = (weights[:, None] * (points - rest)).sum(axis=0) / weights.sum()
    for pair, other in ((shoulders, hips), (hips, shoulders)):
        trust = float(seen[other].min())
        # A trunk with one visible end is assumed upright, and as wide as that end.
        width = np.linalg.norm(rest[pair[0]] - rest[pair[1]]) / np.linalg.norm(rest[other[0]] - rest[other[1]])
        middle = points[other].mean(axis=0) + rest[pair].mean(axis=0) - rest[other].mean(axis=0)
        half = width * (points[other[0]] - points[other[1]]) / 2
        from_other = np.stack([middle + half, middle - half])
        guess = trust * from_other + (1 - trust) * (rest[pair] + root)
        out[pair] = seen[pair, None] * points[pair] + (1 - seen[pair, None]) * guess
    neck = out[shoulders].mean(axis=0) - rest[shoulders].mean(axis=0)
    for j in range(len(out)):
        if j not in body:
            parent = _PARENT.get(j)
            guess = rest[j] + (neck if parent is None else out[parent] - rest[parent])
            out[j] = seen[j] * points[j] + (1 - seen[j]) * guess
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
