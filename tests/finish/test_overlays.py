"""Burnt-in graphics stay on top of everything."""

from __future__ import annotations

import numpy as np

from pipeline.finish.composite import behind, edit_weights, hole_reach
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.scene_masks import SceneMasks, masks_without_scene
from pipeline.scene.layers import Label
from tests.support.clip_info import video_info

_SIZE_WH = (64, 48)


def test_a_graphic_over_both_people_is_unchanged() -> None:
    subject = np.zeros(_SIZE_WH[::-1], np.bool_)
    subject[8:40, 20:36] = True
    graphic = np.zeros_like(subject)
    graphic[20:30, 8:56] = True
    labels = np.where(subject, np.uint8(Label.SUBJECT), np.uint8(Label.NOBODY))
    masks = SceneMasks(subject, np.zeros_like(subject), labels).beneath(graphic)
    layer = PlacedLayer((24, 4, 44, 44), np.full((40, 20, 3), 0.5, np.float32), np.ones((40, 20), np.float32))
    layer = behind(layer, masks.kept)
    info = video_info(1, _SIZE_WH)
    weights = edit_weights(masks.subject, masks.kept, layer, info, hole_reach(0.025, 2.0, 32.0, info))
    assert weights is not None
    x0, y0, x1, y1 = weights.box_xyxy
    covered = graphic[y0:y1, x0:x1]
    assert (weights.source[covered] == 1.0).all()
    assert (weights.source[~covered & subject[y0:y1, x0:x1]] == 0.0).all()
    assert masks.labels is not None
    assert (masks.labels[graphic] == Label.FRONT).all()
    assert (masks.labels[subject & ~graphic] == Label.SUBJECT).all()


def test_without_graphics_the_masks_are_the_same() -> None:
    none = np.zeros(_SIZE_WH[::-1], np.bool_)
    masks = masks_without_scene(none, none)
    assert masks.beneath(None) is masks
