"""Landmarks of mostly hidden people: moved onto the path of the frames around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.plan.joint_smoothing import onto_course

SECONDS = np.arange(40) / 30


def walking() -> NDArray[np.float64]:
    """A body that goes 4 px a frame, its joints swinging."""
    rows = NUM_JOINTS + NUM_SKELETON
    points = np.zeros((40, rows, 3))
    points[..., 0] = 4.0 * np.arange(40)[:, None] + np.arange(rows)
    points[..., 1] = 100 + np.arange(rows)
    points[:, 15, 0] += 20 * np.sin(SECONDS * 8)
    return points


def test_a_sliding_person_is_moved_back_and_keeps_the_pose() -> None:
    true = walking()
    visible = np.ones(40)
    visible[18:22] = (0.8, 0.3, 0.1, 0.5)
    slid = true.copy()
    slid[18:22, :, :2] += (25.0, -6.0)
    mended = onto_course(slid, visible, SECONDS)
    error = np.linalg.norm(mended - true, axis=-1)
    # Nothing is believed of the frame with a tenth, most of the one with four fifths.
    assert error[20].max() < 0.01
    assert error[19].max() < 4 < error[18].max() < 26
    np.testing.assert_array_equal(mended[visible == 1], slid[visible == 1])


def test_without_a_course_or_over_a_long_time_nothing_is_moved() -> None:
    for hidden in (slice(0, 6), slice(34, 40), slice(4, 36), slice(0, 40)):
        points = walking()
        points[hidden, :, 0] += 25
        visible = np.ones(40)
        visible[hidden] = 0.3
        np.testing.assert_array_equal(onto_course(points, visible, SECONDS), points)
