"""Orientation and length of the figure's torso."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.landmark_bias import LandmarkBias
from pipeline.models.mannequin.limbs import limit_depth
from pipeline.models.mannequin.rest_pose import DOWN, RestPose
from pipeline.models.mannequin.rotations import basis_from, normalized, ramp

_LEAN = 0.8
"""Fraction kept of the torso's lean in depth: with it the shoulders of two rendered walks, seen from 6 degrees above,
are as far before the hips as they truly are."""

SPINE = ("spine1", "spine2", "chest")
"""Bones that stretch with the trunk; the pelvis keeps its size."""
_DEEP_BOW = (0.85, 0.3)
"""Cosine of the trunk's lean from which on, and at which fully, the pelvis leans with it."""
_SAME_TRUNK = 0.02
_MOST_STRETCH = 0.25


def turn_torso(rest: RestPose, points: Float64Array, bias: LandmarkBias) -> tuple[Float64Array, Float64Array]:
    """Rotations of pelvis and chest."""
    hip_l, hip_r = points[JOINT["left_hip"]], points[JOINT["right_hip"]]
    shoulder_l, shoulder_r = points[JOINT["left_shoulder"]], points[JOINT["right_shoulder"]]
    down = (hip_l + hip_r - shoulder_l - shoulder_r) / 2
    # Landmarks' trunks are longer than the rig's: measured against its own length none would have room to lean.
    down = limit_depth(down, bias.trunk_length * rest.torso_length) * np.array([1.0, 1.0, _LEAN])
    down = normalized(down, DOWN)
    hip_axis = limit_depth(hip_l - hip_r, rest.hip_width)
    shoulder_axis = limit_depth(shoulder_l - shoulder_r, rest.shoulder_width)
    # Each axis is averaged with part of the other's rotation: their noise is independent.
    pelvis_left = (0.65 * hip_axis + 0.35 * shoulder_axis) * np.array([1.0, 0.6, 1.0])
    chest_left = (0.25 * hip_axis + 0.75 * shoulder_axis) * np.array([1.0, 0.8, 1.0])
    # Who bends a little bends the spine; who goes down to the ground, the hips.
    share = 0.5 + 0.45 * ramp(float(down @ DOWN), *_DEEP_BOW)
    upright = normalized(share * down + (1 - share) * DOWN, DOWN)
    return basis_from(upright, pelvis_left) @ rest.torso.T, basis_from(down, chest_left) @ rest.torso.T


def trunk_stretch(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    seen: NDArray[np.float64],
    bias: LandmarkBias,
) -> float:
    """Return the factor on the spine's length that brings the shoulders as far from the hips as they are seen.

    People differ, and a camera that looks down sees the upper body larger; the rig's trunk is the same in all pictures.
    ``seen`` (23,) is the trust in each joint: a trunk that is not seen whole keeps its length, and so does one that is
    seen end-on.
    """
    hips = points[HIPS].mean(axis=0)
    shoulders = points[SHOULDERS].mean(axis=0)
    places = place_torso(rest, rotations)
    end = (places["upperarm1.L"] + places["upperarm1.R"]) / 2
    begin = (places["thigh1.L"] + places["thigh1.R"]) / 2
    own = float(np.hypot(*(end - begin)[:2]))
    if own < 1e-6:
        return 1.0
    wanted = float(np.hypot(*(shoulders - hips)[:2])) / bias.trunk_length / own - 1
    # A few per cent are noise of the landmarks.
    wanted = float(np.sign(wanted)) * max(abs(wanted) - _SAME_TRUNK, 0.0)
    trust = float(seen[HIPS + SHOULDERS].min()) * ramp(own / rest.torso_length, 0.45, 0.75)
    spine = abs(float((end - places["spine1"])[:2] @ (end - begin)[:2])) / own**2
    return 1 + trust * _MOST_STRETCH * float(np.tanh(wanted / spine / _MOST_STRETCH))


def stretched_along(axis: Float64Array, factor: float) -> Float64Array:
    """(3, 3) that lengthens everything along a unit axis."""
    return np.eye(3) + (factor - 1) * np.outer(axis, axis)


def place_torso(
    rest: RestPose, rotations: dict[str, Float64Array], spine_stretch: float = 1.0
) -> dict[str, Float64Array]:
    """Places of the bones' heads up to the shoulders, and of the hips, with the pelvis at the origin."""
    along = stretched_along(DOWN, spine_stretch)
    places = {"pelvis": np.zeros(3)}
    chain = [("spine1", "pelvis"), ("spine2", "spine1"), ("chest", "spine2"), ("neck", "chest"), ("head", "neck")]
    for suffix in (".L", ".R"):
        limbs = ["chest", *(b + suffix for b in ("clavicle", "upperarm1"))]
        chain += list(zip(limbs[1:], limbs[:-1], strict=True))
        chain.append(("thigh1" + suffix, "pelvis"))
    for bone, parent in chain:
        reach = rest.heads[bone] - rest.heads[parent]
        if parent in SPINE:
            reach = along @ reach
        places[bone] = places[parent] + rotations[parent] @ reach
    return places
