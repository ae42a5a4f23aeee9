"""Arms without shoulders in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.plan.doubted_arms import with_arms_doubted

SECONDS = np.arange(30) / 30
LEFT = [JOINT["left_elbow"], JOINT["left_wrist"]]
RIGHT = [JOINT["right_elbow"], JOINT["right_wrist"]]


@pytest.mark.parametrize(("wrist", "stays"), [(0.5, False), (0.95, True)], ids=["guessed", "held to the face"])
def test_an_arm_without_a_shoulder_needs_to_be_sure(wrist: float, stays: bool) -> None:
    confidence = np.full((30, NUM_JOINTS), 0.9)
    confidence[:, JOINT["left_shoulder"]] = 0.0
    confidence[:, LEFT] = wrist
    confidence[:, RIGHT] = 0.2
    doubted = with_arms_doubted(confidence, SECONDS)
    if stays:
        np.testing.assert_allclose(doubted[:, LEFT], wrist)
    else:
        assert (doubted[:, LEFT] == 0).all()
    others = [row for row in range(NUM_JOINTS) if row not in LEFT]
    np.testing.assert_allclose(doubted[:, others], confidence[:, others])


def test_an_arm_comes_in_gradually_with_its_shoulder() -> None:
    confidence = np.full((30, NUM_JOINTS), 0.5)
    confidence[:15, JOINT["left_shoulder"]] = 0.0
    doubted = with_arms_doubted(confidence, SECONDS)[:, LEFT[1]]
    assert doubted[0] == 0
    assert doubted[-1] == pytest.approx(0.5)
    assert np.abs(np.diff(doubted)).max() < 0.35 * 0.5
