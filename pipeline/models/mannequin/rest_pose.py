"""Lengths and directions of the figure's rest pose that every pose preserves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure
from pipeline.models.mannequin.rotations import basis_from

DOWN = np.array([0.0, 1.0, 0.0])

FACE_NAMES = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
FACE_ROWS = [JOINT[name] for name in FACE_NAMES]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the body."""

    name: str
    """As the joints' names begin."""
    suffix: str
    """As the bones' names end."""
    sign: float
    """1 towards the body's left."""


SIDES = (Side("left", ".L", 1.0), Side("right", ".R", -1.0))


@dataclass(frozen=True, slots=True, eq=False)
class RestPose:
    """Places and lengths in standing heights; the figure's own axes."""

    heads: dict[str, Float64Array]
    """(3,) the joint about which each bone rotates."""
    landmarks: Float64Array
    """(landmarks, 3)."""
    leg_length: float
    hip_width: float
    shoulder_width: float
    torso_length: float
    torso: Float64Array
    """(3, 3) basis: down the torso, towards the left."""
    face: Float64Array
    """(5, 3) of ``FACE_NAMES``, about their mean."""

    @classmethod
    def of(cls, figure: Figure) -> RestPose:
        heads = {name: figure.heads[row] for name, row in BONE.items()}
        hips = (heads["thigh1.L"] + heads["thigh1.R"]) / 2
        shoulders = (heads["upperarm1.L"] + heads["upperarm1.R"]) / 2
        thigh = np.linalg.norm(heads["shin1.L"] - heads["thigh1.L"])
        shin = np.linalg.norm(heads["foot.L"] - heads["shin1.L"])
        face = np.array([figure.landmarks[LANDMARK[name]] for name in FACE_NAMES])
        return cls(
            heads=heads,
            landmarks=figure.landmarks,
            leg_length=float(thigh + shin),
            hip_width=float(np.linalg.norm(heads["thigh1.L"] - heads["thigh1.R"])),
            shoulder_width=float(np.linalg.norm(heads["upperarm1.L"] - heads["upperarm1.R"])),
            torso_length=float(np.linalg.norm(hips - shoulders)),
            torso=basis_from(hips - shoulders, np.array([1.0, 0.0, 0.0])),
            face=face - face.mean(0),
        )
