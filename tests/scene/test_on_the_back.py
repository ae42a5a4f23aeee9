"""What stands up from the back is carried: a case beside legs and head is neither a blurred outline nor a cap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.maths.masks import grow
from pipeline.scene.edges import blurred_outline
from pipeline.scene.held_places import place_counts, shares
from pipeline.scene.layers import Label
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import Mask, Shot, shot_at, wall

GREEN = (40, 160, 60)


def region(x0: float, x1: float, y0: int, y1: int) -> Mask:
    found = NOTHING.copy()
    found[y0:y1, round(x0) : round(x1)] = True
    return found


def neck_at(x: float) -> Mask:
    return region(x - 34, x - 18, 0, 50)


def case_at(x: float) -> Mask:
    return neck_at(x) | region(x - 76, x - 30, 44, 58) | region(x - 76, x - 54, 44, 130)


def with_thing(x: float, thing: Mask) -> Shot:
    shot = shot_at(x, wall())
    picture = shot.picture.copy()
    picture[thing & ~shot.subject_mask] = GREEN
    return replace(shot, picture=picture)


def test_a_broad_thing_beside_the_mask_is_no_blurred_outline() -> None:
    sample = shot_at(150, wall()).sample()
    case = region(174, 190, 150, 232) & ~sample.subject_mask
    rim = grow(sample.subject_mask, 3) & ~sample.subject_mask
    assert not blurred_outline(sample, case, NOTHING, NOTHING).any()
    assert share(blurred_outline(sample, rim, NOTHING, NOTHING), rim) > 0.99


def test_the_neck_of_a_case_is_no_cap_where_nothing_moves_with_the_head_alone() -> None:
    row = learned([with_thing(x, case_at(x)) for x in PATH[::2]])
    row = replace(row, worn=np.zeros_like(row.worn))
    neck = neck_at(150)
    shown = with_thing(150, neck)
    assert share(labeled(shown, row) == Label.SUBJECT, neck & ~shown.subject_mask) < 0.1


def test_the_strip_that_shows_beside_the_body_of_a_broad_thing_is_no_outline() -> None:
    shots = [with_thing(x, case_at(x)) for x in PATH[::2]]
    row = learned(shots)
    counts = [place_counts(case_at(shot.x), ~case_at(shot.x), shot.sample().body) for shot in shots]
    no_colors = {"in_hand": np.zeros_like(row.in_hand), "is_held": np.zeros_like(row.is_held)}
    row = replace(row, held=shares(np.sum(counts, axis=0)), **no_colors)
    mask = shot_at(150, wall()).subject_mask
    strip = grow(mask, 6) & ~mask & region(90, 150, 30, 225)
    shown = with_thing(150, strip)
    assert share(labeled(shown, row) == Label.CARRIED, strip) > 0.8
    assert share(labeled(shown, replace(row, breadth_bh=0.03)) == Label.CARRIED, strip) < 0.4
    # Beside the head no place is known: hats and hair are there as well.
    beside_head = grow(mask, 9) & ~mask & region(110, 140, 6, 28)
    held = row.held.copy()
    held[:, :30] = 0
    labels = labeled(with_thing(150, beside_head), replace(row, held=held))
    assert share(np.isin(labels, (Label.CARRIED, Label.THING)), beside_head) > 0.8
