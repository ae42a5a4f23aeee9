"""A picture of a character, with exact outline and joints, while a reference picture is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Joints = NDArray[np.float64]
_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_AT = {name: row for row, name in enumerate(_COCO)}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture of a character while it is made."""

    rgba: NDArray[np.uint8]
    """(H, W, 4) straight alpha."""
    joints: Joints
    """(17, 2) x, y px, COCO's order."""
    background: NDArray[np.uint8]
    """(h, w, 3) of any size."""
    truth: NDArray[np.bool_] | None = None
    """(H, W) the person in the finished picture; None: the character's alpha."""
    expects: str = "fit"
    """``fit``, ``error``, or ``colors`` where only the colors can be adopted."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        return self.rgba[..., 3] > 127 if self.truth is None else self.truth

    def at(self, name: str) -> Joints:
        return self.joints[_AT[name]]

    @property
    def unit_px(self) -> float:
        """From the shoulders to the hips."""
        return float(self._middle("hip")[1] - self._middle("shoulder")[1])

    def _middle(self, part: str) -> Joints:
        return (self.at(f"left_{part}") + self.at(f"right_{part}")) / 2


def offset(x: float, y: float) -> Joints:
    return np.array([x, y])
