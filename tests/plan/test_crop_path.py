"""The virtual camera holds the person, moves smoothly, and has square pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pipeline.datatypes.plan import CameraPath, Subject
from pipeline.maths.boxes import box_corners
from pipeline.maths.geometry import apply_transform
from pipeline.plan.camera_path import smooth_path
from pipeline.plan.crop_path import plan_crop_path
from pipeline.settings import StabilizeSettings
from tests.support.clip_info import video_info
from tests.support.motion_truth import SIZE_WH, true_motion, true_subject, walk_truth

START = np.array([0])


def still(num_frames: int) -> CameraPath:
    identity = np.tile(np.eye(3), (num_frames, 1, 1))
    return CameraPath(identity, identity)


def box_person(boxes: np.ndarray, presence: np.ndarray | None = None) -> Subject:
    n = len(boxes)
    presence = np.full(n, 2, np.uint8) if presence is None else presence
    boxes = np.where(presence[:, None] > 0, boxes, np.nan)
    joints = np.full((n, 21, 3), np.nan, np.float32)
    skeletons = np.full((n, 23, 3), np.nan, np.float32)
    return Subject(np.zeros(n, np.int64), presence, boxes, joints, skeletons, boxes[:, 3] - boxes[:, 1])


@pytest.mark.parametrize("size_wh", [None, (512, 768), (512, 512)])
def test_walk_a_is_held_with_room(size_wh: tuple[int, int] | None) -> None:
    truth = walk_truth()
    subject = true_subject(truth, 0.005)
    motion = true_motion(truth)
    camera = smooth_path(motion, START, np.arange(150) / 30, SIZE_WH, StabilizeSettings().window_seconds)
    crop = plan_crop_path(subject, camera, START, video_info(), size_wh, 768)
    assert crop.focal_px == pytest.approx(0.95 * max(SIZE_WH))
    crop_from_source = crop.crop_from_stable @ camera.stable_from_source
    joints = apply_transform(crop_from_source, subject.joints[..., :2])
    corners = apply_transform(crop_from_source, box_corners(subject.boxes_xyxy))
    room = 0.1 * crop.size_wh[1]
    for points in (joints, corners):
        assert points.min() > room
        assert (points < np.array(crop.size_wh) - room).all()
    if size_wh is None:
        assert crop.size_wh[0] % 64 == crop.size_wh[1] % 64 == 0
        assert 0.8 <= np.min(crop.crop_from_stable[:, 0, 0]) <= 1.2
    else:
        assert crop.size_wh == size_wh
    # No jerk: the picture's middle moves evenly through the crop.
    middle = apply_transform(crop.crop_from_stable, np.tile([[320.0, 180.0]], (150, 1, 1)))[:, 0]
    assert np.abs(np.diff(middle, n=2, axis=0)).max() < 0.002 * crop.size_wh[1]


def test_height_is_capped_and_scale_follows() -> None:
    boxes = np.tile([100.0, 50.0, 400.0, 1000.0], (20, 1))
    crop = plan_crop_path(box_person(boxes), still(20), START, video_info(20, (1920, 1080)), None, 700)
    assert crop.size_wh[1] == 640
    assert crop.crop_from_stable[0, 0, 0] < 0.5


def test_square_pixels_from_anamorphic_ones() -> None:
    boxes = np.tile([200.0, 100.0, 240.0, 300.0], (10, 1))
    crop = plan_crop_path(
        box_person(boxes), still(10), START, video_info(10, sample_aspect_ratio=Fraction(2)), None, 768
    )
    assert crop.crop_from_stable[0, 0, 0] == pytest.approx(2 * crop.crop_from_stable[0, 1, 1])
    turned = video_info(10, sample_aspect_ratio=Fraction(2), quarter_turns=1)
    crop = plan_crop_path(box_person(boxes), still(10), START, turned, None, 768)
    # Upright after a quarter turn the coded width, whose pixels are long, runs downwards.
    assert crop.crop_from_stable[0, 0, 0] == pytest.approx(crop.crop_from_stable[0, 1, 1] / 2)


def test_a_gap_is_bridged_and_shots_are_independent() -> None:
    boxes = np.tile([100.0, 100.0, 160.0, 300.0], (120, 1))
    boxes[:60, [0, 2]] += np.linspace(0, 120, 60)[:, None]
    boxes[60:, [0, 2]] += 300
    presence = np.full(120, 2, np.uint8)
    presence[20:30] = 0
    presence[90:] = 0
    crop = plan_crop_path(box_person(boxes, presence), still(120), np.array([0, 60]), video_info(120), None, 768)
    middle = (np.array(crop.size_wh) / 2 - 0.5 - crop.crop_from_stable[:, :2, 2]) / crop.crop_from_stable[:, :1, 0]
    assert np.abs(np.diff(middle[:60, 0], n=2)).max() < 0.1
    assert middle[25, 0] == pytest.approx(130 + 120 * 25 / 59, abs=1.5)
    np.testing.assert_allclose(middle[60:, 0], 430, atol=0.5)


def test_a_clip_without_the_subject_has_a_crop_path() -> None:
    nobody = box_person(np.full((5, 4), np.nan), np.zeros(5, np.uint8))
    crop = plan_crop_path(nobody, still(5), START, video_info(5), None, 768)
    assert np.isfinite(crop.crop_from_stable).all()
