"""The clean background of a frame, as the artifact `plate` shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.finish import compose_frame
from pipeline.finish.compose_frame import Piece, make_frame
from pipeline.finish.inputs import FrameInputs
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.shadows import ShadowEdit
from pipeline.finish.surrounding_scene import SurroundingScene
from pipeline.media.pixels import rgb_of
from pipeline.settings import Settings
from tests.support.finish_job import made_finish_inputs
from tests.support.report_job import H, W

_BOX = (0, 0, W, H)


def test_the_new_shadow_is_in_the_result_and_not_in_the_clean_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = made_finish_inputs(tmp_path, Settings.model_validate({"plate": {"method": "off"}}))
    subject = np.zeros((H, W), np.bool_)
    subject[30:90, 50:80] = True
    nobody = np.zeros_like(subject)
    shadow = ShadowEdit(_BOX, np.zeros((H, W), np.float32), np.full((H, W, 3), 0.5, np.float32))
    plate = np.full((H, W, 3), 160, np.uint8)
    scene = SurroundingScene(_BOX, plate, SceneMasks(subject, nobody, None), shadow)
    [frame] = inputs.clip.frames_at([20])
    piece = Piece(None, scene, scene.masks, 60.0, rgb_of(frame))
    monkeypatch.setattr(compose_frame, "find_piece", lambda *_: piece)
    edited = make_frame(
        inputs, FrameInputs(frame, subject, nobody, None), np.full((21, 3), np.nan), np.zeros((2, 2)), None
    )
    assert edited.background is not None
    assert (edited.background == 160).all()
    assert abs(float(edited.result_rgb[40:80, 60:70].mean()) - 80) < 3
