"""Pose the figure on a 3D skeleton: directions from the landmarks, lengths the figure's own, ankles on the subject's.

Each frame is solved for itself, by functions that are continuous in the skeleton, so that smooth skeletons give smooth
poses and nothing jumps where one window ends. Depth of the landmarks is noisy and leans towards the camera: it is
limited to what foreshortening allows, and damped in torso and head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS, JOINT
from pipeline.models.mannequin.figure import BONE, BONES, LANDMARK, Figure, Pose
from pipeline.models.mannequin.limbs import limit_depth, push_out_of_capsules, sole_frame, solve_two_bone_ik
from pipeline.models.mannequin.rotations import (
    basis_from,
    cross,
    exp_rotation,
    log_rotation,
    normalized,
    ramp,
    rotation_about,
    rotation_between,
    slerp,
)
from pipeline.models.mannequin.skeleton import fill_skeleton, soften_skeleton

_DOWN = np.array([0.0, 1.0, 0.0])
_SIDES = (("left", ".L", 1.0), ("right", ".R", -1.0))
BLAZEPOSE_DEPTH_GAIN = 0.35
"""BlazePose's z, in the px of its x and y, is about three times too deep: shoulders and hips of turning people span 2.4
to 3.7 times their width in z, and against walk_a's truth the shoulders' slope is 0.25, the limbs' 0.11 to 0.26."""
_SEEN_LEG = 0.456
"""From BlazePose's hips to its ankles where legs are straight, standing heights: with it both ways of placing the hips
agree best on walk_a (the mean error of all joints fell from 2.05 to 1.45 % of body height, on walk_d from 4.85 to
4.35)."""
_TRUST_HIPS = 0.8
"""Share of the hips' own height against the height that the legs' directions give them."""
_HIPS_BEHIND = 0.025
"""Standing heights (walk_a: 0.02 to 0.03 to the front of the rig's hips)."""
_LEAN = 0.4
"""Share kept of the torso's depth lean: the landmarks' bias leans people towards the camera by 10 to 20 degrees."""
_TORSO_RADIUS, _THIGH_RADIUS = 0.068, 0.05
"""Of the capsules that keep arms out of the body, standing heights: clothed, and less than the widest place."""


class Poser:
    """Solves poses of one figure; holds what its rest pose tells."""

    def __init__(self, figure: Figure, depth_gain: float = 1.0) -> None:
        self._figure = figure
        self._depth = np.array([1.0, 1.0, depth_gain])
        self._heads = {name: figure.heads[row] for name, row in BONE.items()}
        heads, marks = self._heads, figure.landmarks
        hips = (heads["thigh1.L"] + heads["thigh1.R"]) / 2
        shoulders = (heads["upperarm1.L"] + heads["upperarm1.R"]) / 2
        self._leg_length = float(
            np.linalg.norm(heads["shin1.L"] - heads["thigh1.L"]) + np.linalg.norm(heads["foot.L"] - heads["shin1.L"])
        )
        self._hip_width = float(np.linalg.norm(heads["thigh1.L"] - heads["thigh1.R"]))
        self._shoulder_width = float(np.linalg.norm(heads["upperarm1.L"] - heads["upperarm1.R"]))
        self._torso_length = float(np.linalg.norm(hips - shoulders))
        self._torso_rest = basis_from(hips - shoulders, np.array([1.0, 0.0, 0.0]))
        self._face_names = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
        face = np.array([marks[LANDMARK[name]] for name in self._face_names])
        self._face_rest = face - face.mean(0)
        self._face_rows = [JOINT[name] for name in self._face_names]

    def pose(
        self, skeleton: NDArray[np.float32], body_height_px: float, seen: NDArray[np.float64] | None = None
    ) -> Pose:
        """Pose on one frame's (23, 3) skeleton in crop px; NaN joints hang. Raises ``ValueError`` when all are NaN.

        ``seen`` (23,) 0..1 says how far each joint is believed (None: all that are known): one that is not pulls
        nothing, so that hips, shoulders or head alone suffice.
        """
        points = fill_skeleton(self._figure, skeleton * self._depth, body_height_px)
        if seen is not None:
            points = soften_skeleton(self._figure, points, seen)
        rotations: dict[str, Float64Array] = {}
        pelvis, _ = self._torso(points)
        # The rig's hips lie behind the landmarks', which are on the body's front.
        points[HIPS] += _HIPS_BEHIND * pelvis[:, 2] * np.array([1.0, 0.0, 1.0])
        pelvis, chest = self._torso(points)
        rotations["pelvis"] = pelvis
        rotations["spine1"] = slerp(pelvis, chest, 0.35)
        rotations["spine2"] = slerp(pelvis, chest, 0.7)
        rotations["chest"] = chest
        head = self._head(points, chest)
        rotations["head"] = head
        rotations["neck"] = slerp(chest, head, 0.45)
        for side, suffix, sign in _SIDES:
            self._girdle(points, rotations, side, suffix, sign)
        places = self._torso_places(rotations)
        chains = {suffix: self._leg_directions(points, pelvis, side, suffix) for side, suffix, _ in _SIDES}
        body = self._body_capsules(places, chains)
        for side, suffix, sign in _SIDES:
            self._arm(points, rotations, places, body, side, suffix, sign)
        hips, legs = self._legs(points, rotations, places, chains, np.ones(len(points)) if seen is None else seen)
        return self._assemble(rotations, places, hips, legs, body_height_px)

    # Torso and head ---------------------------------------------------------------------------------------------------

    def _torso(self, points: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Rotations of pelvis and chest."""
        hip_l, hip_r = points[JOINT["left_hip"]], points[JOINT["right_hip"]]
        shoulder_l, shoulder_r = points[JOINT["left_shoulder"]], points[JOINT["right_shoulder"]]
        down = (hip_l + hip_r - shoulder_l - shoulder_r) / 2
        down = limit_depth(down, self._torso_length) * np.array([1.0, 1.0, _LEAN])
        down = normalized(down, _DOWN)
        hip_axis = limit_depth(hip_l - hip_r, self._hip_width)
        shoulder_axis = limit_depth(shoulder_l - shoulder_r, self._shoulder_width)
        # Each axis lends the other some of its turn: their noise is independent.
        pelvis_left = (0.65 * hip_axis + 0.35 * shoulder_axis) * np.array([1.0, 0.6, 1.0])
        chest_left = (0.25 * hip_axis + 0.75 * shoulder_axis) * np.array([1.0, 0.8, 1.0])
        upright = normalized(0.5 * down + 0.5 * _DOWN, _DOWN)
        rest = self._torso_rest.T
        return basis_from(upright, pelvis_left) @ rest, basis_from(down, chest_left) @ rest

    def _head(self, points: Float64Array, chest: Float64Array) -> Float64Array:
        """Rotation of the head: Kabsch's fit of the five face points, pitch and roll damped towards upright."""
        face = points[self._face_rows]
        centered = face - face.mean(0)
        left, _, right = np.linalg.svd(centered.T @ self._face_rest)
        sign = np.sign(np.linalg.det(left @ right))
        fit = np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)
        upright = basis_from(0.25 * (chest @ _DOWN) + 0.75 * _DOWN, chest[:, 0])
        pitch, yaw, roll = log_rotation(upright.T @ fit)
        # tanh: far turns are mostly noise of a face that is not seen.
        local = np.array([0.45 * np.tanh(pitch / 0.9), 1.1 * np.tanh(0.85 * yaw / 1.1), 0.55 * np.tanh(roll / 0.8)])
        return upright @ exp_rotation(local)

    def _torso_places(self, rotations: dict[str, Float64Array]) -> dict[str, Float64Array]:
        """Places of the bones' heads up to the shoulders, and of the hips, with the pelvis at the origin."""
        places = {"pelvis": np.zeros(3)}
        chain = [("spine1", "pelvis"), ("spine2", "spine1"), ("chest", "spine2"), ("neck", "chest"), ("head", "neck")]
        for suffix in (".L", ".R"):
            limbs = ["chest", *(b + suffix for b in ("clavicle", "upperarm1"))]
            chain += list(zip(limbs[1:], limbs[:-1], strict=True))
            chain.append(("thigh1" + suffix, "pelvis"))
        for bone, parent in chain:
            places[bone] = places[parent] + rotations[parent] @ (self._heads[bone] - self._heads[parent])
        return places

    # Arms -------------------------------------------------------------------------------------------------------------

    def _girdle(
        self, points: Float64Array, rotations: dict[str, Float64Array], side: str, suffix: str, sign: float
    ) -> None:
        """The shoulder girdle rises with the arm: about one third of the way, beyond 50 degrees from hanging."""
        heads, chest = self._heads, rotations["chest"]
        length = float(np.linalg.norm(heads["forearm1" + suffix] - heads["upperarm1" + suffix]))
        upper = limit_depth(points[JOINT[f"{side}_elbow"]] - points[JOINT[f"{side}_shoulder"]], length)
        local = chest.T @ upper
        raised = float(np.arctan2(np.sqrt(local[0] ** 2 + local[2] ** 2), local[1]))
        lift = 0.30 * max(raised - 0.85, 0.0) - 0.06
        rotations["clavicle" + suffix] = chest @ rotation_about(np.array([0.0, 0.0, 1.0]), -sign * lift)

    def _body_capsules(
        self, places: dict[str, Float64Array], chains: dict[str, tuple[Float64Array, Float64Array, Float64Array]]
    ) -> list[tuple[Float64Array, Float64Array, float]]:
        """Start, end and radius of what an arm must not pass through, with the pelvis at the origin."""
        capsules = [(places["pelvis"], places["chest"], _TORSO_RADIUS)]
        for suffix, (thigh, _, _) in chains.items():
            hip = places["thigh1" + suffix]
            capsules.append((hip, hip + thigh, _THIGH_RADIUS))
        return capsules

    def _arm(
        self,
        points: Float64Array,
        rotations: dict[str, Float64Array],
        places: dict[str, Float64Array],
        body: list[tuple[Float64Array, Float64Array, float]],
        side: str,
        suffix: str,
        sign: float,
    ) -> None:
        heads, chest = self._heads, rotations["chest"]
        shoulder, elbow, wrist = (heads[b + suffix] for b in ("upperarm1", "forearm1", "hand"))
        knuckles = self._figure.landmarks[LANDMARK[f"{side}_knuckles"]]
        seen = [points[JOINT[f"{side}_{part}"]] for part in ("shoulder", "elbow", "wrist", "hand")]
        long_upper, long_fore = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
        long_hand = float(np.linalg.norm(knuckles - wrist))
        # A near arm that touches the body passes before it, a far one behind; facing the camera, before it.
        side_depth = sign * chest[2, 0] - 0.6 * chest[2, 2]
        where = float(np.tanh(side_depth / 0.15))
        start = places["upperarm1" + suffix]
        joint = push_out_of_capsules(start + long_upper * limit_depth(seen[1] - seen[0], long_upper), body, where, 0.03)
        upper = normalized(joint - start)
        start = start + long_upper * upper
        joint = push_out_of_capsules(start + long_fore * limit_depth(seen[2] - seen[1], long_fore), body, where, 0.03)
        fore = normalized(joint - start)
        start = start + long_fore * fore
        hand = normalized(0.75 * fore + 0.5 * normalized(seen[3] - seen[2], fore), fore)
        hand = normalized(push_out_of_capsules(start + long_hand * hand, body, where, 0.03) - start)

        base = rotations["clavicle" + suffix]
        rest_upper, rest_fore = normalized(elbow - shoulder), normalized(wrist - elbow)
        swung = rotation_between(np.asarray(base @ rest_upper), upper) @ base
        hinge = swung @ normalized(cross(rest_upper, rest_fore))
        bend = cross(upper, fore)
        twist = float(np.arctan2(cross(hinge, bend) @ upper, hinge @ bend))
        sure = ramp(float(np.sqrt(bend @ bend)), 0.1, 0.5) * ramp(abs(twist), 2.9, 1.9)
        twist *= sure
        rotations["upperarm1" + suffix] = rotation_about(upper, 0.45 * twist) @ swung
        rotations["upperarm2" + suffix] = rotation_about(upper, twist) @ swung
        lower = (
            rotation_between(np.asarray(rotations["upperarm2" + suffix] @ rest_fore), fore)
            @ rotations["upperarm2" + suffix]
        )
        # At rest the palms look down; a hanging arm's palm looks at the thigh.
        turned = rotation_about(fore, sign * 0.5)
        rotations["forearm1" + suffix] = rotation_about(fore, sign * 0.15) @ lower
        rotations["forearm2" + suffix] = turned @ lower
        rest_hand = normalized(knuckles - wrist)
        rotations["hand" + suffix] = rotation_between(np.asarray(turned @ lower @ rest_hand), hand) @ turned @ lower

    # Legs -------------------------------------------------------------------------------------------------------------

    def _legs(
        self,
        points: Float64Array,
        rotations: dict[str, Float64Array],
        places: dict[str, Float64Array],
        chains: dict[str, tuple[Float64Array, Float64Array, Float64Array]],
        seen: NDArray[np.float64],
    ) -> tuple[Float64Array, dict[str, Float64Array]]:
        """Turn the legs' bones so that the ankles land; return the pelvis' place and each bone's size factor.

        Where no ankle is seen the figure hangs on hips, shoulders or head, and the legs go where they may.
        """
        targets = {suffix: points[JOINT[f"{side}_ankle"]] for side, suffix, _ in _SIDES}
        firm = {suffix: float(seen[JOINT[f"{side}_ankle"]]) for side, suffix, _ in _SIDES}
        stands = max(firm.values())
        # The lower ankle is the planted one: it weighs more, continuously.
        lowest = max(t[1] for t in targets.values())
        weight = {s: (firm[s] + 1e-3) * float(np.exp((t[1] - lowest) / 0.05)) for s, t in targets.items()}
        total = sum(weight.values())
        root = np.zeros(3)
        for suffix, (thigh, shin, _) in chains.items():
            landing = places["thigh1" + suffix] + thigh + shin
            root += weight[suffix] / total * (targets[suffix] - landing)
        # How far the legs bend is told twice: by their bones' directions, and by how far hips and ankles lie apart.
        observed = np.zeros(3)
        for side, suffix, _ in _SIDES:
            reach = points[JOINT[f"{side}_hip"]] - points[JOINT[f"{side}_ankle"]]
            hip = targets[suffix] + reach * (self._leg_length / _SEEN_LEG)
            observed += weight[suffix] / total * (hip - places["thigh1" + suffix])
        root[1] += _TRUST_HIPS * (observed[1] - root[1])
        root = stands * root + (1 - stands) * self._hanging_root(points, places, seen)
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
        for side, suffix, sign in _SIDES:
            self._turn_leg(points, rotations, side, suffix, sign, chains[suffix], sizes[suffix])
        return root, sizes

    def _hanging_root(
        self, points: Float64Array, places: dict[str, Float64Array], seen: NDArray[np.float64]
    ) -> Float64Array:
        """Where the pelvis is by what is seen above the legs: head and shoulders, which show most, more than hips."""
        found, weights = [], []
        for part, bone, share in (("hip", "thigh1", 0.5), ("shoulder", "upperarm1", 1.0)):
            for side, suffix, _ in _SIDES:
                row = JOINT[f"{side}_{part}"]
                found.append(points[row] - places[bone + suffix])
                weights.append(share * float(seen[row]))
        # Softened, the joints hang together: without any weight of their own they still say where the head is.
        return np.average(found, axis=0, weights=np.array(weights) + 1e-3)

    def _leg_directions(
        self, points: Float64Array, pelvis: Float64Array, side: str, suffix: str
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Thigh and shin vectors (own lengths), and the knee's axis (towards the body's left)."""
        heads = self._heads
        long_thigh = float(np.linalg.norm(heads["shin1" + suffix] - heads["thigh1" + suffix]))
        long_shin = float(np.linalg.norm(heads["foot" + suffix] - heads["shin1" + suffix]))
        hip, knee, ankle, heel, toe = (
            points[JOINT[f"{side}_{part}"]] for part in ("hip", "knee", "ankle", "heel", "toe")
        )
        thigh, shin = limit_depth(knee - hip, long_thigh), limit_depth(ankle - knee, long_shin)
        # A knee bends backwards only. Its axis: the pelvis', turned by the foot and by the bend itself.
        forward = normalized(toe - heel, -pelvis[:, 2])
        foot_axis = cross(forward, thigh)
        bend = cross(thigh, shin)
        bend = bend * ramp(float(bend @ pelvis[:, 0]), -0.1, 0.25)
        axis = 1.0 * pelvis[:, 0] + 0.35 * foot_axis + 1.6 * bend
        axis = normalized(axis - (axis @ thigh) * thigh, pelvis[:, 0])
        back = cross(axis, thigh)
        bent = float(shin @ back)
        # Softly non-negative: a hinge at exactly 0 would make the knee tick.
        shin = normalized(shin + (0.5 * (np.sqrt(bent * bent + 0.003) + bent) - bent) * back)
        return long_thigh * thigh, long_shin * shin, axis

    def _turn_leg(
        self,
        points: Float64Array,
        rotations: dict[str, Float64Array],
        side: str,
        suffix: str,
        sign: float,
        chain: tuple[Float64Array, Float64Array, Float64Array],
        solved: Float64Array,
    ) -> None:
        heads, pelvis = self._heads, rotations["pelvis"]
        thigh, shin = solved[0], solved[1]
        axis = chain[2]
        rest_left = np.array([1.0, 0.0, 0.0])
        thigh_turn = (
            basis_from(thigh, axis) @ basis_from(heads["shin1" + suffix] - heads["thigh1" + suffix], rest_left).T
        )
        shin_turn = basis_from(shin, axis) @ basis_from(heads["foot" + suffix] - heads["shin1" + suffix], rest_left).T
        swung = (
            rotation_between(
                np.asarray(pelvis @ normalized(heads["shin1" + suffix] - heads["thigh1" + suffix])), normalized(thigh)
            )
            @ pelvis
        )
        rotations["thigh1" + suffix] = slerp(swung, thigh_turn, 0.5)
        rotations["thigh2" + suffix] = thigh_turn
        rotations["shin1" + suffix] = shin_turn

        heel, toe = points[JOINT[f"{side}_heel"]], points[JOINT[f"{side}_toe"]]
        marks = self._figure.landmarks
        rest_sole = marks[LANDMARK[f"{side}_toe"]] - marks[LANDMARK[f"{side}_heel"]]
        length = float(np.linalg.norm(rest_sole))
        ahead = cross(normalized(shin), axis)
        sole = (toe - heel) / length
        # Foreshortened feet have the noisiest depth of all: the leg tells the rest of where the foot points.
        sole = sole + 0.45 * ahead * np.array([1.0, 0.15, 1.0])
        sole = normalized(sole, ahead)
        pitch = float(np.clip(sole[1], -0.55, 0.97))
        across = normalized(np.array([sole[0], 0.0, sole[2]]), ahead)
        sole = np.array([across[0] * np.sqrt(1 - pitch**2), pitch, across[2] * np.sqrt(1 - pitch**2)])
        left = cross(np.array([0.0, 1.0, 0.0]), -across)
        rest_flat = normalized(np.array([rest_sole[0], 0.0, rest_sole[2]]))
        rest_foot = sole_frame(rest_flat, cross(_DOWN, -rest_flat))
        # A foot that points down steeply takes its roll from the shin.
        left = normalized(left + 0.3 * axis)
        foot_turn = sole_frame(sole, left) @ rest_foot.T
        rotations["foot" + suffix] = foot_turn
        rotations["shin2" + suffix] = slerp(
            shin_turn,
            basis_from(shin, left) @ basis_from(heads["foot" + suffix] - heads["shin1" + suffix], rest_left).T,
            0.5,
        )
        # With the heel up the toes stay on the ground.
        curl = 0.8 * max(float(np.arcsin(pitch)) - 0.12, 0.0)
        rotations["toe" + suffix] = (
            foot_turn @ rest_foot @ rotation_about(np.array([1.0, 0.0, 0.0]), -min(curl, 0.75)) @ rest_foot.T
        )

    def _assemble(
        self,
        rotations: dict[str, Float64Array],
        places: dict[str, Float64Array],
        root: Float64Array,
        sizes: dict[str, Float64Array],
        scale: float,
    ) -> Pose:
        heads = self._heads
        linear, offset = np.zeros((len(BONES), 3, 3)), np.zeros((len(BONES), 3))
        at = {name: place + root for name, place in places.items()}
        factor = dict.fromkeys(BONES, 1.0)
        for suffix in (".L", ".R"):
            for bone, parent in (("forearm1", "upperarm1"), ("hand", "forearm1")):
                # The half of a limb next to the child carries it.
                turner = rotations[parent.replace("1", "2") + suffix]
                reach = turner @ (heads[bone + suffix] - heads[parent + suffix])
                at[bone + suffix] = at[parent + suffix] + reach
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
            offset[row] = at[name] - linear[row] @ heads[name]
        return Pose(linear * scale, offset * scale)
