"""The original reflection is removed and the new one is added."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.finish.patch import Patch
from pipeline.finish.reflections import edit_reflection, mirrored_area, reflection_box
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.shadows import ShadowEdit, darkened
from pipeline.maths.reflection import ReflectionSample, reflection_strength
from pipeline.scene.layers import Label

_SIZE = (200, 160)
_FOOT_ROW = 120.0
_HEIGHT_PX = 100.0
_SHARE = 0.4
_BOX = (0, 0, _SIZE[1], _SIZE[0])


def _subject() -> np.ndarray:
    mask = np.zeros(_SIZE, np.bool_)
    mask[21:121, 40:70] = True
    return mask


def _layer() -> PlacedLayer:
    alpha = np.ones((100, 30), np.float32)
    return PlacedLayer((80, 21, 110, 121), np.full((100, 30, 3), 200, np.float32), alpha)


def _edit(recast: bool, shadow: ShadowEdit | None = None, blocked: np.ndarray | None = None) -> ShadowEdit:
    plate = np.full((*_SIZE, 3), 100, np.uint8)
    nobody = np.zeros(_SIZE, np.bool_)
    others = nobody if blocked is None else blocked
    patch = Patch(_BOX, plate, plate, ~nobody, _subject(), others, _HEIGHT_PX)
    return edit_reflection(shadow, patch, _layer(), _FOOT_ROW, _SHARE, recast=recast)


def test_the_original_reflection_is_replaced_by_the_new_one() -> None:
    edit = _edit(recast=True)
    assert edit.hole[125:195, 42:68].min() == 1 and edit.hole[125:195, 82:108].min() > 0.9
    assert not edit.hole[:100].any() and not edit.hole[130:, :30].any()
    floor = darkened(np.full((*_SIZE, 3), 100, np.uint8), _BOX, edit)
    assert (floor[130:190, 42:68] == 100).all()
    # 40 % of the way from the floor to the person.
    np.testing.assert_allclose(floor[130:190, 84:106], 140, atol=1)


def test_removal_alone_is_possible_and_stops_at_other_people() -> None:
    blocked = np.zeros(_SIZE, np.bool_)
    blocked[150:170, 40:70] = True
    edit = _edit(recast=False, blocked=blocked)
    assert (edit.gain == 1).all() and not edit.hole[130:, 90:].any()
    assert not edit.hole[blocked].any() and edit.hole[140, 50] == 1


def test_a_shadow_stays_beside_it() -> None:
    dark = ShadowEdit((100, 110, 150, 130), np.ones((20, 50), np.float32), np.full((20, 50, 3), 0.5, np.float32))
    both = _edit(recast=False, shadow=dark)
    x0, y0 = both.box_xyxy[:2]
    assert both.hole[112 - y0, 145 - x0] == 1 and both.gain[112 - y0, 145 - x0, 0] == pytest.approx(0.5)
    assert both.hole[140 - y0, 50 - x0] == 1


def test_one_likeness_does_not_make_a_mirror() -> None:
    dull = [ReflectionSample(0.02, 0.3)] * 6 + [ReflectionSample(0.4, 0.9)]
    assert reflection_strength(dull) == 0.0
    assert reflection_strength([ReflectionSample(0.4, 0.9)] * 3) == 0.0
    assert reflection_strength([ReflectionSample(0.27, 0.9)] * 5) == pytest.approx(0.3)
    assert reflection_strength([ReflectionSample(0.01, 0.9)] * 5) == 0.0


def test_no_reflection_without_visible_floor() -> None:
    assert reflection_box(_subject(), _layer(), 199.5, _HEIGHT_PX) is None
    box = reflection_box(_subject(), _layer(), _FOOT_ROW, _HEIGHT_PX)
    assert box is not None and box[3] == _SIZE[0] and box[2] >= 110


def test_the_image_in_the_floor_is_no_object_that_is_kept() -> None:
    labels = np.full(_SIZE, Label.NOBODY, np.uint8)
    labels[140:160, 45:60] = Label.THING
    labels[140:160, 100:110] = Label.THING
    kept = labels == Label.THING
    box = reflection_box(_subject(), None, _FOOT_ROW, _HEIGHT_PX)
    assert box is not None
    masks = SceneMasks(_subject(), kept, labels).without_things(mirrored_area(_subject(), box, _FOOT_ROW, _HEIGHT_PX))
    assert masks.labels is not None
    assert not masks.kept[140:160, 45:60].any() and (masks.labels[140:160, 45:60] == Label.NOBODY).all()
    # What lies beside it stays.
    assert masks.kept[140:160, 100:110].all()
