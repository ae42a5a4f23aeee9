"""The camera's motion against the truth of walk_a and of synthetic shake; smoothing of the path."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.datatypes.survey import CameraMotion
from pipeline.maths.geometry import apply_transform, corners_of, pair_motions, similarities_from_params
from pipeline.plan.camera_path import smooth_path
from pipeline.settings import StabilizeSettings
from pipeline.survey.camera import CameraEstimator
from tests.support.clip_info import video_info
from tests.support.motion_truth import SIZE_WH, known_shake, walk_luma, walk_masks, walk_truth

SETTINGS = StabilizeSettings()
NO_FEET = np.empty((0, 2))


def measured(
    pictures: list[np.ndarray], masks: np.ndarray, feet: np.ndarray, cuts: tuple[int, ...] = ()
) -> CameraMotion:
    estimator = CameraEstimator(video_info(len(pictures)), SETTINGS)
    for i, luma in enumerate(pictures):
        estimator.push(luma, masks[i], feet[i], i == 0 or i in cuts)
    return estimator.finish()


def test_walk_a_pair_motion_and_ground_features() -> None:
    truth = walk_truth()
    masks = walk_masks()
    feet = truth["keypoints2d"][:, 15:17]
    motion = measured(walk_luma(60), masks, feet)
    tracks = truth["bg_tracks"]
    seen = truth["bg_visible"]
    errors = [
        np.linalg.norm(apply_transform(pair, tracks[t - 1]) - tracks[t], axis=1)[seen[t] & seen[t - 1]].mean()
        for t, pair in enumerate(pair_motions(motion.world_from_source))
        if t > 0
    ]
    assert np.mean(errors) <= 0.075
    assert motion.reliable.all()
    for t in range(20, 60):
        x, y = np.round(motion.pairs[t][:, :2]).astype(int).T
        assert not masks[t - 1][y.clip(0, 359), x.clip(0, 639)].any()
        near = np.linalg.norm(motion.pairs[t][:, None, :2] - feet[t - 1], axis=2).min(axis=1) < 120
        assert near.sum() >= 8


def test_known_shake_of_a_still_picture_with_half_of_it_covered() -> None:
    picture = walk_luma(1)[0]
    shake = known_shake(12)
    pictures = [
        cv2.warpPerspective(picture, matrix, SIZE_WH, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        for matrix in shake
    ]
    mask = np.zeros((12, 360, 640), bool)
    mask[:, 60:300, 180:460] = True
    motion = measured(pictures, mask, np.tile(NO_FEET, (12, 1, 1)))
    # world is the first frame: the shake's own first matrix is taken off.
    expected = apply_transform(shake[0] @ np.linalg.inv(shake), np.tile(corners_of(SIZE_WH), (12, 1, 1)))
    found = apply_transform(motion.world_from_source, np.tile(corners_of(SIZE_WH), (12, 1, 1)))
    assert np.abs(found - expected).max() < 1.0


def test_a_flat_wall_keeps_the_path_and_is_reported_and_a_cut_restarts_it() -> None:
    textured = walk_luma(3)
    flat = np.full((360, 640), 90, np.uint8)
    pictures = [*textured, flat, flat, *textured]
    masks = np.zeros((8, 360, 640), bool)
    motion = measured(pictures, masks, np.tile(NO_FEET, (8, 1, 1)), cuts=(5,))
    assert motion.reliable.tolist() == [True] * 3 + [False] * 2 + [True] * 3
    np.testing.assert_array_equal(motion.world_from_source[5], np.eye(3))
    np.testing.assert_allclose(motion.world_from_source[5:], motion.world_from_source[:3], atol=1e-9)
    assert len(motion.pairs[0]) == len(motion.pairs[5]) == len(motion.pairs[3]) == 0
    assert np.isfinite(motion.world_from_source).all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="are not"):
        CameraEstimator(video_info(), SETTINGS).push(
            np.zeros((10, 10), np.uint8), np.zeros((10, 10), bool), NO_FEET, True
        )


def test_smooth_path_removes_shake_keeps_the_pan_and_ends_at_cuts() -> None:
    seconds = np.arange(120) / 30
    pan = np.column_stack([150 * seconds, 0 * seconds, 0 * seconds, 0 * seconds])
    shake = np.random.default_rng(5).normal(0, 1, (120, 4)) * [3, 3, 0.002, 0.002]
    world = similarities_from_params(pan + shake, SIZE_WH)
    world[60:] = np.linalg.inv(world[60]) @ world[60:]
    motion = CameraMotion(world, np.ones(120, bool), ())
    starts = np.array([0, 60])
    path = smooth_path(motion, starts, seconds, SIZE_WH, SETTINGS.window_seconds)
    # Where a fixed point of the world is seen in the stable picture: a steady run at the pan's speed.
    for shot in (slice(0, 60), slice(60, 120)):
        stable_from_world = path.stable_from_source[shot] @ np.linalg.inv(world[shot])
        seen = apply_transform(stable_from_world, np.tile([[320.0, 180.0]], (60, 1, 1)))[:, 0]
        assert np.diff(seen[:, 0]).mean() == pytest.approx(-5, abs=0.25)
        assert np.abs(np.diff(seen, n=2, axis=0)).max() < 1.0
        # At the ends of a shot the smooth path is the path itself: nothing there pulls the pan to a stop.
        assert np.diff(seen[:, 0])[-5:].mean() == pytest.approx(-5, abs=1.2)
    np.testing.assert_allclose(path.stable_from_source[:, 2], np.tile([0, 0, 1.0], (120, 1)), atol=1e-12)
    linear = path.stable_from_source[:, :2, :2]
    np.testing.assert_allclose(linear[:, 0, 0], linear[:, 1, 1], atol=1e-12)
    np.testing.assert_allclose(linear[:, 0, 1], -linear[:, 1, 0], atol=1e-12)
    still = smooth_path(motion, starts, seconds, SIZE_WH, 0)
    np.testing.assert_allclose(still.stable_from_source, np.tile(np.eye(3), (120, 1, 1)), atol=1e-9)


def test_a_flash_in_a_pan_does_not_displace_what_follows() -> None:
    """Neither the step into the flash nor the one out of it can be measured, but the one across it can."""
    picture = cv2.resize(walk_luma(1)[0], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    pictures = [np.ascontiguousarray(picture[180:540, 9 * t : 9 * t + 640]) for t in range(10)]
    pictures[4] = np.full((360, 640), 255, np.uint8)
    pictures[5] = np.full((360, 640), 250, np.uint8)
    masks = np.zeros((10, 360, 640), bool)
    motion = measured(pictures, masks, np.tile(NO_FEET, (10, 1, 1)))
    assert motion.reliable.tolist() == [True] * 4 + [False] * 2 + [True] * 4
    np.testing.assert_allclose(motion.world_from_source[:, 0, 2], 9.0 * np.arange(10), atol=0.3)


@pytest.mark.parametrize(("contrast", "glow"), [(0.5, 0.0), (0.5, 120.0), (0.35, 160.0), (1.6, 0.0)])
def test_light_that_changes_from_frame_to_frame_is_no_motion(contrast: float, glow: float) -> None:
    rng = np.random.default_rng(3)
    wide = np.full((260, 400), 110.0)
    for sigma, amplitude in ((1.2, 10), (4, 20), (15, 40)):
        noise = cv2.GaussianBlur(rng.standard_normal(wide.shape), (0, 0), sigma)
        wide += amplitude * noise / noise.std()
    rows, columns = np.mgrid[:260, :400]
    lit = contrast * wide + glow * np.exp(-((columns - 230) ** 2 + (rows - 100) ** 2) / (2 * 90**2))
    # The camera reverses where the light changes, so that holding its last motion is wrong.
    left = np.cumsum(np.where(np.arange(24) // 4 % 2, 2, -2)) + 30
    estimator = CameraEstimator(video_info(24, (320, 240)), StabilizeSettings())
    nobody = np.zeros((240, 320), bool)
    for number, x in enumerate(left):
        picture = (lit if number % 8 in (0, 1) else wide)[10:250, x : x + 320]
        estimator.push(np.clip(picture, 0, 255).astype(np.uint8), nobody, np.empty((0, 2)), number == 0)
    motion = estimator.finish()
    assert motion.reliable.all()
    np.testing.assert_allclose(motion.world_from_source[:, 0, 2], left - left[0], atol=0.35)
