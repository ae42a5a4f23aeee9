"""Things that a walker carries, or that move beside them: shapes that follow the pose of walk_a's subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.solids import UP, Ball, Box, Canopy, Color, Point, Shape, Tube

_FIST_M = 0.09
"""From the wrist to the middle of the fist."""
_LEFT, _RIGHT = 0, 1
_SHOULDERS, _ELBOWS, _WRISTS, _HIPS = slice(5, 7), slice(7, 9), slice(9, 11), slice(11, 13)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where the subject's limbs are in one frame, m."""

    frame: int
    joints: NDArray[np.float64]
    """(17, 3)."""

    def fist(self, side: int) -> Point:
        """Return the middle of a fist."""
        wrist, elbow = self.joints[_WRISTS][side], self.joints[_ELBOWS][side]
        return np.asarray(wrist + _FIST_M * (wrist - elbow) / np.linalg.norm(wrist - elbow))

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3): unit vectors to the subject's left, to the front, and up."""
        shoulders, hips = self.joints[_SHOULDERS], self.joints[_HIPS]
        left = shoulders[_LEFT] - shoulders[_RIGHT] + hips[_LEFT] - hips[_RIGHT]
        left[2] = 0.0
        left /= np.linalg.norm(left)
        return np.stack([left, np.cross(left, UP), UP])

    @property
    def chest(self) -> Point:
        """The middle of the torso."""
        return np.asarray(self.joints[_SHOULDERS].mean(axis=0) * 0.65 + self.joints[_HIPS].mean(axis=0) * 0.35)


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """Something near the subject."""

    shapes: Callable[[Pose], Sequence[Shape]]
    is_carried: bool
    fists: tuple[int, ...] = ()
    """Hands that close around it, and are in front of it."""


def _hanging(pose: Pose, swing: float, rgb: Color, halves_m: tuple[float, float, float]) -> list[Shape]:
    """Return a bag that hangs from the right fist, turned by ``swing`` radians to the front."""
    left, front, up = pose.axes
    down = -np.cos(swing) * up + np.sin(swing) * front
    along = np.cos(swing) * front + np.sin(swing) * up
    fist = pose.fist(_RIGHT)
    top = fist + 0.14 * down
    bag = Box(top + halves_m[2] * down, np.stack([along, left, -down]), halves_m, rgb)
    strap = [Tube(fist, top + side * 0.7 * halves_m[0] * along, 0.012, (50, 40, 40)) for side in (-1, 1)]
    return [bag, *strap]


def _bag(pose: Pose) -> list[Shape]:
    return _hanging(pose, 0.0, (150, 40, 45), (0.18, 0.06, 0.14))


def _swinging_bag(pose: Pose) -> list[Shape]:
    return _hanging(pose, 0.45 * float(np.sin(2 * np.pi * pose.frame / 27)), (60, 130, 90), (0.15, 0.05, 0.18))


def _shoulder_bag(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    hip = pose.joints[_HIPS][_RIGHT] - 0.17 * left
    bag = Box(hip - 0.08 * up, np.stack([front, left, up]), (0.16, 0.05, 0.12), (190, 150, 60))
    chest = pose.chest + 0.14 * front
    strap = [
        Tube(pose.joints[_SHOULDERS][_LEFT] + 0.06 * up, chest, 0.018, (170, 130, 50)),
        Tube(chest, hip + 0.05 * up, 0.018, (170, 130, 50)),
    ]
    return [bag, *strap]


def _backpack(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    return [Box(pose.chest - 0.2 * front, np.stack([left, front, up]), (0.17, 0.11, 0.24), (88, 92, 45))]


def _box_in_front(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    return [Box(pose.chest + 0.3 * front - 0.12 * up, np.stack([left, front, up]), (0.22, 0.15, 0.15), (175, 135, 90))]


def _umbrella(pose: Pose) -> list[Shape]:
    fist = pose.fist(_LEFT)
    top = fist + 1.15 * UP
    return [Tube(fist - 0.1 * UP, top, 0.01, (60, 60, 65)), Canopy(top, 0.5, 0.2, (200, 60, 150))]


def _stick(pose: Pose) -> list[Shape]:
    _, front, up = pose.axes
    fist = pose.fist(_RIGHT)
    lean = up + 0.35 * front
    lean = lean / np.linalg.norm(lean)
    return [Tube(fist - 0.55 * lean, fist + 0.45 * lean, 0.014, (225, 205, 120))]


def _phone(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    return [Box(pose.fist(_LEFT) + 0.05 * up, np.stack([front, left, up]), (0.04, 0.008, 0.085), (20, 22, 30))]


def _cup(pose: Pose) -> list[Shape]:
    fist = pose.fist(_RIGHT)
    paper = Tube(fist - 0.05 * UP, fist + 0.07 * UP, 0.036, (236, 232, 222))
    return [paper, Tube(fist - 0.02 * UP, fist + 0.02 * UP, 0.039, (120, 85, 60))]


def _guitar_case(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    lean = up - 0.25 * left
    lean = lean / np.linalg.norm(lean)
    across = np.cross(front, lean)
    middle = pose.chest - 0.19 * front - 0.1 * lean
    body = Box(middle - 0.15 * lean, np.stack([across, front, lean]), (0.18, 0.06, 0.27), (42, 40, 46))
    neck = Box(middle + 0.42 * lean, np.stack([across, front, lean]), (0.07, 0.05, 0.3), (42, 40, 46))
    return [body, neck]


def _coat(pose: Pose) -> list[Shape]:
    """Return a coat that hangs over the left forearm."""
    left, front, up = pose.axes
    arm = 0.6 * pose.joints[_WRISTS][_LEFT] + 0.4 * pose.joints[_ELBOWS][_LEFT]
    sway = 0.06 * float(np.sin(2 * np.pi * pose.frame / 27))
    down = -np.cos(sway) * up + np.sin(sway) * front
    along = np.cross(left, down)
    cloth = Box(arm + 0.24 * down, np.stack([along, left, -down]), (0.13, 0.05, 0.27), (96, 104, 130))
    sleeve = Tube(arm + 0.45 * down, arm + 0.62 * down - 0.05 * along, 0.05, (84, 92, 116))
    return [cloth, sleeve]


def _long_bag(pose: Pose) -> list[Shape]:
    """Return a long sports bag across the hip, whose strap goes over the same shoulder."""
    left, front, up = pose.axes
    hip = pose.joints[_HIPS][_RIGHT] - 0.22 * left - 0.02 * up
    swing = 0.15 * float(np.sin(2 * np.pi * pose.frame / 27))
    along = np.cos(swing) * front + np.sin(swing) * up
    shoulder = pose.joints[_SHOULDERS][_RIGHT] + 0.04 * up
    ends = hip - 0.38 * along, hip + 0.38 * along
    straps = [Tube(shoulder, hip + side * 0.25 * along, 0.018, (30, 32, 38)) for side in (-1, 1)]
    return [Tube(*ends, 0.12, (35, 70, 75)), *straps]


def _dog(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    hips = pose.joints[_HIPS].mean(axis=0)
    middle = np.array([hips[0], hips[1], 0.42]) - 0.6 * left + 0.25 * front
    middle[2] += 0.01 * np.sin(2 * np.pi * pose.frame / 9)
    rgb = (95, 62, 38)
    shapes: list[Shape] = [Tube(middle - 0.25 * front, middle + 0.25 * front, 0.11, rgb)]
    for k, (along, aside) in enumerate(((-0.22, -0.06), (-0.22, 0.06), (0.22, -0.06), (0.22, 0.06))):
        hip = middle + along * front + aside * left - 0.05 * up
        step = 0.12 * np.sin(2 * np.pi * pose.frame / 14 + np.pi * (k in (1, 2)))
        foot = hip + step * front
        foot[2] = 0.03
        shapes.append(Tube(hip, foot, 0.03, rgb))
    neck = middle + 0.36 * front + 0.16 * up
    shapes += [Ball(neck, 0.1, rgb), Tube(neck, neck + 0.13 * front - 0.03 * up, 0.045, (60, 40, 25))]
    tail = middle - 0.3 * front
    shapes.append(Tube(tail, tail - 0.16 * front + 0.16 * up, 0.02, rgb))
    shapes.append(Tube(neck, pose.fist(_RIGHT), 0.008, (180, 30, 30)))
    return shapes


def _thrown_ball(pose: Pose) -> list[Shape]:
    left, front, _ = pose.axes
    seconds = (pose.frame % 27) / 30
    rise = 4.4 * seconds - 4.9 * seconds**2
    start = pose.chest - 0.3 * left + 0.3 * front
    return [Ball(start + rise * UP, 0.11, (235, 120, 40))]


CLIPS: dict[str, tuple[Thing, ...]] = {
    "bag": (Thing(_bag, is_carried=True, fists=(_RIGHT,)),),
    "swinging_bag": (Thing(_swinging_bag, is_carried=True, fists=(_RIGHT,)),),
    "shoulder_bag": (Thing(_shoulder_bag, is_carried=True),),
    "backpack": (Thing(_backpack, is_carried=True),),
    "box_in_front": (Thing(_box_in_front, is_carried=True),),
    "umbrella": (Thing(_umbrella, is_carried=True, fists=(_LEFT,)),),
    "stick": (Thing(_stick, is_carried=True, fists=(_RIGHT,)),),
    "phone": (Thing(_phone, is_carried=True, fists=(_LEFT,)),),
    "cup": (Thing(_cup, is_carried=True, fists=(_RIGHT,)),),
    "guitar_case": (Thing(_guitar_case, is_carried=True),),
    "coat": (Thing(_coat, is_carried=True),),
    "long_bag": (Thing(_long_bag, is_carried=True),),
    "dog": (Thing(_dog, is_carried=False, fists=(_RIGHT,)),),
    "thrown_ball": (Thing(_thrown_ball, is_carried=False),),
}
TUNED_ON = ("bag", "backpack", "umbrella", "dog", "stick", "phone", "box_in_front", "shoulder_bag")
