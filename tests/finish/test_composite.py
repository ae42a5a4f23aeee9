from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.finish.chroma_grid import coded_box, on_chroma_grid, rgb_of_edit
from pipeline.finish.composite import HoleReach, behind, compose, edit_weights, hole_reach
from pipeline.finish.quality_metrics import count_changed_outside
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ShadowEdit
from pipeline.media.pixels import rgb_of
from pipeline.settings import CompositeSettings
from tests.support.clip_info import video_info

_FORMATS = {"yuv420p": (8, (1, 1)), "yuv420p10le": (10, (1, 1)), "yuv422p": (8, (1, 0)), "yuv444p": (8, (0, 0))}


def _frame(pix_fmt: str, quarter_turns: int, width: int = 161, height: int = 121) -> Frame:
    depth, (across, down) = _FORMATS[pix_fmt]
    info = video_info(
        1, (width, height), pix_fmt=pix_fmt, bit_depth=depth, chroma_log2_wh=(across, down), quarter_turns=quarter_turns
    )
    random = np.random.default_rng(3)
    chroma = (-(-height // (1 << down)), -(-width // (1 << across)))
    kind = np.uint8 if depth == 8 else np.uint16
    planes = tuple(
        random.integers(16, 200 << (depth - 8), shape).astype(kind) for shape in ((height, width), chroma, chroma)
    )
    return Frame(0, 0, 1, planes, info)


def _disc(frame: Frame, x: float, y: float, radius: float) -> NDArray[np.bool_]:
    width, height = frame.info.size_wh
    yy, xx = np.mgrid[0:height, 0:width]
    return (xx - x) ** 2 + (yy - y) ** 2 <= radius**2


def _layer(box: tuple[int, int, int, int], alpha: float, color: float) -> PlacedLayer:
    shape = (box[3] - box[1], box[2] - box[0])
    a = np.full(shape, alpha, np.float32)
    return PlacedLayer(box, np.full((*shape, 3), color * alpha, np.float32), a)


def reach_of(body_height_px: float, info: VideoInfo) -> HoleReach:
    settings = CompositeSettings()
    return hole_reach(settings.dilate_bh, settings.feather_px, body_height_px, info)


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
@pytest.mark.parametrize("pix_fmt", list(_FORMATS))
def test_nothing_changes_outside_the_region_and_the_subject_is_removed(pix_fmt: str, quarter_turns: int) -> None:
    frame = _frame(pix_fmt, quarter_turns)
    subject_mask = _disc(frame, 60, 55, 20)
    layer = _layer((71, 30, 96, 83), 0.5, 90)
    weights = edit_weights(subject_mask, np.zeros_like(subject_mask), layer, frame.info, reach_of(80.0, frame.info))
    assert weights is not None
    x0, y0, x1, y1 = weights.box_xyxy
    background = np.full((y1 - y0, x1 - x0, 3), 128, np.uint8)
    result = compose(frame, weights, layer, background)
    region = np.zeros_like(subject_mask)
    region[y0:y1, x0:x1] = weights.region
    assert count_changed_outside(frame, result, region) == 0
    left = np.ones(subject_mask.shape, np.float32)
    left[y0:y1, x0:x1] = weights.source
    assert left[subject_mask].max() == 0.0
    # Where only the plate shows, the coded luma is that of gray 128 in BT.709, limited range.
    coded = np.rot90((left == 0) & subject_mask & ~_inside(layer, subject_mask), quarter_turns)
    gray = (16 + 128 / 255 * 219) * 2 ** (frame.info.bit_depth - 8)
    assert np.abs(result.planes[0][coded].astype(float) - gray).max() <= 0.5 * 2 ** (frame.info.bit_depth - 8) + 0.5
    assert region.sum() < 2.2 * (subject_mask | _inside(layer, subject_mask)).sum()


def _inside(layer: PlacedLayer, subject_mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = np.zeros_like(subject_mask)
    x0, y0, x1, y1 = layer.box_xyxy
    inside[y0:y1, x0:x1] = True
    return inside


def test_an_opaque_layer_hides_everything() -> None:
    frame = _frame("yuv444p", 0)
    layer = _layer((20, 20, 40, 60), 1.0, 255)
    none = np.zeros((121, 161), bool)
    weights = edit_weights(none, none, layer, frame.info, reach_of(80.0, frame.info))
    assert weights is not None and weights.box_xyxy == (20, 20, 40, 60) and weights.source.max() == 0
    result = compose(frame, weights, layer, np.zeros((40, 20, 3), np.uint8))
    assert np.all(result.planes[0][20:60, 20:40] == 235)


def test_other_people_are_not_painted_over() -> None:
    frame = _frame("yuv420p", 0)
    subject_mask = _disc(frame, 60, 55, 20)
    other = _disc(frame, 84, 55, 12)
    weights = edit_weights(subject_mask, other & ~subject_mask, None, frame.info, reach_of(80.0, frame.info))
    assert weights is not None
    x0, y0, x1, y1 = weights.box_xyxy
    assert np.all(weights.source[(other & ~subject_mask)[y0:y1, x0:x1]] == 1.0)


def test_without_subject_and_layer_there_is_no_edit() -> None:
    frame = _frame("yuv420p", 0)
    none = np.zeros((121, 161), bool)
    assert edit_weights(none, none, None, frame.info, reach_of(80.0, frame.info)) is None


@pytest.mark.parametrize("quarter_turns", [0, 1])
def test_the_ground_of_shadows_is_part_of_the_region_and_is_counted(quarter_turns: int) -> None:
    frame = _frame("yuv420p", quarter_turns)
    subject_mask = _disc(frame, 40, 45, 15)
    others_mask = _disc(frame, 100, 90, 6)
    shadow = ShadowEdit((50, 80, 110, 101), np.ones((21, 60), np.float32), np.ones((21, 60, 3), np.float32))
    plain, weights = (
        edit_weights(subject_mask, others_mask, None, frame.info, reach_of(80.0, frame.info), edit)
        for edit in (None, shadow)
    )
    assert plain is not None and weights is not None and plain.shadow_px == 0
    assert weights.shadow_px == 21 * 60 - np.count_nonzero(others_mask[80:101, 50:110])
    x0, y0, x1, y1 = weights.box_xyxy
    assert (weights.source[others_mask[y0:y1, x0:x1]] == 1).all()
    result = compose(frame, weights, None, np.full((y1 - y0, x1 - x0, 3), 128, np.uint8))
    region = np.zeros_like(subject_mask)
    region[y0:y1, x0:x1] = weights.region
    assert count_changed_outside(frame, result, region) == 0 and region[85, 60]


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_coded_box_is_the_turned_box(quarter_turns: int) -> None:
    frame = _frame("yuv420p", quarter_turns)
    width, height = frame.info.size_wh
    mask = np.zeros((height, width), bool)
    mask[10:31, 40:47] = True
    coded = np.rot90(mask, quarter_turns)
    x0, y0, x1, y1 = coded_box((40, 10, 47, 31), frame.info)
    assert coded[y0:y1, x0:x1].all() and coded.sum() == (y1 - y0) * (x1 - x0)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
@pytest.mark.parametrize("pix_fmt", list(_FORMATS))
@pytest.mark.parametrize("box", [(41, 30, 80, 71), (0, 0, 9, 121), (100, 90, 161, 121)])
def test_the_view_of_an_edited_frame_is_converted_only_where_it_changed(
    pix_fmt: str, quarter_turns: int, mirrored: bool, box: tuple[int, int, int, int]
) -> None:
    frame = _frame(pix_fmt, quarter_turns)
    info = replace(frame.info, mirrored=mirrored)
    frame = replace(frame, info=info)
    width, height = info.size_wh
    box = (box[0], box[1], min(box[2], width), min(box[3], height))
    x0, y0, x1, y1 = coded_box(on_chroma_grid(box, info), info)
    planes = []
    for number, plane in enumerate(frame.planes):
        across, down = info.chroma_log2_wh if number else (0, 0)
        changed = plane.copy()
        changed[y0 >> down : -(-y1 >> down), x0 >> across : -(-x1 >> across)] += 16
        planes.append(changed)
    result = replace(frame, planes=tuple(planes))

    view = rgb_of_edit(result, on_chroma_grid(box, info), rgb_of(frame))

    # The same arithmetic in vectors of other lengths may round differently.
    assert np.abs(view.astype(int) - rgb_of(result)).max() <= 1
    assert np.abs(rgb_of(frame).astype(int) - rgb_of(result)).max() > 8


@pytest.mark.parametrize("center", [(75, 60), (4, 118), (160, 0)])
def test_the_hole_falls_with_the_distance_from_the_subject(center: tuple[int, int]) -> None:
    frame = _frame("yuv444p", 0)
    width, height = frame.info.size_wh
    subject_mask = _disc(frame, *center, 12)
    everywhere = ShadowEdit(
        (0, 0, width, height), np.zeros((height, width), np.float32), np.ones((height, width, 3), np.float32)
    )
    reach = HoleReach(3.0, 5.5)
    nothing = np.zeros_like(subject_mask)
    weights = edit_weights(subject_mask, nothing, None, frame.info, reach, everywhere)
    assert weights is not None and weights.hole.shape == subject_mask.shape
    distance = cv2.distanceTransform((~subject_mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    assert np.array_equal(weights.hole, np.clip(1.0 - (distance - 3.0) / 5.5, 0, 1).astype(np.float32))


def test_a_layer_that_nothing_covers_is_not_copied() -> None:
    layer = _layer((50, 30, 96, 83), 1.0, 90)
    kept = np.zeros((121, 161), np.bool_)
    kept[:30] = True
    assert behind(layer, kept) is layer


def test_kept_pixels_are_unchanged_under_the_layer_and_in_the_hole() -> None:
    frame = _frame("yuv444p", 0)
    subject_mask = _disc(frame, 60, 55, 20)
    kept = _disc(frame, 75, 60, 9)
    layer = behind(_layer((50, 30, 96, 83), 1.0, 90), kept)
    weights = edit_weights(subject_mask & ~kept, kept, layer, frame.info, reach_of(80.0, frame.info))
    assert weights is not None
    x0, y0, x1, y1 = weights.box_xyxy
    result = compose(frame, weights, layer, np.full((y1 - y0, x1 - x0, 3), 128, np.uint8))
    for before, after in zip(frame.planes, result.planes, strict=True):
        np.testing.assert_array_equal(before[kept], after[kept])
        assert (before != after)[_disc(frame, 60, 50, 5)].mean() > 0.9
