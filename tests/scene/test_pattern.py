"""What has the plate's pattern is the plate, in whatever colors the subject is dressed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.scene.colors import density
from pipeline.scene.covered import covered
from pipeline.scene.pattern import shows_pattern
from pipeline.scene.samples import likeness, subject_counts
from tests.support.scene_labels import NOTHING, share
from tests.support.scene_truth import SHAPE, Mask, man_at, shot_at, wall

SHIRT = (60, 70, 120)


def post(deviation: float) -> tuple[Picture, Mask]:
    """Return a plate with a broad post in the color of the man's shirt, with so much grain of wood."""
    plate = wall()
    place = NOTHING.copy()
    place[20:240, 136:166] = True
    grain = np.random.default_rng(1).normal(0, deviation, (*SHAPE, 1))
    plate[place] = np.clip(np.array(SHIRT) + grain, 0, 255)[place].astype(np.uint8)
    return plate, place


@pytest.mark.parametrize(("deviation", "is_told"), [(9.0, True), (0.0, False)])
def test_a_post_in_the_color_of_the_shirt_is_told_by_its_pattern(deviation: float, is_told: bool) -> None:
    plate, place = post(deviation)
    sample = replace(shot_at(150, plate, place), subject_mask=man_at(150)[0]).sample()
    trunk = place & man_at(150)[0]
    trunk[:70] = trunk[120:] = False
    found = covered(sample, likeness(sample, density(subject_counts(sample))))
    assert (share(found, trunk) > 0.6) == is_told


def test_grain_and_another_pattern_are_not_the_plates() -> None:
    plate, place = post(9.0)
    inner = NOTHING.copy()
    inner[40:200, 142:160] = True
    same = shot_at(40, plate, place)
    other = replace(same, picture=np.where(place[..., None], np.roll(plate, 11, axis=0), plate))
    assert share(shows_pattern(same.sample().view), inner) > 0.95
    assert share(shows_pattern(other.sample().view), inner) < 0.05
    faint, place = post(1.5)
    shot = shot_at(40, faint, place)
    noise = np.random.default_rng(2).normal(0, 1.5, (*SHAPE, 1))
    noisy = replace(shot, picture=np.clip(faint + noise, 0, 255).astype(np.uint8))
    assert share(shows_pattern(noisy.sample().view), inner) < 0.05
