"""Several subjects in one frame: the nearer covers the farther, and no original pixels reappear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.window import Layer
from pipeline.finish.compose_frame import Piece
from pipeline.finish.group_frame import GroupFrame, make_group_frame, with_consistent_masks
from pipeline.finish.group_quality import GroupMeter, quality_of_all
from pipeline.finish.inputs import FinishInputs, FrameInputs
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.surrounding_scene import SurroundingScene
from pipeline.media.pixels import rgb_of
from pipeline.result import Quality, SubjectReport
from pipeline.scene.layers import Label
from pipeline.settings import Settings
from tests.support.finish_job import made_finish_inputs
from tests.support.report_job import H, W

RED, BLUE = (200, 20, 20), (20, 20, 200)
FRAME = 20
SETTINGS = Settings.model_validate({"composite": {"match_sharpness": False}, "plate": {"method": "off"}})
NOWHERE = [np.full((21, 3), np.nan)] * 2
UNMOVED = [np.zeros((2, 2))] * 2


def box_mask(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros((H, W), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def layer_of(mask: NDArray[np.bool_], rgb: tuple[int, int, int]) -> Layer:
    picture = np.zeros((H, W, 3), np.uint8)
    picture[...] = rgb
    return Layer(picture, mask.astype(np.uint8) * 255, np.full((21, 3), np.nan, np.float32))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> FinishInputs:
    one = made_finish_inputs(tmp_path_factory.mktemp("group"), SETTINGS)
    return replace(one, further=(one,))


FIRST, SECOND = box_mask(50, 30, 80, 90), box_mask(80, 34, 100, 86)
"""The visible pixels of both: the first stands in front of the second, who extends from 70 to 100."""
NEW_FIRST, NEW_SECOND = box_mask(54, 30, 76, 90), box_mask(68, 34, 98, 86)
"""The new ones: the first is slimmer than the old one."""


def made(inputs: FinishInputs, order: list[int], layers: tuple[Layer | None, Layer | None]) -> GroupFrame:
    [frame] = inputs.clip.frames_at([FRAME])
    read = (
        FrameInputs(frame, FIRST, SECOND, layers[0]),
        FrameInputs(frame, SECOND, FIRST, layers[1]),
    )
    return make_group_frame(inputs, read, NOWHERE, UNMOVED, order, None)


def near(picture: NDArray[np.uint8], box: tuple[int, int, int, int], rgb: tuple[int, int, int]) -> bool:
    x0, y0, x1, y1 = box
    return bool(np.abs(picture[y0:y1, x0:x1].astype(int) - rgb).max() < 24)


def test_the_nearer_person_covers_the_farther_one_and_leaves_the_rest_visible(inputs: FinishInputs) -> None:
    edited = made(inputs, [1, 0], (layer_of(NEW_FIRST, RED), layer_of(NEW_SECOND, BLUE))).edited
    assert near(edited.result_rgb, (58, 36, 74, 84), RED)
    # Where the first subject was and the new person is not, the second is visible and no original pixel.
    assert near(edited.result_rgb, (78, 38, 80, 82), BLUE) and near(edited.result_rgb, (84, 38, 96, 82), BLUE)
    source = rgb_of(edited.source)
    assert np.array_equal(edited.result_rgb[~edited.region], source[~edited.region])
    assert edited.source_weight[FIRST | SECOND].max() == 0


def test_in_reverse_order_the_other_person_is_on_top(inputs: FinishInputs) -> None:
    edited = made(inputs, [0, 1], (layer_of(NEW_FIRST, RED), layer_of(NEW_SECOND, BLUE))).edited
    assert near(edited.result_rgb, (72, 38, 96, 82), BLUE) and near(edited.result_rgb, (58, 36, 66, 84), RED)
    assert edited.layer_alpha[NEW_FIRST | NEW_SECOND].min() > 0.9


def test_an_absent_subject_leaves_the_other_as_in_a_job_of_one(inputs: FinishInputs) -> None:
    group = made(inputs, [1, 0], (layer_of(NEW_FIRST, RED), None))
    assert [share.is_replaced for share in group.shares] == [True, False]
    # In a job of one the second person is one of the others.
    assert np.array_equal(group.edited.result_rgb[40:80, 92:98], group.edited.source_rgb[40:80, 92:98])


def test_objects_carried_by_two_subjects_are_kept_for_both(inputs: FinishInputs) -> None:
    thing = box_mask(60, 55, 95, 60)
    labels = [np.where(mask, np.uint8(Label.SUBJECT), np.uint8(Label.NOBODY)) for mask in (FIRST, SECOND)]
    labels[0][SECOND] = Label.OTHERS
    labels[1][FIRST] = Label.OTHERS
    # One of them labels all of it as an object, the other labels its part as clothing.
    labels[0][thing] = Label.CARRIED
    nothing = np.zeros((H, W, 3), np.uint8)
    seen = [SceneMasks(each == Label.SUBJECT, each > Label.SUBJECT, each) for each in labels]
    pieces = [Piece(None, SurroundingScene((0, 0, W, H), nothing, masks), masks, 60.0, nothing) for masks in seen]
    fitted = with_consistent_masks(inputs, pieces, [FIRST, SECOND])
    for piece in fitted:
        assert piece is not None
        assert piece.masks.kept[thing].all() and not piece.masks.subject[thing].any()
    # The other subject is replaced as well, so they are not kept.
    assert not fitted[0].masks.kept[SECOND & ~thing].any() and not fitted[1].masks.kept[FIRST & ~thing].any()


def test_figures_are_each_ones_own_and_the_jobs_the_worst(inputs: FinishInputs) -> None:
    meter = GroupMeter(2)
    for _ in range(3):
        meter.push(made(inputs, [1, 0], (layer_of(NEW_FIRST, RED), layer_of(NEW_SECOND, BLUE))).shares)
    assert [meter.frames_replaced(number) for number in (0, 1)] == [3, 3]
    share = meter.of(0)
    assert share is not None and share.old_px == 3 * FIRST.sum() and share.source_left_px == 0
    reports = [
        SubjectReport(
            number=n, frames_replaced=3, frames_absent=0, frames_uncertain=0, contacts=0,
            quality=Quality(foot_slide_percent=slide),
        )
        for n, slide in enumerate((0.2, 0.7))
    ]  # fmt: skip
    presences = [np.array([0, 1, 2], np.uint8), np.array([0, 2, 2], np.uint8)]
    whole = quality_of_all(Quality(seam_gradient_ratio=1.0), reports, presences)
    assert (whole.foot_slide_percent, whole.seam_gradient_ratio) == (0.7, 1.0)
    assert (whole.frames_absent, whole.frames_uncertain) == (1, 1)
