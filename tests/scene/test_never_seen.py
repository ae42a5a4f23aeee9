"""Colors that no object has: errors of the plate are no objects, and what was seen before is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.scene.layers import Label
from pipeline.scene.never_seen import never_seen
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import Mask, Shot, shot_at, wall

GREEN = (30, 200, 60)


def beside(x: int) -> Mask:
    """Return a strip along the man's head, wide enough for an object and out of reach of his hands."""
    mask = NOTHING.copy()
    mask[20:60, x + 22 : x + 44] = True
    return mask


def with_strip(x: int) -> tuple[Shot, Mask]:
    shot = shot_at(x, wall())
    strip = beside(x) & ~shot.subject_mask
    picture = shot.picture.copy()
    picture[strip] = GREEN
    return replace(shot, picture=picture), strip


def test_a_color_that_no_object_has_is_an_error_of_the_plate() -> None:
    row = learned([shot_at(x, wall()) for x in PATH])
    shot, strip = with_strip(150)
    assert share(labeled(shot, row) == Label.THING, strip) == 0.0


def test_what_was_seen_in_many_frames_is_an_object() -> None:
    row = learned([with_strip(x)[0] for x in PATH])
    shot, strip = with_strip(150)
    assert share(labeled(shot, row) == Label.THING, strip) > 0.7


def test_each_component_is_judged_by_most_of_its_pixels() -> None:
    loose = NOTHING.copy()
    loose[10:20, 10:30] = True
    loose[40:50, 10:30] = True
    foreign = np.full(loose.shape, 2e-4, np.float32)
    foreign[10:20, 10:22] = 0.02
    foreign[40:50, 10:18] = 0.02
    new = never_seen(loose, foreign, np.float32(2e-4))
    assert not new[10:20].any()
    assert new[40:50, 10:30].all()
    assert not never_seen(loose, foreign, np.float32(1e-7)).any()
