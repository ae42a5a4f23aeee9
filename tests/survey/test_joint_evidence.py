"""Joints beside their person's mask."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.survey import OFF_MASK_CONFIDENCE, Person
from pipeline.joints import JOINT, NUM_JOINTS, NUM_SKELETON
from pipeline.survey.joint_evidence import doubted_off_mask


def person(mask: np.ndarray) -> Person:
    """Everybody's joints at (100, 100), and confident."""
    joints = np.tile(np.array([100, 100, 0.9], np.float32), (NUM_JOINTS, 1))
    return Person(
        box_xyxy=np.array([50.0, 20.0, 150.0, 180.0]),
        score=1.0,
        joints=joints,
        skeleton=np.zeros((NUM_SKELETON, 3), np.float32),
        mask=mask,
    )


def test_a_joint_beside_the_mask_is_doubted_and_one_on_its_border_is_not() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[20:101, 50:150] = True
    seen = person(mask)
    seen.joints[JOINT["left_ankle"], 1] = 101.6
    seen.joints[JOINT["right_ankle"], 1] = 112
    seen.joints[JOINT["right_knee"]] = (112, 112, 0.1)
    confidence = doubted_off_mask(seen)[:, 2]
    assert confidence[JOINT["left_ankle"]] == np.float32(0.9)
    assert confidence[JOINT["right_ankle"]] == np.float32(OFF_MASK_CONFIDENCE)
    assert confidence[JOINT["right_knee"]] == np.float32(0.1)
    assert np.count_nonzero(confidence == np.float32(0.9)) == NUM_JOINTS - 2
    assert seen.joints[JOINT["right_ankle"], 2] == np.float32(0.9)


def test_the_face_and_joints_outside_the_picture_and_people_without_a_mask_keep_theirs() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[150:180, 50:150] = True
    seen = person(mask)
    seen.joints[JOINT["left_wrist"], 0] = -40
    confidence = doubted_off_mask(seen)[:, 2]
    kept = [JOINT[name] for name in ("nose", "left_ear", "left_wrist")]
    assert (confidence[kept] == np.float32(0.9)).all()
    assert confidence[JOINT["right_wrist"]] == np.float32(OFF_MASK_CONFIDENCE)
    empty = person(np.zeros((200, 200), np.bool_))
    np.testing.assert_array_equal(doubted_off_mask(empty), empty.joints)
