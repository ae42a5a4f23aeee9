"""Arms without shoulders in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.plan.doubted_arms import with_arms_doubted

SECONDS = np.arange(30) / 30
HALF_BODY = np.full(30, 2.0)
LEFT = [JOINT["left_elbow"], JOINT["left_wrist"]]
RIGHT = [JOINT["right_elbow"], JOINT["right_wrist"]]


@pytest.mark.parametrize(("wrist", "stays"), [(0.5, False), (0.95, True)], ids=["guessed", "held to the face"])
def test_an_arm_without_a_shoulder_needs_to_be_sure(wrist: float, stays: bool) -> None:
    confidence = np.full((30, NUM_JOINTS), 0.9)
    confidence[:, JOINT["left_shoulder"]] = 0.0
    confidence[:, LEFT] = wrist
    confidence[:, RIGHT] = 0.2
    doubted = with_arms_doubted(confidence, SECONDS, HALF_BODY)
    if stays:
        np.testing.assert_allclose(doubted[:, LEFT], wrist)
    else:
        assert (doubted[:, LEFT] == 0).all()
    others = [row for row in range(NUM_JOINTS) if row not in LEFT]
    np.testing.assert_allclose(doubted[:, others], confidence[:, others])


def test_an_arm_comes_in_gradually_with_its_shoulder() -> None:
    confidence = np.full((30, NUM_JOINTS), 0.5)
    confidence[:15, JOINT["left_shoulder"]] = 0.0
    doubted = with_arms_doubted(confidence, SECONDS, HALF_BODY)[:, LEFT[1]]
    assert doubted[0] == 0
    assert doubted[-1] == pytest.approx(0.5)
    assert np.abs(np.diff(doubted)).max() < 0.35 * 0.5


@pytest.mark.parametrize(("wrist", "stays"), [(0.4, False), (0.95, True)], ids=["guessed", "held to the face"])
def test_where_the_face_fills_the_picture_a_guessed_shoulder_carries_no_guessed_arm(wrist: float, stays: bool) -> None:
    confidence = np.full((30, NUM_JOINTS), 0.9)
    confidence[:, [*LEFT, *RIGHT]] = wrist
    doubted = with_arms_doubted(confidence, SECONDS, 3 * HALF_BODY)[:, [*LEFT, *RIGHT]]
    np.testing.assert_allclose(doubted, wrist if stays else 0)
