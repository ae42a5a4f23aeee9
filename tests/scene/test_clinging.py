"""A halo along an arm and around its hand is nothing that the hand holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.maths.masks import grow
from pipeline.scene.clinging import clinging
from pipeline.scene.layers import Label
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import SHAPE, Mask, man_at, shot_at, wall

PINK = (235, 120, 200)


def halo_at(x: float) -> Mask:
    """A strip of 4 px along the left forearm, around the hand."""
    silhouette = man_at(x)[0]
    rows, columns = np.indices(SHAPE)
    near = np.hypot(columns - (x + 49), rows - 126) < 20
    return grow(silhouette, 4) & ~silhouette & near & (columns > x + 30)


def test_a_halo_around_a_hand_is_the_subjects_but_a_cup_in_it_is_kept() -> None:
    shot = shot_at(150, wall())
    row = learned([shot_at(x, wall()) for x in PATH[::3]])
    halo = halo_at(150)
    cup = NOTHING.copy()
    cup[116:140, 202:226] = True
    for thing, expected in ((halo, Label.SUBJECT), (cup & ~shot.subject_mask, Label.CARRIED)):
        picture = shot.picture.copy()
        picture[thing] = PINK
        assert share(labeled(replace(shot, picture=picture), row) == expected, thing) > 0.85


def test_what_is_known_to_be_held_or_inside_the_mask_or_somebody_elses_does_not_cling() -> None:
    sample = shot_at(150, wall()).sample()
    halo = halo_at(150)
    assert share(clinging(halo, NOTHING, NOTHING, sample), halo) == 1
    assert not clinging(halo, halo, NOTHING, sample).any()
    assert not clinging(halo, NOTHING, halo, sample).any()
    inside = man_at(150)[0] & grow(halo, 6)
    assert not clinging(inside, NOTHING, NOTHING, sample).any()
