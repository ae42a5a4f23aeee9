"""A body of another height stands on the subject's footprints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.joints import ANKLES, HIPS, JOINT, NUM_JOINTS, NUM_SKELETON, SHOULDERS
from pipeline.perform.generate import window_of_plan
from pipeline.perform.rescaled_body import rescaled
from tests.support.still_plan import still_plan

HEIGHT = 400.0


def walker() -> tuple[np.ndarray, np.ndarray]:
    """Return joints (21, 3) and skeleton (23, 3) in mid-stride, the left foot on the ground at y 400."""
    skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
    skeleton[:, :2] = [100, 30]
    for side, sign in (("left", 1), ("right", -1)):
        for part, x, y in (("shoulder", 40, 75), ("hip", 25, 190), ("knee", 40, 290), ("ankle", 60, 382)):
            skeleton[JOINT[f"{side}_{part}"], :2] = [100 + sign * x, y]
        skeleton[JOINT[f"{side}_heel"], :2] = [100 + sign * 60, 395]
        skeleton[JOINT[f"{side}_toe"], :2] = [100 + sign * 90, 398]
    # The right one swings.
    for part in ("ankle", "heel", "toe"):
        skeleton[JOINT[f"right_{part}"], 1] -= 40
    joints = np.ones((NUM_JOINTS, 3), np.float32)
    joints[:, :2] = skeleton[:NUM_JOINTS, :2]
    return joints, skeleton


@pytest.mark.parametrize("scale", [0.6, 1.3])
def test_feet_keep_their_footprints_and_the_body_its_scale(scale: float) -> None:
    joints, skeleton = walker()
    flat, deep = rescaled(joints, skeleton, HEIGHT, scale)
    assert np.abs(deep[ANKLES, 0] - skeleton[ANKLES, 0]).max() < 1e-3
    # The sole, 0.045 heights of the new body below the ankle, stays where it was.
    assert deep[ANKLES[0], 1] + scale * 0.045 * HEIGHT == pytest.approx(skeleton[ANKLES[0], 1] + 0.045 * HEIGHT)
    trunk = deep[HIPS, 1].mean() - deep[SHOULDERS, 1].mean()
    assert trunk == pytest.approx(scale * (190 - 75), rel=1e-4)
    # Hips as high above the ground as the body is tall.
    ground = 382 + 0.045 * HEIGHT
    assert ground - deep[HIPS, 1].mean() == pytest.approx(scale * (ground - 190), rel=0.02)
    toe = JOINT["left_toe"]
    assert deep[toe, 0] - deep[ANKLES[0], 0] == pytest.approx(scale * 30, rel=1e-4)
    assert np.abs(flat[:, :2] - deep[:NUM_JOINTS, :2]).max() < 1e-3


def test_the_same_height_changes_nothing() -> None:
    joints, skeleton = walker()
    flat, deep = rescaled(joints, skeleton, HEIGHT, 1.0)
    assert np.allclose(flat, joints) and np.allclose(deep, skeleton, atol=1e-4)


def test_a_body_without_known_ankles_hangs_from_its_hips() -> None:
    joints, skeleton = walker()
    skeleton[ANKLES] = np.nan
    joints[ANKLES, :2] = np.nan
    _, deep = rescaled(joints, skeleton, HEIGHT, 0.5)
    assert deep[HIPS, 1].mean() == pytest.approx(190 + 0.5 * 0.5 * HEIGHT)


def test_windows_of_a_plan_have_the_new_persons_height() -> None:
    joints, skeleton = walker()
    frames = 4
    plan = still_plan(
        (200, 420),
        np.full(frames, 2, np.uint8),
        np.tile([20.0, 0, 180, 410], (frames, 1)),
        np.repeat(joints[None], frames, 0),
        HEIGHT,
        np.full((frames, 2), -1),
        np.full((frames, 2, 2), np.nan),
    )
    plan.subject.skeletons[:] = skeleton
    seconds = np.arange(frames) / 30
    plan = replace(plan, crop=replace(plan.crop, focal_px=400.0))
    small = window_of_plan(replace(plan, body_scale=0.5), 0, frames, seconds)
    own = window_of_plan(plan, 0, frames, seconds)
    assert np.allclose(small.body_height_px, 0.5 * own.body_height_px)
    assert np.array_equal(own.joints, plan.subject.joints)
    assert np.ptp(small.skeletons[0, [*SHOULDERS, *HIPS], 1]) == pytest.approx(0.5 * (190 - 75), rel=1e-3)
    # Whoever is smaller is as far away.
    assert own.distance_px is not None and small.distance_px is not None
    assert np.allclose(own.distance_px, 400) and np.allclose(small.distance_px, 400)
