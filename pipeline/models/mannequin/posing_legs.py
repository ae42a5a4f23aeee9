"""Orientation of the figure's legs and feet, and the pelvis position that puts the ankles in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import LANDMARK
from pipeline.models.mannequin.landmark_bias import LandmarkBias
from pipeline.models.mannequin.limbs import Leg, limit_depth, sole_frame, solve_two_bone_ik
from pipeline.models.mannequin.rest_pose import DOWN, SIDES, RestPose, Side
from pipeline.models.mannequin.rotations import (
    basis_from,
    cross,
    normalized,
    ramp,
    rotation_about,
    rotation_between,
    slerp,
)

_SEEN_LEG = 0.4584
"""From BlazePose's hips to its ankles where legs are straight, standing heights: with it a fitted figure's hips are
as high as the true ones on two rendered walks, to .2 % of body height."""
_SIDEWAYS = 0.35
"""A foot pointing less than about this much towards or away from the camera has little depth."""
_LEFT = np.array([1.0, 0.0, 0.0])
_TRUST_HIPS = 0.8
"""Weight of the hips' own height against the height implied by the legs' directions."""
_TRUST_TRUNK = 0.95
"""Weight of the trunk's own horizontal position against the one implied by the legs' directions."""

_TRUST_KNEE = 0.44
"""Of where a knee is seen beside the line from hip to ankle, against where the leg's directions put it."""
_KNEES_BEHIND = 0.012
"""The landmarks' knees lie behind the rig's by this much, standing heights (0.005 to 0.013 on two rendered walks)."""
_BENT = (0.35, 0.15)
"""Sines of a bone's angle with the line from hip to ankle at which a knee is not moved, and is moved fully."""
_MOST_ASIDE = 0.03
"""Standing heights: farther off is an error of the landmarks."""


def turn_legs(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    places: dict[str, Float64Array],
    chains: dict[str, Leg],
    seen: NDArray[np.float64],
    bias: LandmarkBias,
) -> tuple[Float64Array, dict[str, Float64Array]]:
    """Orient the legs' bones so that the ankles are in place; return the pelvis position and each bone's scale.

    Where no ankle is visible the figure is placed by hips, shoulders or head, and the legs follow.
    """
    targets = {side.suffix: points[JOINT[f"{side.name}_ankle"]] for side in SIDES}
    firm = {side.suffix: float(seen[JOINT[f"{side.name}_ankle"]]) for side in SIDES}
    stands = max(firm.values())
    # The lower ankle is the planted one: it has more weight, continuously.
    lowest = max(t[1] for t in targets.values())
    weight = {s: (firm[s] + 1e-3) * float(np.exp((t[1] - lowest) / 0.05)) for s, t in targets.items()}
    total = sum(weight.values())
    root = np.zeros(3)
    for suffix, (thigh, shin, _) in chains.items():
        landing = places["thigh1" + suffix] + thigh + shin
        root += weight[suffix] / total * (targets[suffix] - landing)
    # The legs' flexion is observed twice: by the bones' directions, and by the distance of hips and ankles.
    observed = np.zeros(3)
    for side in SIDES:
        reach = points[JOINT[f"{side.name}_hip"]] - points[JOINT[f"{side.name}_ankle"]]
        hip = targets[side.suffix] + reach * (rest.leg_length / _SEEN_LEG)
        observed += weight[side.suffix] / total * (hip - places["thigh1" + side.suffix])
    root[1] += _TRUST_HIPS * (observed[1] - root[1])
    # Horizontally the trunk is observed directly: an error of the legs' directions would shift everything above.
    root[0] += _TRUST_TRUNK * (_hanging_root(rest, points, places, seen)[0] - root[0])
    root = stands * root + (1 - stands) * _hanging_root(rest, points, places, seen)
    root[2] = 0.0
    for suffix, (thigh, shin, _) in chains.items():
        landing = root + places["thigh1" + suffix] + thigh + shin
        targets[suffix] = firm[suffix] * targets[suffix] + (1 - firm[suffix]) * landing
    sizes: dict[str, Float64Array] = {}
    for _ in range(4):
        miss = np.zeros(3)
        for suffix, chain in chains.items():
            hip = root + places["thigh1" + suffix]
            solved, short = solve_two_bone_ik(chain, targets[suffix] - hip)
            sizes[suffix] = solved
            miss += weight[suffix] / total * short
        root[:2] += stands * miss[:2]
    for side in SIDES:
        sizes[side.suffix] = _with_knee_as_seen(sizes[side.suffix], points, rotations["pelvis"], seen, side)
        _turn_leg(rest, points, rotations, side, chains[side.suffix], sizes[side.suffix], bias)
    return root, sizes


def _with_knee_as_seen(
    bones: Float64Array,
    points: Float64Array,
    pelvis: Float64Array,
    seen: NDArray[np.float64],
    side: Side,
) -> Float64Array:
    """Return the (2, 3) thigh and shin with the knee moved in the picture, across the leg, towards where it is seen.

    Hip and ankle stay. Across the leg a joint's place is certain, and so small a move hardly changes the length of a
    bone that runs along the leg; a bent knee stays where it is.
    """
    thigh, shin = bones
    knee, ankle = (JOINT[f"{side.name}_{part}"] for part in ("knee", "ankle"))
    along = (thigh + shin)[:2]
    length = float(np.hypot(*along))
    across = np.array([-along[1], along[0], 0.0]) / max(length, 1e-6)
    ahead = -_KNEES_BEHIND * pelvis[:, 2]
    off = float((points[knee] + ahead - points[ankle] + shin) @ across)
    slant = max(abs(float(bone @ across)) / float(np.linalg.norm(bone)) for bone in bones)
    # A leg that points at the camera has no side.
    trust = _TRUST_KNEE * float(min(seen[knee], seen[ankle])) * ramp(length, 0.1, 0.2) * ramp(slant, *_BENT)
    step = trust * _MOST_ASIDE * np.tanh(off / _MOST_ASIDE) * across
    return np.stack([thigh + step, shin - step])


def _hanging_root(
    rest: RestPose, points: Float64Array, places: dict[str, Float64Array], seen: NDArray[np.float64]
) -> Float64Array:
    """The pelvis position from the visible joints above the legs: head and shoulders, the most visible, more than
    hips."""
    found = []
    weights = []
    for part, bone, share in (("hip", "thigh1", 0.5), ("shoulder", "upperarm1", 1.0)):
        for side in SIDES:
            row = JOINT[f"{side.name}_{part}"]
            found.append(points[row] - places[bone + side.suffix])
            weights.append(share * float(seen[row]))
    # Softened joints are linked: even without their own weight they constrain the head.
    return np.average(found, axis=0, weights=np.array(weights) + 1e-3)


def leg_directions(rest: RestPose, points: Float64Array, pelvis: Float64Array, side: Side) -> Leg:
    """Thigh and shin vectors (own lengths), and the knee's axis (towards the body's left)."""
    heads = rest.heads
    long_thigh = float(np.linalg.norm(heads["shin1" + side.suffix] - heads["thigh1" + side.suffix]))
    long_shin = float(np.linalg.norm(heads["foot" + side.suffix] - heads["shin1" + side.suffix]))
    hip, knee, ankle, heel, toe = (
        points[JOINT[f"{side.name}_{part}"]] for part in ("hip", "knee", "ankle", "heel", "toe")
    )
    thigh, shin = limit_depth(knee - hip, long_thigh), limit_depth(ankle - knee, long_shin)
    # A knee bends backward only. Its axis is the pelvis', rotated by the foot and by the bend itself.
    forward = normalized(toe - heel, -pelvis[:, 2])
    foot_axis = cross(forward, thigh)
    bend = cross(thigh, shin)
    bend = bend * ramp(float(bend @ pelvis[:, 0]), -0.1, 0.25)
    axis = 1.0 * pelvis[:, 0] + 0.35 * foot_axis + 1.6 * bend
    axis = normalized(axis - (axis @ thigh) * thigh, pelvis[:, 0])
    back = cross(axis, thigh)
    bent = float(shin @ back)
    # Softly non-negative: a hard limit at 0 would make the knee jitter.
    shin = normalized(shin + (0.5 * (np.sqrt(bent * bent + 0.003) + bent) - bent) * back)
    return long_thigh * thigh, long_shin * shin, axis


def _turn_leg(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    side: Side,
    chain: Leg,
    solved: Float64Array,
    bias: LandmarkBias,
) -> None:
    """Turn thigh, shin, foot and toe onto the (2, 3) ``solved`` bones; halves of a limb share its twist."""
    heads = rest.heads
    pelvis = rotations["pelvis"]
    thigh, shin = solved
    axis = chain[2]
    rest_thigh = heads["shin1" + side.suffix] - heads["thigh1" + side.suffix]
    rest_shin = heads["foot" + side.suffix] - heads["shin1" + side.suffix]
    thigh_turn = basis_from(thigh, axis) @ basis_from(rest_thigh, _LEFT).T
    shin_turn = basis_from(shin, axis) @ basis_from(rest_shin, _LEFT).T
    swung = rotation_between(np.asarray(pelvis @ normalized(rest_thigh)), normalized(thigh)) @ pelvis
    rotations["thigh1" + side.suffix] = slerp(swung, thigh_turn, 0.5)
    rotations["thigh2" + side.suffix] = thigh_turn
    rotations["shin1" + side.suffix] = shin_turn
    left = _turn_foot(rest, points, rotations, side, shin, axis, bias)
    shin_with_foot = basis_from(shin, left) @ basis_from(rest_shin, _LEFT).T
    rotations["shin2" + side.suffix] = slerp(shin_turn, shin_with_foot, 0.5)


def _turn_foot(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    side: Side,
    shin: Float64Array,
    axis: Float64Array,
    bias: LandmarkBias,
) -> Float64Array:
    """Turn foot and toe; return the (3,) direction of the foot's left. ``axis`` is the knee's."""
    heel, toe = points[JOINT[f"{side.name}_heel"]], points[JOINT[f"{side.name}_toe"]]
    marks = rest.landmarks
    rest_sole = marks[LANDMARK[f"{side.name}_toe"]] - marks[LANDMARK[f"{side.name}_heel"]]
    length = float(np.linalg.norm(rest_sole))
    ahead = cross(normalized(shin), axis)
    sole = (toe - heel) / length
    # Foreshortened feet have the noisiest depth: the sole's length and the leg determine the direction.
    hidden = np.sqrt(max(1.0 - float(sole[0] ** 2 + sole[1] ** 2), 0.0))
    # On a flat foot the heel's landmark is higher than the toe's.
    sole[1] -= (rest_sole[1] + bias.toes_below + bias.toes_below_ahead * hidden) / length
    sole[2] = hidden * np.tanh(ahead[2] / _SIDEWAYS)
    sole = sole + 0.45 * ahead * np.array([1.0, 0.15, 1.0])
    sole = normalized(sole, ahead)
    pitch = float(np.clip(sole[1], -0.55, 0.97))
    across = normalized(np.array([sole[0], 0.0, sole[2]]), ahead)
    sole = np.array([across[0] * np.sqrt(1 - pitch**2), pitch, across[2] * np.sqrt(1 - pitch**2)])
    left = cross(DOWN, -across)
    # The landmarks run along the foot, while the figure's own, at the big toe, run inwards.
    rest_bone = rest.heads["toe" + side.suffix] - rest.heads["foot" + side.suffix]
    rest_flat = normalized(np.array([rest_bone[0], 0.0, rest_bone[2]]))
    rest_foot = sole_frame(rest_flat, cross(DOWN, -rest_flat))
    # A foot that points down steeply takes its roll from the shin.
    left = normalized(left + 0.3 * axis)
    foot_turn = sole_frame(sole, left) @ rest_foot.T
    rotations["foot" + side.suffix] = foot_turn
    # With the heel up the toes stay on the ground.
    curl = 0.8 * max(float(np.arcsin(pitch)) - 0.12, 0.0)
    rotations["toe" + side.suffix] = foot_turn @ rest_foot @ rotation_about(_LEFT, -min(curl, 0.75)) @ rest_foot.T
    return left
