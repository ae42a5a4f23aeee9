"""What belongs to a person for certain, and where background may show through, by the joints."""

from __future__ import annotations

import numpy as np

from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.perform.body_core import body_core, limb_gaps

SIZE_HW = (420, 300)
AT = {
    "left_ear": (165, 40), "right_ear": (135, 40), "left_shoulder": (185, 90), "right_shoulder": (115, 90),
    "left_elbow": (225, 150), "right_elbow": (75, 150), "left_wrist": (235, 210), "right_wrist": (65, 210),
    "left_hip": (170, 220), "right_hip": (130, 220), "left_knee": (180, 300), "right_knee": (120, 300),
    "left_ankle": (185, 380), "right_ankle": (115, 380),
}  # fmt: skip


def _joints() -> np.ndarray:
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    for name, place in AT.items():
        joints[JOINT[name]] = (*place, 0.9)
    return joints


def test_the_core_covers_the_bones_and_leaves_the_gaps() -> None:
    core = body_core(_joints(), SIZE_HW)
    assert core is not None
    for x, y in ((150, 150), (150, 40), (205, 120), (232, 180), (175, 260), (118, 340)):
        assert core[y, x]
    assert not core[190, 200] and not core[350, 150] and not core[10, 10]


def test_gaps_lie_between_arms_and_trunk_and_between_the_legs() -> None:
    gaps = limb_gaps(_joints(), SIZE_HW)
    assert gaps[190, 205] and gaps[190, 95] and gaps[340, 150]
    assert not gaps[40, 150] and not gaps[100, 280]


def test_nothing_is_certain_without_a_trunk() -> None:
    joints = _joints()
    joints[JOINT["left_hip"], 2] = 0.1
    assert body_core(joints, SIZE_HW) is None


def test_an_unknown_arm_has_no_gap() -> None:
    joints = _joints()
    joints[JOINT["left_wrist"]] = np.nan
    gaps = limb_gaps(joints, SIZE_HW)
    assert not gaps[190, 205] and gaps[190, 95]
