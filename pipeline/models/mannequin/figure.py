"""The mannequin's figure: its rig, the file it comes from, and posing it on a 3D skeleton. Pure numpy.

Convention: figure units are standing heights; x right in the picture (the figure's left when it faces the camera),
y down, z away from the camera. A bone's rotation maps the rest pose to the posed one; the rest pose faces the camera.
Left and right are the figure's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.shaped import Shaped, Shapes

_LIMBS = (
    "clavicle", "upperarm1", "upperarm2", "forearm1", "forearm2", "hand",
    "thigh1", "thigh2", "shin1", "shin2", "foot", "toe",
)  # fmt: skip
BONES = (
    "pelvis", "spine1", "spine2", "chest", "neck", "head",
    *(f"{limb}.L" for limb in _LIMBS), *(f"{limb}.R" for limb in _LIMBS),
)  # fmt: skip
BONE = {name: row for row, name in enumerate(BONES)}
LANDMARKS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_heel", "right_heel", "left_toe", "right_toe",
    "left_knuckles", "right_knuckles",
)  # fmt: skip
"""Points of the rig besides its bones' heads."""
LANDMARK = {name: row for row, name in enumerate(LANDMARKS)}
VARIANTS = ("auto", "female", "male")


class Group(IntEnum):
    """The surface type of a face; it determines its color."""

    SKIN = 0
    HAIR = 1
    EYES = 2
    UPPER = 3
    SLEEVE = 4
    """The top's long sleeves; drawn instead of ``FOREARM``."""
    FOREARM = 5
    LOWER = 6
    LEG = 7
    """The trousers' long legs; drawn instead of ``SHIN``."""
    SHIN = 8
    SHOES = 9
    SKIRT = 10
    """Cloth around both legs, fitted to a reference picture; the file has none."""
    LONG_HAIR = 11
    """Hair that hangs over the ears, likewise."""
    THING = 12
    """A hat, a bag or tied hair, likewise."""
    WRAP = 13
    """A scarf, a hood on the back or a cape, of prompts only."""
    GLASSES = 14
    """Likewise."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Figure(Shaped):
    """One body at rest."""

    SHAPES: ClassVar[Shapes] = {
        "vertices": ("V", 3), "triangles": ("F", 3), "groups": ("F",), "bone_index": ("V", 4), "bone_weight": ("V", 4),
        "heads": ("bones", 3), "landmarks": ("landmarks", 3), "tint": ("V", 3), "occlusion": ("V",),
    }  # fmt: skip

    vertices: NDArray[np.float32]
    """(V, 3)."""
    triangles: NDArray[np.int32]
    """(F, 3), normals outwards."""
    groups: NDArray[np.uint8]
    """(F,) of ``Group``."""
    bone_index: NDArray[np.uint8]
    """(V, 4)."""
    bone_weight: NDArray[np.float32]
    """(V, 4), rows sum to 1."""
    heads: Float64Array
    """(bones, 3) the joint of each bone."""
    landmarks: Float64Array
    """(landmarks, 3)."""
    tint: NDArray[np.float32]
    """(V, 3) factor on the group's color."""
    occlusion: NDArray[np.float32]
    """(V,) 0 (deep in a fold) to 1 (open sky)."""


def load_figure(path: Path, variant: str) -> Figure:
    """Read one of ``VARIANTS`` from the file that ``builder.figure`` wrote."""
    with np.load(path) as data:
        row = VARIANTS.index(variant)
        return Figure(
            vertices=data["vertices"][row],
            triangles=data["triangles"],
            groups=data["groups"],
            bone_index=data["bone_index"],
            bone_weight=data["bone_weight"],
            heads=data["bone_heads"][row].astype(np.float64),
            landmarks=data["landmarks"][row].astype(np.float64),
            tint=data["tint"].astype(np.float32) / 128,
            occlusion=data["occlusion"].astype(np.float32) / 255,
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pose(Shaped):
    """The pose of each bone: a rest point p of bone b maps to ``linear[b] @ p + offset[b]``, crop px."""

    SHAPES: ClassVar[Shapes] = {"linear": ("bones", 3, 3), "offset": ("bones", 3)}

    linear: Float64Array
    """(bones, 3, 3)."""
    offset: Float64Array
    """(bones, 3)."""

    def apply(self, bone: str, point: Float64Array) -> Float64Array:
        row = BONE[bone]
        return self.linear[row] @ point + self.offset[row]


_JOINT_BONES = {
    "shoulder": "upperarm1", "elbow": "forearm1", "wrist": "hand", "hip": "thigh1", "knee": "shin1", "ankle": "foot",
}  # fmt: skip
_MARK_BONES = {"nose": "head", "eye": "head", "ear": "head", "heel": "foot", "toe": "toe"}


def posed_joints(figure: Figure, pose: Pose) -> NDArray[np.float32]:
    """(21, 3) the figure's own joints, x, y crop px and confidence 1."""
    out = np.ones((NUM_JOINTS, 3), np.float32)
    for name, row in JOINT.items():
        if row >= NUM_JOINTS:
            continue
        side, _, part = name.rpartition("_")
        suffix = {"left": ".L", "right": ".R", "": ""}[side]
        if part in _JOINT_BONES:
            bone = _JOINT_BONES[part] + suffix
            out[row, :2] = pose.apply(bone, figure.heads[BONE[bone]])[:2]
        else:
            bone = _MARK_BONES[part] + (suffix if part in ("heel", "toe") else "")
            out[row, :2] = pose.apply(bone, figure.landmarks[LANDMARK[name]])[:2]
    return out


# Rotations ------------------------------------------------------------------------------------------------------------
