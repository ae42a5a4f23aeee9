"""Pose the figure on a 3D skeleton: directions from the landmarks, lengths of the figure, ankles on the subject's.

Frames are solved independently, by functions that are continuous in the skeleton, so that smooth skeletons give smooth
poses without jumps between windows. Landmark depth is noisy and biased towards the camera: it is limited to what
foreshortening allows, and damped in torso and head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS
from pipeline.models.mannequin.figure import BONE, BONES, Figure, Pose
from pipeline.models.mannequin.landmark_bias import LandmarkBias
from pipeline.models.mannequin.posing_arms import body_capsules, turn_arm, turn_shoulder
from pipeline.models.mannequin.posing_head import place_head, shift_to_face, turn_head
from pipeline.models.mannequin.posing_legs import leg_directions, turn_legs
from pipeline.models.mannequin.posing_torso import SPINE, place_torso, stretched_along, trunk_stretch, turn_torso
from pipeline.models.mannequin.rest_pose import DOWN, SIDES, RestPose
from pipeline.models.mannequin.rotations import slerp
from pipeline.models.mannequin.skeleton import fill_skeleton, soften_skeleton

HIPS_BEHIND = 0.036
"""Standing heights: with it the figure's hips are ahead of the true ones by 0.2 % of body height on two rendered walks
(0.6 % with 0.03)."""
_CLOSEST = 1.5
"""Body heights from which on a camera films somebody."""


class Poser:
    """Solves poses of one figure."""

    def __init__(self, figure: Figure, bias: LandmarkBias | None = None, *, is_still: bool = False) -> None:
        """``is_still``: for a single picture, in which nothing can flicker."""
        self._figure = figure
        self._rest = RestPose.of(figure)
        self._bias = bias or LandmarkBias()
        self._is_still = is_still

    def pose(
        self,
        skeleton: NDArray[np.float32],
        body_height_px: float,
        seen: NDArray[np.float64] | None = None,
        distance_px: float = float("inf"),
    ) -> Pose:
        """Pose on one frame's (23, 3) skeleton in crop px; limbs with NaN joints hang. Raises ``ValueError`` when all
        are NaN.

        ``seen`` (23,) 0..1 is the trust in each joint (None: full for all known ones): an untrusted joint has no
        influence, so that hips, shoulders or head alone suffice. Before a camera at ``distance_px`` the nearer shoulder
        is seen higher and its arm larger; the rays to all else are parallel.
        """
        near = 1 / max(distance_px / body_height_px, _CLOSEST)
        points = fill_skeleton(self._figure, self._bias.without(skeleton, body_height_px), body_height_px)
        if seen is not None:
            points = soften_skeleton(self._figure, points, seen)
        rotations: dict[str, Float64Array] = {}
        pelvis, _ = turn_torso(self._rest, points, self._bias)
        # The rig's hips lie behind the landmarks', which are on the body's front.
        points[HIPS] += HIPS_BEHIND * pelvis[:, 2] * np.array([1.0, 0.0, 1.0])
        pelvis, chest = turn_torso(self._rest, points, self._bias)
        rotations["pelvis"] = pelvis
        rotations["spine1"] = slerp(pelvis, chest, 0.35)
        rotations["spine2"] = slerp(pelvis, chest, 0.7)
        rotations["chest"] = chest
        head = turn_head(self._rest, points, chest, self._bias, is_still=self._is_still)
        rotations["head"] = head
        rotations["neck"] = slerp(chest, head, 0.45)
        for side in SIDES:
            turn_shoulder(self._rest, points, rotations, side, near)
        believed = np.ones(len(points)) if seen is None else seen
        spine = trunk_stretch(self._rest, points, rotations, believed, self._bias)
        places = place_torso(self._rest, rotations, spine)
        neck = place_head(self._rest, points, rotations, places, believed, self._bias)
        chains = {side.suffix: leg_directions(self._rest, points, pelvis, side) for side in SIDES}
        body = body_capsules(self._rest, places, chains)
        root, sizes = turn_legs(self._rest, points, rotations, places, chains, believed, self._bias)
        arms = {side.suffix: 1 - near * float(places["upperarm1" + side.suffix][2]) for side in SIDES}
        for side in SIDES:
            turn_arm(self._rest, points - root, rotations, places, body, side, arms[side.suffix])
        root = root + shift_to_face(self._rest, points, rotations, places, root, believed)
        stretches = {bone: stretched_along(DOWN, spine) for bone in SPINE}
        stretches["neck"] = stretched_along(DOWN, neck)
        return _assemble(self._rest, rotations, places, root, sizes, arms, stretches, body_height_px)


def _assemble(
    rest: RestPose,
    rotations: dict[str, Float64Array],
    places: dict[str, Float64Array],
    root: Float64Array,
    sizes: dict[str, Float64Array],
    arms: dict[str, float],
    stretches: dict[str, Float64Array],
    scale: float,
) -> Pose:
    heads = rest.heads
    linear = np.zeros((len(BONES), 3, 3))
    offset = np.zeros((len(BONES), 3))
    at = {name: place + root for name, place in places.items()}
    factor = dict.fromkeys(BONES, 1.0)
    for suffix in (".L", ".R"):
        for bone, parent in (("forearm1", "upperarm1"), ("hand", "forearm1")):
            # The half of a limb next to the child joint is its parent.
            turner = rotations[parent.replace("1", "2") + suffix]
            reach = turner @ (heads[bone + suffix] - heads[parent + suffix])
            at[bone + suffix] = at[parent + suffix] + arms[suffix] * reach
        for bone in ("upperarm1", "upperarm2", "forearm1", "forearm2", "hand"):
            factor[bone + suffix] = arms[suffix]
        thigh, shin = sizes[suffix][0], sizes[suffix][1]
        at["shin1" + suffix] = at["thigh1" + suffix] + thigh
        at["foot" + suffix] = at["shin1" + suffix] + shin
        at["toe" + suffix] = at["foot" + suffix] + rotations["foot" + suffix] @ (
            heads["toe" + suffix] - heads["foot" + suffix]
        )
        rest_thigh = np.linalg.norm(heads["shin1" + suffix] - heads["thigh1" + suffix])
        size = float(np.linalg.norm(thigh) / rest_thigh)
        for bone in ("thigh1", "thigh2", "shin1", "shin2"):
            factor[bone + suffix] = size
        for half in ("upperarm", "forearm", "thigh", "shin"):
            at[f"{half}2{suffix}"] = at[f"{half}1{suffix}"]
    for name, row in BONE.items():
        linear[row] = rotations[name] * factor[name]
        if name in stretches:
            linear[row] = linear[row] @ stretches[name]
        offset[row] = at[name] - linear[row] @ heads[name]
    return Pose(linear * scale, offset * scale)
