"""Orientation of the figure's shoulders, arms and hands."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import LANDMARK
from pipeline.models.mannequin.limbs import Capsule, Leg, limit_depth, push_out_of_capsules
from pipeline.models.mannequin.rest_pose import RestPose, Side
from pipeline.models.mannequin.rotations import cross, normalized, ramp, rotation_about, rotation_between

_TORSO_RADIUS, _THIGH_RADIUS = 0.068, 0.05
"""Radii of the capsules that keep arms out of the body, standing heights: clothed, and less than the widest part."""


_TO_PLACE = 0.9
"""Weight of the bone's end point in the picture when aiming an arm; the rest is its direction."""


def turn_shoulder(
    rest: RestPose, points: Float64Array, rotations: dict[str, Float64Array], side: Side, near: float
) -> None:
    """Raise the shoulder girdle with the arm: about one third of the way, beyond 50 degrees from hanging.

    ``near`` is the body's height over its distance from the camera. The trunk leans in depth as the camera looks down
    at the hips; under parallel rays the farther shoulder would therefore be the higher one, but a camera is about as
    high as shoulders are, and sees them level.
    """
    heads = rest.heads
    chest = rotations["chest"]
    length = float(np.linalg.norm(heads["forearm1" + side.suffix] - heads["upperarm1" + side.suffix]))
    upper = limit_depth(points[JOINT[f"{side.name}_elbow"]] - points[JOINT[f"{side.name}_shoulder"]], length)
    local = chest.T @ upper
    raised = float(np.arctan2(np.sqrt(local[0] ** 2 + local[2] ** 2), local[1]))
    lift = 0.30 * max(raised - 0.85, 0.0) - 0.06
    above_hips = rest.torso_length * float(chest[1, 1])
    tilt = near * above_hips * float(chest[2, 0])
    rotations["clavicle" + side.suffix] = chest @ rotation_about(np.array([0.0, 0.0, 1.0]), tilt - side.sign * lift)


def body_capsules(rest: RestPose, places: dict[str, Float64Array], chains: dict[str, Leg]) -> list[Capsule]:
    """Capsules (start, end, radius) that an arm must not penetrate, with the pelvis at the origin."""
    capsules = [(places["pelvis"], places["chest"], _TORSO_RADIUS)]
    for suffix, (thigh, _, _) in chains.items():
        hip = places["thigh1" + suffix]
        capsules.append((hip, hip + thigh, _THIGH_RADIUS))
    return capsules


def _aimed(own: Float64Array, seen_start: Float64Array, seen_stop: Float64Array) -> Float64Array:
    """From the figure's own joint towards the next: partly along the observed bone, partly to its end point."""
    along = seen_stop - seen_start
    there = seen_stop - own
    flat = (1 - _TO_PLACE) * along[:2] + _TO_PLACE * there[:2]
    return np.array([flat[0], flat[1], along[2]])


def turn_arm(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    places: dict[str, Float64Array],
    body: list[Capsule],
    side: Side,
    size: float,
) -> None:
    """Orient upper arm, forearm and hand outside the ``body``; the twist is distributed over the halves of each.

    ``points`` (23, 3) and ``places`` have the pelvis at the origin. The arm is drawn ``size`` times as large.
    """
    heads = rest.heads
    chest = rotations["chest"]
    shoulder, elbow, wrist = (heads[b + side.suffix] for b in ("upperarm1", "forearm1", "hand"))
    knuckles = rest.landmarks[LANDMARK[f"{side.name}_knuckles"]]
    seen = [points[JOINT[f"{side.name}_{part}"]] for part in ("shoulder", "elbow", "wrist", "hand")]
    long_upper = size * float(np.linalg.norm(elbow - shoulder))
    long_fore = size * float(np.linalg.norm(wrist - elbow))
    long_hand = size * float(np.linalg.norm(knuckles - wrist))
    # A near arm that touches the body passes in front of it, a far one behind; facing the camera, in front.
    side_depth = side.sign * chest[2, 0] - 0.6 * chest[2, 2]
    where = float(np.tanh(side_depth / 0.15))
    start = places["upperarm1" + side.suffix]
    towards = _aimed(start, seen[0], seen[1])
    joint = push_out_of_capsules(start + long_upper * limit_depth(towards, long_upper), body, where, 0.03)
    upper = normalized(joint - start)
    start = start + long_upper * upper
    towards = _aimed(start, seen[1], seen[2])
    joint = push_out_of_capsules(start + long_fore * limit_depth(towards, long_fore), body, where, 0.03)
    fore = normalized(joint - start)
    start = start + long_fore * fore
    hand = normalized(0.75 * fore + 0.5 * normalized(seen[3] - seen[2], fore), fore)
    hand = normalized(push_out_of_capsules(start + long_hand * hand, body, where, 0.03) - start)
    at_rest = normalized(elbow - shoulder), normalized(wrist - elbow), normalized(knuckles - wrist)
    _twist_arm(rotations, side, at_rest, (upper, fore, hand))


def _twist_arm(
    rotations: dict[str, Float64Array],
    side: Side,
    at_rest: tuple[Float64Array, Float64Array, Float64Array],
    aimed: tuple[Float64Array, Float64Array, Float64Array],
) -> None:
    """Turn the arm's bones from their directions at rest to the aimed ones, and distribute the twist along them."""
    rest_upper, rest_fore, rest_hand = at_rest
    upper, fore, hand = aimed
    base = rotations["clavicle" + side.suffix]
    swung = rotation_between(np.asarray(base @ rest_upper), upper) @ base
    hinge = swung @ normalized(cross(rest_upper, rest_fore))
    bend = cross(upper, fore)
    twist = float(np.arctan2(cross(hinge, bend) @ upper, hinge @ bend))
    sure = ramp(float(np.sqrt(bend @ bend)), 0.1, 0.5) * ramp(abs(twist), 2.9, 1.9)
    twist *= sure
    rotations["upperarm1" + side.suffix] = rotation_about(upper, 0.45 * twist) @ swung
    rotations["upperarm2" + side.suffix] = rotation_about(upper, twist) @ swung
    lower = (
        rotation_between(np.asarray(rotations["upperarm2" + side.suffix] @ rest_fore), fore)
        @ rotations["upperarm2" + side.suffix]
    )
    # At rest the palms look down; a hanging arm's palm looks at the thigh.
    turned = rotation_about(fore, side.sign * 0.5)
    rotations["forearm1" + side.suffix] = rotation_about(fore, side.sign * 0.15) @ lower
    rotations["forearm2" + side.suffix] = turned @ lower
    rotations["hand" + side.suffix] = rotation_between(np.asarray(turned @ lower @ rest_hand), hand) @ turned @ lower
