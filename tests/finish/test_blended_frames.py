"""Frames of cross-fades teach plates and labels nothing, and are not judged by them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.datatypes.plan import Presence
from pipeline.finish import surrounding_scene
from pipeline.finish.match_layer import behind_veil
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.uneven_light import LightField, Veil
from pipeline.plate import plate
from pipeline.scene import learn

COUNT, BLENDED = 12, 7
SIZE_WH = (40, 30)


def fading_plan(*, fades: bool = True) -> Any:
    is_blended = np.zeros(COUNT, np.bool_)
    is_blended[BLENDED] = True
    subject = SimpleNamespace(
        presence=np.full(COUNT, Presence.FOUND, np.uint8),
        boxes_xyxy=np.tile([10.0, 5.0, 20.0, 25.0], (COUNT, 1)),
        skeletons=np.full((COUNT, 23, 3), np.nan, np.float32),
        body_height_px=np.full(COUNT, 20.0),
    )
    return SimpleNamespace(is_blended=is_blended if fades else None, subject=subject, overlays=None)


def small_mask() -> np.ndarray:
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[5:25, 10:20] = True
    return mask


def test_no_pixel_of_a_blended_frame_is_background() -> None:
    masks: Any = SimpleNamespace(hidden_mask=lambda frame: small_mask())
    assert plate.hidden_in([fading_plan()], [masks], BLENDED).all()
    for frame, plan in ((BLENDED - 1, fading_plan()), (BLENDED, fading_plan(fades=False))):
        assert not plate.hidden_in([plan], [masks], frame).all()


def test_labels_learn_from_the_other_frames() -> None:
    plates: Any = SimpleNamespace(plate_rows=np.zeros((COUNT, 2), np.int64), size_wh=SIZE_WH)
    assert learn._clear_frames(fading_plan(), plates) == [t for t in range(COUNT) if t != BLENDED]
    assert learn._clear_frames(fading_plan(fades=False), plates) == [*range(COUNT)]


def test_a_blended_frame_is_masked_without_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def scene_masks(scene: Any, plates: Any, frame_inputs: Any, *rest: Any, is_borrowed: bool) -> tuple[str, None]:
        asked.append(frame_inputs.frame.index)
        return "by the scene", None

    monkeypatch.setattr(surrounding_scene, "scene_masks", scene_masks)
    composite = SimpleNamespace(composite=None)
    inputs: Any = SimpleNamespace(plan=fading_plan(), scene=object(), plates=object(), settings=composite)
    nobody = np.zeros_like(small_mask())
    for frame in (BLENDED - 1, BLENDED):
        of_frame: Any = SimpleNamespace(
            frame=SimpleNamespace(index=frame), subject_mask=small_mask(), not_subject_mask=nobody
        )
        nothing: Any = SimpleNamespace()
        found: Any = surrounding_scene._masks(inputs, of_frame, nothing, nothing)[0]
        if frame == BLENDED:
            assert (found.subject == small_mask()).all()
    assert asked == [BLENDED - 1]


def test_the_new_person_lies_behind_the_leak() -> None:
    light = LightField(np.full((1, 2, 3), 0.5, np.float32), np.full((1, 2, 3), 100, np.float32))
    alpha = np.full((8, 6), 0.5, np.float32)
    layer = PlacedLayer((12, 7, 18, 15), np.full((8, 6, 3), 0.5 * 40, np.float32), alpha)
    found = behind_veil(layer, Veil(light, np.ones((1, 2), np.float32)), (10, 5, 30, 25))
    assert found.premultiplied / alpha[..., None] == pytest.approx(0.5 * 40 + 100)
    assert (found.alpha == alpha).all()
