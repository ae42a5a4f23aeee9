"""Feet of the first frames are locked before the last layers exist, with the same result."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.finish.foot_lock import lock_feet
from pipeline.finish.motion import num_settled
from pipeline.plan.contacts import find_contacts
from pipeline.settings import FootLockSettings
from tests.support.motion_truth import true_motion, true_subject, walk_truth

SECONDS = np.arange(150) / 30


@pytest.mark.parametrize("shot_starts", [(0,), (0, 60, 110)], ids=["one shot", "three shots"])
def test_settled_offsets_are_those_of_the_whole_clip(shot_starts: tuple[int, ...]) -> None:
    truth = walk_truth()
    subject = true_subject(truth, 0.01)
    starts = np.array(shot_starts)
    motion = true_motion(truth)
    contacts = find_contacts(subject, motion, starts, SECONDS, FootLockSettings())
    placed = subject.joints.astype(np.float64)
    # The subject is lost for a moment in the middle of a step.
    placed[80:83] = np.nan

    def offsets(joints: np.ndarray) -> np.ndarray:
        return lock_feet(contacts, joints, subject, SECONDS, FootLockSettings(), motion.world_from_source, starts)

    whole = offsets(placed)
    nums = []
    for known in range(0, 150, 4):
        partly = placed.copy()
        partly[known:] = np.nan
        nums.append(num_settled(contacts.plant_id, starts, known))
        np.testing.assert_array_equal(offsets(partly)[: nums[-1]], whole[: nums[-1]])
    assert (np.array(nums) <= range(0, 150, 4)).all()
    assert (np.diff(nums) >= 0).all()
    assert np.count_nonzero(whole[: nums[-1]])
    # A step and the next one of the other foot.
    assert (range(0, 150, 4) - np.array(nums)).max() < 75
    assert num_settled(contacts.plant_id, starts, 150) == 150


def test_a_contact_that_is_not_known_to_its_end_settles_nothing_after_the_one_before() -> None:
    plant_id = np.full((50, 2), -1)
    plant_id[5:10, 0] = 0
    plant_id[20:30, 0] = 1
    starts = np.array([0])
    assert num_settled(plant_id, starts, 8) == 0
    assert num_settled(plant_id, starts, 15) == 10
    assert num_settled(plant_id, starts, 25) == 10
    assert num_settled(plant_id, starts, 30) == 30
    assert num_settled(plant_id, np.array([0, 18]), 15) == 15
