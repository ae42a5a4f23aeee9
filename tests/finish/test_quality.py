from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.datatypes.plan import Plan
from pipeline.datatypes.survey import Person
from pipeline.finish.composite import EditedFrame, EditWeights
from pipeline.finish.quality import QualityMeter, _Patch
from pipeline.finish.quality_metrics import (
    count_changed_outside,
    foot_slide_bh,
    psnr_outside,
    second_difference_bh,
    warping_error,
)
from pipeline.finish.reshake import PlacedLayer
from tests.support.clip_info import video_info
from tests.support.still_plan import still_plan

W, H, T = 64, 48, 9


def info_of(quarter_turns: int = 0, frames: int = T) -> VideoInfo:
    return video_info(frames, (W, H), quarter_turns=quarter_turns)


def frame_of(info: VideoInfo, index: int, luma: int = 100) -> Frame:
    shapes = ((H, W), (H // 2, W // 2), (H // 2, W // 2))
    planes = tuple(np.full(shape, luma, np.uint8) for shape in shapes)
    return Frame(index, index, 1, planes, info)


def plan_of(planted: slice = slice(2, 7), cuts: tuple[int, ...] = (0,)) -> Plan:
    joints = np.zeros((T, 21, 3), np.float32)
    joints[..., :2] = np.arange(21)[None, :, None] * 2.0
    plant = np.full((T, 2), -1)
    plant[planted, 0] = 3
    anchors = np.full((T, 2, 2), np.nan)
    anchors[planted, 0] = np.stack([np.arange(T)[planted] * 2.0, np.full(T, 40.0)[planted]], axis=-1)
    presence = np.array([0, 1] + [2] * (T - 2), np.uint8)
    return still_plan((W, H), presence, np.zeros((T, 4)), joints, 100.0, plant, anchors, cuts=cuts)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_samples_outside_the_region_are_counted_in_all_planes_and_orientations(turns: int) -> None:
    info = info_of(turns)
    source, result = frame_of(info, 0), frame_of(info, 0)
    region = np.zeros((info.size_wh[1], info.size_wh[0]), bool)
    upright_xy = (10, 6)
    region[upright_xy[1] : upright_xy[1] + 2, upright_xy[0] : upright_xy[0] + 2] = True
    corners = [info.coded_from_source @ (upright_xy[0] + dx, upright_xy[1] + dy, 1) for dx in (0, 1) for dy in (0, 1)]
    x, y = (int(min(corner[axis] for corner in corners)) for axis in (0, 1))
    result.planes[0][y : y + 2, x : x + 2] += 1
    result.planes[1][y // 2, x // 2] += 1
    assert count_changed_outside(source, result, region) == 0
    result.planes[2][(y // 2 + 3) % (H // 2), x // 2] += 1
    result.planes[0][y, x + 2] += 1
    assert count_changed_outside(source, result, region) == 2


def test_psnr_outside_ignores_the_region_and_follows_its_formula() -> None:
    info = info_of(frames=2)

    def frame(outside: int, inside: int) -> Frame:
        made = frame_of(info, 0, outside)
        made.planes[0][:, : W // 2] = inside
        return made

    region = np.zeros((H, W), bool)
    region[:, : W // 2] = True
    assert psnr_outside(frame(100, 100), frame(100, 9).planes[0], region) == 100.0
    expected = 10 * np.log10(255**2 / 16)
    assert psnr_outside(frame(100, 100), frame(104, 9).planes[0], region) == pytest.approx(expected)
    assert psnr_outside(frame(100, 100), frame(104, 9).planes[0], ~region) < expected


def test_a_foot_that_follows_its_anchor_with_an_offset_does_not_slide() -> None:
    plan = plan_of()
    placed = np.full((T, 21, 3), np.nan)
    placed[2:7, 15, 0] = np.arange(2, 7) * 2.0 + 7
    placed[2:7, 15, 1] = 30.0
    bh = plan.subject.body_height_px
    slide = foot_slide_bh(placed, plan.contacts.anchors, plan.contacts.plant_id, bh, plan.shot_starts)
    assert np.nanmax(slide) == pytest.approx(0)
    assert np.isfinite(slide[:, 0]).sum() == 5 and np.isnan(slide[:, 1]).all()
    placed[2:7, 15, 0] += [0, 0, 0, 0, 5]
    slide = foot_slide_bh(placed, plan.contacts.anchors, plan.contacts.plant_id, bh, plan.shot_starts)
    assert slide[6, 0] == pytest.approx(0.04) and slide[2, 0] == pytest.approx(0.01)


def test_second_difference_is_zero_on_straight_ways_and_blind_across_cuts() -> None:
    points = np.zeros((T, 1, 2))
    points[:, 0, 0] = np.arange(T) * 3.0
    bh = np.full(T, 50.0)
    assert np.nanmax(second_difference_bh(points, bh, np.array([0]))) == pytest.approx(0, abs=1e-12)
    points[5:] += 30.0
    jump = second_difference_bh(points, bh, np.array([0]))
    assert jump[4, 0] == pytest.approx(np.hypot(30, 30) / 50) and jump[5, 0] == pytest.approx(jump[4, 0])
    assert np.nanmax(second_difference_bh(points, bh, np.array([0, 5]))) == pytest.approx(0, abs=1e-12)


def test_warping_error_follows_motion_and_sees_flicker() -> None:
    rng = np.random.default_rng(1)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (130, 130, 3), np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, None, 0, 220, cv2.NORM_MINMAX)
    earlier = texture[2:122, 3:123].copy()
    moved = texture[0:120, 0:120].copy()
    region = np.zeros((120, 120), bool)
    region[20:100, 20:100] = True
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    steady = warping_error(earlier, moved, region, flow)
    unaligned = float(np.mean(np.sum(((earlier[region].astype(float) - moved[region]) / 255) ** 2, axis=-1)))
    flicker = warping_error(earlier, moved + np.uint8(20), region, flow)
    assert steady < 0.1 * unaligned
    assert flicker == pytest.approx(3 * (20 / 255) ** 2, rel=0.25)
    assert np.isnan(warping_error(earlier, moved, np.zeros_like(region), flow))


def test_the_meter_gives_known_figures() -> None:
    info = info_of()
    plan = plan_of()
    meter = QualityMeter(info, plan)
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (H, W, 3), np.uint8), (0, 0), 2)
    region = np.zeros((H, W), bool)
    subject_mask = np.zeros((H, W), bool)
    region[8:40, 10:50] = True
    subject_mask[12:36, 20:40] = True
    alpha = np.zeros((H, W), np.float32)
    alpha[12:36, 30:50] = 0.5
    weight = (~region).astype(np.float32)
    weight[12:24, 20:40] = 0.02
    result = picture.copy()
    result[region] = 90
    whole = (0, 0, W, H)
    weights = EditWeights(whole, 1 - weight, weight, region)
    layer = PlacedLayer(whole, np.zeros((H, W, 3), np.float32), alpha)
    for index in range(1, T):
        source = frame_of(info, index)
        changed = frame_of(info, index)
        changed.planes[0][10, 10:13] = 7
        if index == 4:
            changed.planes[0][0, 0] = 7
        meter.push(EditedFrame(source, changed, picture, result, subject_mask, weights, layer, None))
    meter.push(EditedFrame(frame_of(info, 0), frame_of(info, 0, 9), picture, result, subject_mask, None, layer, None))
    placed = plan.subject.joints.astype(np.float64).copy()
    placed[..., :2] *= 1.25
    person = Person(
        np.array([0.0, 0, 30, 200]), 1.0, plan.subject.joints[0], np.zeros((23, 3), np.float32), subject_mask
    )
    figures = meter.finish(placed, placed, person)
    assert figures.changed_outside == 1
    assert figures.region_area_ratio == pytest.approx(32 * 40 / (24 * 30))
    assert figures.source_left_percent == pytest.approx(1.0)
    assert figures.warping_error_source == pytest.approx(0, abs=1e-6)
    assert (figures.frames_replaced, figures.frames_absent, figures.frames_uncertain) == (T - 1, 1, 1)
    assert figures.new_to_subject_scale == pytest.approx(1.25)
    assert figures.reference_to_subject_scale == pytest.approx(0.5)
    assert figures.placed_jitter_percent == pytest.approx(0, abs=1e-9)
    assert figures.foot_slide_percent == pytest.approx(100 * np.sqrt(8) / 100)
    assert figures.seam_gradient_ratio is not None and figures.seam_gradient_ratio > 1.5
    assert len(meter.series["frame"]) == T - 1 and meter.series["foot_slide_locked_bh"].shape == (T, 2)


def test_a_job_without_replaced_frames_has_no_ratios() -> None:
    plan = plan_of(planted=slice(0, 0))
    figures = QualityMeter(info_of(), plan).finish(np.full((T, 21, 3), np.nan), np.full((T, 21, 3), np.nan))
    assert figures.changed_outside == 0 and figures.frames_replaced == 0
    for name in ("region_area_ratio", "foot_slide_percent", "placed_jitter_percent", "reference_to_subject_scale"):
        assert getattr(figures, name) is None


def test_a_long_and_low_edit_region_is_compared_at_a_size_that_the_flow_takes() -> None:
    """Between pictures of fewer than 32 lines it ends the process."""
    picture = np.random.default_rng(0).integers(0, 256, (40, 200, 3), np.uint8)
    patch = _Patch(0, (0, 4, 200, 22), np.ones((40, 200), np.bool_), picture, picture)
    assert min(patch.source.shape[:2]) >= 32
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    assert warping_error(patch.source, patch.result, patch.region, flow) < 1e-3
