"""Metrics of results derived from the truth itself: perfect ones, and ones degraded by known amounts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import figures
from benchmarks.figures import Truth
from benchmarks.picture_figures import KEPT_LEVELS, KeptShare, RegionArea, SquareError, changed_outside
from benchmarks.shake import shake_matrices, shaken_truth

WALK_A = Path(__file__).resolve().parents[2] / "assets" / "walk_a"


@pytest.fixture(scope="module")
def truth() -> Truth:
    return figures.load_truth(WALK_A)


@pytest.fixture(scope="module")
def shaken(truth: Truth) -> Truth:
    arrays = dict(np.load(WALK_A / "gt.npz"))
    moved = shaken_truth(arrays, shake_matrices(len(truth.RT), (640, 360), seed=3))
    return replace(
        truth,
        keypoints=moved["keypoints2d"],
        visible=moved["visible"],
        in_frame=moved["kp_state"] > 0,
        bg_tracks=moved["bg_tracks"],
        bg_visible=moved["bg_visible"],
        K=moved["K"],
    )


def perfect_joints(truth: Truth) -> figures.Float64Array:
    joints = np.full((len(truth.RT), 21, 3), np.nan)
    joints[:, :17, :2] = truth.keypoints
    return joints


@pytest.mark.parametrize("of", ["truth", "shaken"])
def test_a_perfect_result_has_perfect_figures(of: str, request: pytest.FixtureRequest) -> None:
    clip: Truth = request.getfixturevalue(of)
    joints = perfect_joints(clip)
    assert figures.joint_error_bh(joints, clip) == 0
    assert figures.jitter_percent(joints, clip) == 0
    assert figures.foot_slide_percent(joints, clip) < 1e-3
    inside = clip.in_frame[:, 15:17]
    assert figures.contact_f1(clip.on_ground, clip.on_ground, inside) == (1.0, 1.0)
    assert figures.border_error_frames([0, 60, 91, 150], clip.phase) == 0


def test_the_true_pair_motion_is_near_zero_and_no_motion_is_not(truth: Truth, shaken: Truth) -> None:
    still = np.tile(np.eye(3), (len(truth.RT), 1, 1))
    plain = figures.pair_motion_error_px(still, truth.bg_tracks, truth.bg_visible)
    assert 1.0 < plain < 2.0
    matrices = shake_matrices(len(truth.RT), (640, 360), seed=3)
    zoom = float(np.sqrt(np.linalg.det(matrices[:, :2, :2])).mean())
    known = figures.pair_motion_error_px(np.linalg.inv(matrices), shaken.bg_tracks, shaken.bg_visible)
    # Without the shake the clip's own motion remains, slightly enlarged by the zoom.
    assert known == pytest.approx(plain * zoom, rel=0.05)
    assert figures.pair_motion_error_px(still, shaken.bg_tracks, shaken.bg_visible) > 1.5 * plain
    # The metric must be sensitive to the direction of the matrices.
    backwards = figures.pair_motion_error_px(matrices, shaken.bg_tracks, shaken.bg_visible)
    assert backwards > 1.5 * known


def test_joint_error_and_jitter_measure_what_was_added(truth: Truth) -> None:
    joints = perfect_joints(truth)
    bh = truth.body_height_px[:, None]
    joints[:, :17, 0] += 0.03 * bh
    assert figures.joint_error_bh(joints, truth) == pytest.approx(0.03, rel=1e-6)
    assert figures.jitter_percent(joints, truth) < 0.05
    alternating = np.where(np.arange(len(bh)) % 2, 1.0, -1.0)[:, None]
    joints[:, :17, 1] += 0.001 * bh * alternating
    # (+a, -a, +a) has a second difference of 4a
    assert figures.jitter_percent(joints, truth) == pytest.approx(0.4, rel=0.02)


def test_foot_slide_is_blind_to_a_fixed_offset_and_sees_a_drift_on_the_ground(truth: Truth) -> None:
    joints = perfect_joints(truth)
    for t in range(len(truth.RT)):
        for foot, joint in enumerate((15, 16)):
            drift = np.array([0.02 if t % 2 else -0.02, 0.0, 0.0])
            point = truth.K[t] @ (truth.RT[t] @ np.append(truth.ankles[t, foot] + drift, 1.0))
            joints[t, joint, :2] = point[:2] / point[2]
    expected = 100 * 0.02 / truth.body_height_m
    assert figures.foot_slide_percent(joints, truth) == pytest.approx(expected, rel=0.03)


def test_the_shaken_camera_still_projects_the_true_ankles(shaken: Truth) -> None:
    for t in (0, 70, 149):
        ground = figures.on_plane(shaken.keypoints[t, 15], shaken.K[t], shaken.RT[t], shaken.ankles[t, 0, 2])
        assert ground == pytest.approx(shaken.ankles[t, 0, :2], abs=1e-3)


def test_mask_and_presence_figures() -> None:
    true = np.zeros((3, 4, 4), bool)
    true[:2, :2] = True
    half = np.zeros((4, 4), bool)
    half[:1] = True
    assert figures.mask_iou(true[0], true[0]) == 1 and figures.mask_iou(half, true[0]) == 0.5
    assert figures.mask_iou(true[2], true[2]) == 1
    assert figures.found_share(np.array([True, False, False]), true) == 0.5


def test_contact_f1_and_borders() -> None:
    true = np.zeros((10, 2), bool)
    true[2:6] = True
    ours = np.zeros((10, 2), bool)
    ours[4:8, 0] = True
    everything = np.ones((10, 2), bool)
    assert figures.contact_f1(ours, true, everything) == (0.5, 0.0)
    phase = np.repeat([0, 1, 2], [4, 3, 3])
    assert figures.border_error_frames([0, 5, 7, 10], phase) == 1
    assert figures.border_error_frames([0, 5, 10], phase) is None


def test_psnr_area_and_weight() -> None:
    error = SquareError()
    black = np.zeros((4, 4, 3), np.uint8)
    where = np.zeros((4, 4), bool)
    where[0] = True
    error.add(black, black, where)
    assert error.psnr_db == np.inf
    error.add(black + np.uint8(4), black, where)
    assert error.psnr_db == pytest.approx(10 * np.log10(255**2 / 8))
    area = RegionArea()
    region = np.zeros((4, 4), np.uint8)
    region[:2] = 255
    region[1, 0] = 51
    old = np.zeros((4, 4), bool)
    old[1] = True
    alpha = np.zeros((4, 4), np.uint8)
    area.add(region, old, alpha)
    assert area.ratio == 2 and area.source_left_percent == pytest.approx(100 * 0.8 / 4)


def test_samples_changed_outside_are_counted_with_odd_sizes_and_chroma() -> None:
    planes = (np.zeros((5, 7), np.uint8), np.zeros((3, 4), np.uint8))
    changed = (planes[0].copy(), planes[1].copy())
    region = np.zeros((5, 7), np.uint8)
    region[4, 6] = 1
    changed[0][4, 6] = 9
    changed[1][2, 3] = 9
    assert changed_outside(planes, changed, region) == 0
    changed[0][0, 0] = 9
    changed[1][2, 2] = 9
    assert changed_outside(planes, changed, region) == 2


def test_the_shake_has_the_stated_strength_and_shows_no_border() -> None:
    matrices = shake_matrices(150, (640, 360), seed=1)
    zoom_free = matrices / np.sqrt(np.linalg.det(matrices[:, :2, :2]))[:, None, None]
    degrees = np.rad2deg(np.arctan2(zoom_free[:, 1, 0], zoom_free[:, 0, 0]))
    assert np.abs(degrees).max() == pytest.approx(1.5, rel=1e-6)
    center = np.array([[319.5, 179.5]])
    way = np.array([figures.moved(m, center)[0] - center[0] for m in matrices])
    assert np.abs(way).max(axis=0) == pytest.approx([12, 12], rel=1e-6)
    corners = np.array([[0, 0], [639, 0], [0, 359], [639, 359]], np.float64)
    for matrix in matrices:
        back = figures.moved(np.linalg.inv(matrix), corners)
        assert (back >= 0).all() and (back <= [639, 359]).all()


def test_the_right_person_is_distinguished_from_another_one() -> None:
    subject, others = np.zeros((3, 60, 60), bool), np.zeros((3, 60, 60), bool)
    subject[:2, :30, :30] = True
    others[:, 30:, 30:] = True
    found = subject.astype(np.uint8) * 255
    assert figures.right_share(found, subject, others) == 1.0
    found[1] = others[1]
    # In the third frame the subject is not visible, so it does not count.
    assert figures.right_share(found, subject, others) == 0.5


def test_missing_masks_of_a_truth_folder_are_none(tmp_path: Path) -> None:
    for name in ("gt.npz", "mask.npz"):
        (tmp_path / name).write_bytes((WALK_A / name).read_bytes())
    assert figures.load_truth(tmp_path).others is None
    (tmp_path / "others_mask.npz").write_bytes((WALK_A / "mask.npz").read_bytes())
    clip = figures.load_truth(tmp_path)
    assert clip.others is not None and clip.carried is None
    np.testing.assert_array_equal(clip.others, clip.masks)


def test_the_kept_share_counts_pixels_that_no_channel_changed_by_more_than_the_codec_does() -> None:
    source = np.full((4, 5, 3), 100, np.uint8)
    result = source.copy()
    pixels = np.ones((4, 5), np.bool_)
    result[0] += KEPT_LEVELS
    result[1, :, 2] -= KEPT_LEVELS + 1
    result[3] = 255
    pixels[3] = False
    kept = KeptShare()
    assert kept.share == 1.0
    kept.add(source, result, pixels)
    assert kept.share == pytest.approx(2 / 3)
