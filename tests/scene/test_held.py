"""What lies along an arm is the arm; what extends out of it is held."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.scene.body import FOREARM, HAND, UPPER_ARM
from pipeline.scene.held import held_objects
from pipeline.scene.samples import Sample
from tests.support.scene_truth import SHAPE, Mask, shot_at, wall

NOTHING = np.zeros(SHAPE, np.bool_)
BEYOND_FIST_BH = 0.075


@pytest.fixture(scope="module")
def sample() -> Sample:
    return shot_at(150.0, wall()).sample()


@pytest.fixture(scope="module")
def overexposed_arm(sample: Sample) -> Mask:
    """The lower half of the left arm, which is longer than a fist."""
    arm = sample.distances[[UPPER_ARM, FOREARM, HAND]].min(axis=0) < 0
    x, y = sample.body.hands[0]
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    near = np.hypot(columns - x, rows - y)
    arm = arm & (near < 2 * BEYOND_FIST_BH * sample.body.height_px)
    assert (arm & (near > BEYOND_FIST_BH * sample.body.height_px)).sum() > 100
    return np.asarray(arm, np.bool_)


def test_a_region_along_the_arm_is_the_arms_own(sample: Sample, overexposed_arm: Mask) -> None:
    held, own = held_objects(overexposed_arm, sample, NOTHING)
    assert not held.any() and (own == overexposed_arm).all()


def test_unless_it_is_known_to_be_held(sample: Sample, overexposed_arm: Mask) -> None:
    held, own = held_objects(overexposed_arm, sample, overexposed_arm)
    assert (held == overexposed_arm).all() and not own.any()


def test_a_stick_along_the_arm_extends_out_of_it(sample: Sample, overexposed_arm: Mask) -> None:
    x, y = (int(value) for value in sample.body.hands[0])
    canvas = np.zeros(SHAPE, np.uint8)
    stick = cv2.line(canvas, (x, y), (x, min(y + 50, SHAPE[0] - 1)), 1, 3) > 0
    held, _ = held_objects(overexposed_arm | stick, sample, NOTHING)
    assert (held & stick).sum() == stick.sum()
