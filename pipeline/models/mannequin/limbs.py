"""Solve one limb at a time: depth limits, leg inverse kinematics, arm collisions."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.rotations import cross, normalized, ramp, rotation_between

Capsule = tuple[Float64Array, Float64Array, float]
"""Start and end of the axis (3,), radius."""
Leg = tuple[Float64Array, Float64Array, Float64Array]
"""Thigh and shin vectors (3,), and the knee's axis (3,) towards the body's left."""

_STRETCH = 0.035
"""Unnoticeable change of a leg's length; absorbs small differences of proportion without bending the knee."""


def limit_depth(bone: Float64Array, length: float) -> Float64Array:
    """A direction whose depth is at most what foreshortening of a bone this long allows (with 6 % to spare)."""
    flat = float(bone[0] ** 2 + bone[1] ** 2)
    room = float(np.sqrt(max((1.06 * length) ** 2 - flat, 0.0)))
    depth = 0.0
    if room > 1e-6:
        # A soft limit keeps the direction smooth in time; depths well inside it stay as they are.
        share = bone[2] / room
        depth = room * share / (1 + share**4) ** 0.25
    return normalized(np.array([bone[0], bone[1], depth]))


def solve_two_bone_ik(chain: Leg, target: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Move a leg's end to ``target`` (x and y exact; z yields first); return (2, 3) bones and the remaining distance.

    The bent leg rotates as a whole and changes size by up to ``_STRETCH``; beyond that the knee bends or straightens
    (law of cosines). A distance remains only for a target out of reach.
    """
    thigh, shin, axis = chain
    a, b = float(np.linalg.norm(thigh)), float(np.linalg.norm(shin))
    end = thigh + shin
    span = float(np.linalg.norm(end))
    flat = float(np.hypot(target[0], target[1]))
    # The ankle's depth is the least certain: keep the leg's own unless that makes it too long.
    room = np.sqrt(max(((1 + _STRETCH) * span) ** 2 - flat**2, (0.15 * span) ** 2))
    goal = np.array([target[0], target[1], room * np.tanh(end[2] / room)])
    distance = float(np.linalg.norm(goal))
    size = 1 + _STRETCH * float(np.tanh((distance / span - 1) / _STRETCH))
    wanted = distance / size
    straight = 0.9995 * (a + b)
    if wanted > straight:
        wanted = straight
        size = min(distance / straight, 1 + _STRETCH)
    missing = goal * (1 - wanted * size / distance)
    wanted = max(wanted, 0.35 * (a + b))
    cosine = float(np.clip((a * a + wanted * wanted - b * b) / (2 * a * wanted), -1, 1))
    ahead = normalized(goal - missing)
    front = cross(normalized(end), axis)
    front = rotation_between(normalized(end), ahead) @ front
    front = normalized(front - (front @ ahead) * ahead)
    new_thigh = a * (cosine * ahead + np.sqrt(1 - cosine * cosine) * front)
    new_shin = wanted * ahead - new_thigh
    return np.stack([new_thigh, new_shin]) * size, missing


def push_out_of_capsules(point: Float64Array, capsules: list[Capsule], where: float, own: float) -> Float64Array:
    """Move a point of thickness ``own`` along z out of the capsules: nearer for ``where`` -1, farther for +1.

    A point entirely on the other side stays there: an arm may well be behind the back.
    """
    out = point.copy()
    for start, stop, radius in capsules:
        along = stop - start
        flat = float(along[0] ** 2 + along[1] ** 2)
        t = float(np.clip(((out[:2] - start[:2]) @ along[:2]) / max(flat, 1e-9), 0, 1))
        axis = start + t * along
        apart = float(np.hypot(out[0] - axis[0], out[1] - axis[1])) / (radius + own)
        if apart >= 1:
            continue
        half = (radius + own) * (1 - apart * apart)
        side = where * (out[2] - axis[2]) / half
        out[2] += where * half * max(1 - side, 0.0) * ramp(side, -1.8, -0.8)
    return out


def sole_frame(forward: Float64Array, left: Float64Array) -> Float64Array:
    """(3, 3) rotation with -z along the sole and x as near ``left`` as it can be."""
    z = -normalized(forward)
    x = normalized(left - (left @ z) * z)
    return np.stack([x, cross(z, x), z], 1)
