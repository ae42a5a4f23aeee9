"""Names and rows of the joints, and the groups of them that the passes use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

JOINT_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_heel", "right_heel", "left_toe", "right_toe",
)  # fmt: skip
"""COCO-17, then the feet."""


NUM_JOINTS = len(JOINT_NAMES)


SKELETON_NAMES = (*JOINT_NAMES, "left_hand", "right_hand")
"""The joints, then the middle of each hand's knuckles: the rows of a 3D skeleton."""


NUM_SKELETON = len(SKELETON_NAMES)


JOINT: Mapping[str, int] = {name: row for row, name in enumerate(SKELETON_NAMES)}


SHOULDERS = [JOINT["left_shoulder"], JOINT["right_shoulder"]]


HIPS = [JOINT["left_hip"], JOINT["right_hip"]]


ANKLES = [JOINT["left_ankle"], JOINT["right_ankle"]]


WRISTS = [JOINT["left_wrist"], JOINT["right_wrist"]]


FEET = [JOINT[f"{side}_{part}"] for part in ("ankle", "heel", "toe") for side in ("left", "right")]


FOOT_OF_SIDE = {side: [JOINT[f"{side}_{part}"] for part in ("ankle", "heel", "toe")] for side in ("left", "right")}


FACE = [JOINT[name] for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]


LEG_PARTS = ("knee", "ankle", "heel", "toe")


LEGS_OF_SIDE = {side: [JOINT[f"{side}_{part}"] for part in LEG_PARTS] for side in ("left", "right")}


@dataclass(frozen=True, slots=True)
class Limbs:
    """The eight bones of arms and legs: the left arm's, the left leg's, then the right ones, each from the trunk
    outwards."""

    kinds: tuple[str, ...]
    rows: tuple[tuple[int, int], ...]
    """Rows of the joints at each one's ends."""


_BONE_ENDS = {
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
}


LIMBS = Limbs(
    kinds=(*_BONE_ENDS, *_BONE_ENDS),
    rows=tuple(
        (JOINT[f"{side}_{first}"], JOINT[f"{side}_{last}"])
        for side in ("left", "right")
        for first, last in _BONE_ENDS.values()
    ),
)
