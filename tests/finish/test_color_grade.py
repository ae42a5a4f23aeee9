"""In black-and-white footage the new person has no color either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.datatypes.window import Layer
from pipeline.finish.compose_frame import make_frame
from pipeline.finish.inputs import FrameInputs
from pipeline.maths.grain import Grain
from pipeline.settings import Settings
from tests.support.finish_job import made_finish_inputs
from tests.support.report_job import H, W


@pytest.mark.parametrize(("light", "is_gray"), [("scene", True), ("daylight", False)])
def test_a_person_in_color_becomes_gray_in_a_gray_clip(tmp_path: Path, light: str, is_gray: bool) -> None:
    settings = {"plate": {"method": "off"}, "composite": {"light": light, "match_sharpness": False}}
    inputs = made_finish_inputs(tmp_path, Settings.model_validate(settings))
    subject = np.zeros((H, W), np.bool_)
    subject[30:90, 50:80] = True
    picture = np.zeros((H, W, 3), np.uint8)
    picture[...] = 40, 90, 180
    layer = Layer(picture, subject.astype(np.uint8) * 255, np.full((21, 3), np.nan, np.float32))
    [frame] = inputs.clip.frames_at([20])
    luma = np.broadcast_to(np.linspace(40, 200, W).astype(np.uint8), (H, W))
    frame = replace(frame, planes=(np.ascontiguousarray(luma), *frame.planes[1:]))
    read = FrameInputs(frame, subject, np.zeros_like(subject), layer)
    colored = Grain((4.0, 4.0, 4.0))
    edited = make_frame(inputs, read, np.full((21, 3), np.nan), np.zeros((2, 2)), colored)
    spread = np.ptp(edited.result_rgb.astype(int), axis=2)
    assert (spread.max() <= 2) == is_gray
    inside = edited.result_rgb[40:80, 58:72].mean(axis=(0, 1))
    assert float(inside @ (0.299, 0.587, 0.114)) == pytest.approx(0.299 * 40 + 0.587 * 90 + 0.114 * 180, abs=2)
