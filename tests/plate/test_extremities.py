"""Fingers and the tips of shoes that the mask misses do not get into a plate."""

from __future__ import annotations

import numpy as np

from pipeline.joints import JOINT, NUM_SKELETON
from pipeline.plate.extremities import extremities


def test_fingers_and_toes_are_covered_and_nothing_else() -> None:
    skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
    for name, place in (
        ("left_wrist", (50, 50)),
        ("left_hand", (60, 50)),
        ("left_heel", (20, 150)),
        ("left_toe", (40, 150)),
    ):
        skeleton[JOINT[name]] = (*place, 0)
    found = extremities(skeleton, 200.0, (200, 120))
    assert found.shape == (200, 120) and found.dtype == np.bool_
    assert found[50, 66] and found[54, 60] and found[150, 40]
    # Not the forearm, nor what lies beyond the fingers.
    assert not found[50, 38] and not found[50, 80] and not found[150, 55]
    assert not extremities(skeleton, float("nan"), (200, 120)).any()
    assert not extremities(np.full((NUM_SKELETON, 3), np.nan, np.float32), 200.0, (200, 120)).any()
