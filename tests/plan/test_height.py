"""Standing height from the visible joints, and at the picture's edge."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT, NUM_SKELETON
from pipeline.plan.body_height import HEIGHT_OF_OUTLINE, height_ratios, standing_height, sudden_zoom
from pipeline.plan.joint_smoothing import in_picture

SIZE_WH = (640, 360)
FPS = 30


def body(height_px: np.ndarray, top_px: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """Skeletons (T, 23, 3) and joints (T, 21, 3) of somebody who stands, the top of the head at ``top_px``."""
    down = {"eye": 0.07, "shoulder": 0.19, "hip": 0.48, "knee": 0.72, "ankle": 0.95}
    skeletons = np.zeros((len(height_px), NUM_SKELETON, 3), np.float32)
    for name, share in down.items():
        for side, across in (("left", 0.1), ("right", -0.1)):
            row = JOINT[f"{side}_{name}"]
            skeletons[:, row, 0] = 320 + across * height_px
            skeletons[:, row, 1] = top_px + share * height_px
    joints = np.ones((len(height_px), 21, 3), np.float32)
    joints[..., :2] = skeletons[:, :21, :2]
    return skeletons, joints


def test_height_keeps_growing_when_the_legs_leave_the_picture() -> None:
    true = np.linspace(200, 700, 90)
    skeletons, joints = body(true)
    found = standing_height(skeletons, joints, np.arange(90) / FPS, SIZE_WH)
    # The bones' constants are not this body's: what matters is that the ratio stays when less is seen.
    ratio = found / true
    assert np.ptp(ratio[5:-5]) < 0.06
    assert ratio.mean() == pytest.approx(1, abs=0.1)


def test_an_abrupt_zoom_changes_the_height_at_once() -> None:
    zoom = np.where(np.arange(60) % 15 < 3, 1.2, 1.0)
    skeletons, joints = body(250.0 * zoom)
    seconds = np.arange(60) / FPS
    # The camera drifts slowly as well, which says nothing about the height.
    drift = np.exp(0.004 * np.arange(60))
    world_from_source = np.stack([np.diag([1 / scale, 1 / scale, 1.0]) for scale in 2 * zoom * drift])
    found = standing_height(skeletons, joints, seconds, (4000, 4000), zoom=sudden_zoom(world_from_source))
    assert np.ptp(found / zoom) < 5
    without = standing_height(skeletons, joints, seconds, (4000, 4000))
    assert np.ptp(without / zoom) > 30


def test_a_close_up_takes_its_scale_from_the_other_shots() -> None:
    whole = body(np.full(30, 250.0))
    near = body(np.full(30, 900.0))
    skeletons, joints = (np.concatenate([a, b]) for a, b in zip(whole, near, strict=True))
    # Somebody with a big head: the usual proportions would make them larger.
    skeletons[:, [JOINT["left_eye"], JOINT["right_eye"]], 1] -= 0.03 * np.repeat([250.0, 900.0], 30)[:, None]
    ratios = height_ratios(skeletons, joints, SIZE_WH)
    seconds = np.arange(30) / FPS
    tall = standing_height(skeletons[:30], joints[:30], seconds, SIZE_WH, ratios)
    close = standing_height(skeletons[30:], joints[30:], seconds, SIZE_WH, ratios)
    assert close.mean() / tall.mean() == pytest.approx(900 / 250, rel=0.02)
    alone = standing_height(skeletons[30:], joints[30:], seconds, SIZE_WH)
    assert alone.mean() > 1.1 * close.mean()


def test_a_few_frames_of_uncertain_height_are_not_prolonged_beyond_what_was_measured() -> None:
    measured = np.array([300.0, 300.0, 300.0, 2500.0])
    skeletons = np.full((24, NUM_SKELETON, 3), np.nan, np.float32)
    joints = np.full((24, 21, 3), np.nan, np.float32)
    skeletons[:4], joints[:4] = body(measured)
    found = standing_height(skeletons, joints, np.arange(24) / FPS, (4000, 4000))
    assert found.min() > 0.8 * measured.min()
    assert found.max() < 1.3 * measured.max()


@pytest.mark.parametrize("taller", [0.96, 1.0, 1.04])
def test_the_outline_of_somebody_upright_says_how_tall_they_are(taller: float) -> None:
    skeletons, joints = body(np.full(30, 250.0))
    for side in ("left", "right"):
        skeletons[:, JOINT[f"{side}_wrist"], 1] = 200
    seconds = np.arange(30) / FPS
    usual = standing_height(skeletons, joints, seconds, SIZE_WH)
    outline = taller * usual.mean() / HEIGHT_OF_OUTLINE
    boxes = np.tile([280.0, 42.0, 360.0, 42.0 + outline], (30, 1))
    found = standing_height(skeletons, joints, seconds, SIZE_WH, height_ratios(skeletons, joints, SIZE_WH, boxes))
    assert found.mean() / usual.mean() == pytest.approx(taller, abs=0.01)


def test_bent_legs_raised_arms_and_what_is_above_the_head_say_nothing() -> None:
    skeletons, joints = body(np.full(30, 250.0))
    boxes = np.tile([280.0, 25.0, 360.0, 295.0], (30, 1))
    raised = skeletons.copy()
    raised[:, JOINT["left_wrist"], 1] = 20
    assert height_ratios(raised, joints, SIZE_WH, boxes).whole == 1
    bent = skeletons.copy()
    bent[:, JOINT["left_wrist"], 1] = bent[:, JOINT["right_wrist"], 1] = 200
    # Something above the head in the mask counts only as high as hair reaches.
    higher = boxes - [0, 20, 0, 0]
    assert height_ratios(bent, joints, SIZE_WH, higher) == height_ratios(bent, joints, SIZE_WH, boxes)
    bent[:, JOINT["left_knee"], 0] += 40
    assert height_ratios(skeletons, joints, SIZE_WH).whole == 1
    assert height_ratios(bent, joints, SIZE_WH, boxes).whole == 1


def test_joints_fade_beyond_the_edge() -> None:
    points = np.array([[[0.0, 0.0], [639.0, 359.0], [320.0, 362.0], [320.0, 500.0], [-40.0, 100.0]]])
    share = in_picture(points, SIZE_WH, np.array([100.0]))[0]
    assert share[0] == share[1] == 1
    assert 0.4 < share[2] < 0.6
    assert share[3] == share[4] == 0


def folded(skeletons: np.ndarray, joints: np.ndarray, height_px: float, frames: slice) -> None:
    """Let somebody sit before the camera in some frames, in place: their thighs point at it, shown a fifth as long."""
    thigh = 0.24 * height_px
    for side in ("left", "right"):
        knee, ankle = JOINT[f"{side}_knee"], JOINT[f"{side}_ankle"]
        skeletons[frames, [[knee], [ankle]], 1] -= 0.8 * thigh
        skeletons[frames, [[knee], [ankle]], 2] -= 0.95 * thigh
    joints[frames, :, :2] = skeletons[frames, :21, :2]


def test_somebody_who_sits_before_the_camera_is_as_tall_as_standing() -> None:
    skeletons, joints = body(np.full(60, 250.0))
    seconds = np.arange(60) / FPS
    standing = standing_height(skeletons, joints, seconds, SIZE_WH).mean()
    folded(skeletons, joints, 250.0, slice(None))
    assert standing_height(skeletons, joints, seconds, SIZE_WH).mean() == pytest.approx(standing, rel=0.06)


def test_a_crouch_does_not_change_the_size_before_during_or_after_it() -> None:
    skeletons, joints = body(np.full(90, 250.0))
    seconds = np.arange(90) / FPS
    standing = standing_height(skeletons, joints, seconds, SIZE_WH).mean()
    folded(skeletons, joints, 250.0, slice(20, 70))
    found = standing_height(skeletons, joints, seconds, SIZE_WH)
    assert np.abs(found / standing - 1).max() < 0.06
