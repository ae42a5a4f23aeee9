"""Orientation of the figure's torso and head."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.limbs import limit_depth
from pipeline.models.mannequin.rest_pose import DOWN, FACE_ROWS, RestPose
from pipeline.models.mannequin.rotations import basis_from, exp_rotation, log_rotation, normalized

_LEAN = 0.4
"""Fraction kept of the torso's lean in depth: landmark bias leans people towards the camera by 10 to 20 degrees."""


def turn_torso(rest: RestPose, points: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Rotations of pelvis and chest."""
    hip_l, hip_r = points[JOINT["left_hip"]], points[JOINT["right_hip"]]
    shoulder_l, shoulder_r = points[JOINT["left_shoulder"]], points[JOINT["right_shoulder"]]
    down = (hip_l + hip_r - shoulder_l - shoulder_r) / 2
    down = limit_depth(down, rest.torso_length) * np.array([1.0, 1.0, _LEAN])
    down = normalized(down, DOWN)
    hip_axis = limit_depth(hip_l - hip_r, rest.hip_width)
    shoulder_axis = limit_depth(shoulder_l - shoulder_r, rest.shoulder_width)
    # Each axis is averaged with part of the other's rotation: their noise is independent.
    pelvis_left = (0.65 * hip_axis + 0.35 * shoulder_axis) * np.array([1.0, 0.6, 1.0])
    chest_left = (0.25 * hip_axis + 0.75 * shoulder_axis) * np.array([1.0, 0.8, 1.0])
    upright = normalized(0.5 * down + 0.5 * DOWN, DOWN)
    return basis_from(upright, pelvis_left) @ rest.torso.T, basis_from(down, chest_left) @ rest.torso.T


def turn_head(rest: RestPose, points: Float64Array, chest: Float64Array) -> Float64Array:
    """Rotation of the head: Kabsch's fit of the five face points, pitch and roll damped towards upright."""
    face = points[FACE_ROWS]
    centered = face - face.mean(0)
    left, _, right = np.linalg.svd(centered.T @ rest.face)
    sign = np.sign(np.linalg.det(left @ right))
    fit = np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)
    upright = basis_from(0.25 * (chest @ DOWN) + 0.75 * DOWN, chest[:, 0])
    pitch, yaw, roll = log_rotation(upright.T @ fit)
    # tanh: large rotations are mostly noise of a face that is not visible.
    local = np.array([0.45 * np.tanh(pitch / 0.9), 1.1 * np.tanh(0.85 * yaw / 1.1), 0.55 * np.tanh(roll / 0.8)])
    return upright @ exp_rotation(local)


def place_torso(rest: RestPose, rotations: dict[str, Float64Array]) -> dict[str, Float64Array]:
    """Places of the bones' heads up to the shoulders, and of the hips, with the pelvis at the origin."""
    places = {"pelvis": np.zeros(3)}
    chain = [("spine1", "pelvis"), ("spine2", "spine1"), ("chest", "spine2"), ("neck", "chest"), ("head", "neck")]
    for suffix in (".L", ".R"):
        limbs = ["chest", *(b + suffix for b in ("clavicle", "upperarm1"))]
        chain += list(zip(limbs[1:], limbs[:-1], strict=True))
        chain.append(("thigh1" + suffix, "pelvis"))
    for bone, parent in chain:
        places[bone] = places[parent] + rotations[parent] @ (rest.heads[bone] - rest.heads[parent])
    return places
