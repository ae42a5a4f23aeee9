"""Only the surroundings of what nothing explains are looked at, and the result is that of the whole view."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from pipeline.scene import own_parts as module
from pipeline.scene.frame_evidence import frame_evidence
from pipeline.scene.own_parts import own_parts
from pipeline.scene.unexplained import unexplained_pixels
from tests.support.scene_labels import learned
from tests.support.scene_truth import Shot, disc, shot_at, wall

OF_UNEXPLAINED = {"own", "fingers", "rest", "known", "in_place"}


def in_motion(x: float) -> Shot:
    """A man whose outline is blurred, whose mask is too tight, with a ball at his hand."""
    shot = shot_at(x, wall())
    picture = cv2.blur(shot.picture, (7, 1))
    picture[disc(x + 34, 128, 7)] = (230, 120, 20)
    tight = cv2.erode(shot.subject_mask.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return replace(shot, picture=picture, subject_mask=tight)


@pytest.mark.parametrize("x", [60, 140, 220])
def test_what_is_far_from_the_unexplained_pixels_changes_nothing(x: float, monkeypatch: pytest.MonkeyPatch) -> None:
    row = learned([shot_at(place, wall()) for place in (60, 100, 140)])
    sample = in_motion(x).sample()
    height, width = sample.subject_mask.shape
    evidence = frame_evidence(sample, row, np.zeros((height, width), np.bool_), may_meet=False)
    unexplained = unexplained_pixels(evidence, sample, row)
    near = own_parts(unexplained, evidence, sample, row)
    assert near.own.any()
    looked_at = module._room_around(unexplained, sample)
    assert looked_at[2] - looked_at[0] < width
    monkeypatch.setattr(module, "_room_around", lambda *_: (0, 0, width, height))
    whole = own_parts(unexplained, evidence, sample, row)
    assert {each.name for each in fields(whole)} > OF_UNEXPLAINED
    for name in OF_UNEXPLAINED:
        assert np.array_equal(getattr(near, name), getattr(whole, name)), name
