"""Feet whose landmarks hang above the soles that the mask shows are lowered onto them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT
from pipeline.plan.soles import sole_shift, with_lowered_feet
from tests.plan.test_height import FPS, SIZE_WH, body

SECONDS = np.arange(60) / FPS
ALL = np.ones(60)


def standing(gap_bh: float, height_px: float = 250.0) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 21, 3), and the boxes (T, 4) of masks that end ``gap_bh`` below the heels."""
    _, joints = body(np.full(60, height_px))
    for side in ("left", "right"):
        for part in ("heel", "toe"):
            row = JOINT[f"{side}_{part}"]
            joints[:, row] = joints[:, JOINT[f"{side}_ankle"]] + [0, 0.03 * height_px, 0]
    low = float(joints[0, JOINT["left_heel"], 1])
    return joints, np.tile([280.0, 40.0, 360.0, low + 1 + gap_bh * height_px], (60, 1))


@pytest.mark.parametrize("gap", [0.0, 0.012, 0.02, -0.008])
def test_feet_come_down_to_the_mask(gap: float) -> None:
    joints, boxes = standing(gap)
    shift = sole_shift(joints, boxes, ALL, SECONDS, SIZE_WH[1])
    np.testing.assert_allclose(shift, gap * 250.0, atol=0.4)
    lowered = with_lowered_feet(joints, shift)
    moved = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "heel", "toe")]
    np.testing.assert_allclose(lowered[:, moved, 1] - joints[:, moved, 1], shift[:, None] + np.zeros(6), atol=1e-3)
    others = np.setdiff1d(np.arange(21), moved)
    assert np.array_equal(lowered[:, others], joints[:, others])


def test_a_shadow_in_the_mask_a_hidden_foot_and_the_pictures_edge_count_for_nothing() -> None:
    joints, boxes = standing(0.07)
    assert not sole_shift(joints, boxes, ALL, SECONDS, SIZE_WH[1]).any()
    joints, boxes = standing(0.015)
    assert not sole_shift(joints, boxes, 0.5 * ALL, SECONDS, SIZE_WH[1]).any()
    hidden = joints.copy()
    hidden[:, JOINT["left_heel"], 2] = 0.1
    assert not sole_shift(hidden, boxes, ALL, SECONDS, SIZE_WH[1]).any()
    assert not sole_shift(joints, boxes, ALL, SECONDS, int(boxes[0, 3]) + 1).any()


def test_it_is_steady_and_goes_on_where_the_feet_are_not_seen() -> None:
    joints, boxes = standing(0.015)
    generator = np.random.default_rng(0)
    boxes[:, 3] += generator.normal(0, 0.8, 60)
    visible = ALL.copy()
    visible[20:35] = 0.3
    joints[50:] = np.nan
    boxes[50:] = np.nan
    shift = sole_shift(joints, boxes, visible, SECONDS, SIZE_WH[1])
    assert np.isfinite(shift).all()
    assert np.abs(np.diff(shift)).max() < 0.25
    np.testing.assert_allclose(shift, 0.015 * 250, atol=1.5)
