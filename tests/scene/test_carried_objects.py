"""Objects that the subject holds or wears, and what is not theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.scene.layers import Label, labels_of
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import SHAPE, Mask, Shot, disc, man_at, shot_at, wall


def racket(x: float, dy: float = 0.0) -> Mask:
    """A stick in the left hand with a disc at its end."""
    stick = np.zeros(SHAPE, np.uint8)
    cv2.line(stick, (round(x + 49), 126), (round(x + 76), round(96 + dy)), 1, 3)
    return (stick > 0) | disc(x + 84, 88 + dy, 13)


def carrying(x: float, thing: Mask, is_in_mask: bool) -> Shot:
    shot = shot_at(x, wall())
    picture = shot.picture.copy()
    picture[thing] = (235, 200, 30)
    mask = shot.subject_mask | thing if is_in_mask else shot.subject_mask & ~thing
    return replace(shot, picture=picture, subject_mask=mask)


@pytest.mark.parametrize("in_mask", [(False,), (True,), (True, False)], ids=["beside", "inside", "both"])
def test_a_carried_object_is_kept_whole_whether_the_mask_contains_it_or_not(in_mask: Sequence[bool]) -> None:
    shots = [carrying(x, racket(x), in_mask[i % len(in_mask)]) for i, x in enumerate(PATH[::3][:10])]
    row = learned(shots)
    for shot in shots:
        thing = racket(shot.x)
        labels = labeled(shot, row)
        assert share(labels == Label.CARRIED, thing) > 0.9
        assert share(labels == Label.SUBJECT, thing) < 0.05
        assert share(labels == Label.SUBJECT, man_at(shot.x)[0] & ~thing) > 0.97


def test_an_object_held_before_the_chest_is_recognized_from_when_it_was_beside_the_subject() -> None:
    shots = [carrying(x, racket(x), False) for x in PATH[::3][:8]]
    row = learned(shots)
    before = disc(150, 95, 12)
    labels = labeled(carrying(150, before, True), row)
    assert share(labels == Label.SUBJECT, before) < 0.05
    assert share(labels == Label.SUBJECT, man_at(150)[0] & ~before) > 0.97


def test_a_print_in_an_objects_color_is_the_shirts_where_the_plate_never_saw_the_background() -> None:
    """There only the colors tell; one that the subject never has is still an object's."""
    middle = disc(150, 95, 12)
    for has_print in (True, False):
        shots = [carrying(x, racket(x) | disc(x, 95, 12) if has_print else racket(x), False) for x in PATH[::3][:8]]
        row = learned([replace(shot, subject_mask=man_at(shot.x)[0]) for shot in shots])
        labels = labels_of(carrying(150, middle, True).sample(NOTHING), row, (row.front, row.wrong), True)
        assert share(labels == Label.SUBJECT, middle) == has_print


def test_a_ball_that_flies_past_the_legs_is_not_the_subjects() -> None:
    balls = [disc(60 + 14 * i, 190 - 4 * i, 13) for i in range(12)]
    shots = [carrying(130 + i, ball, True) for i, ball in enumerate(balls)]
    row = learned(shots)
    for shot, ball in zip(shots, balls, strict=True):
        assert share(np.isin(labeled(shot, row), (Label.THING, Label.CARRIED)), ball) > 0.85


def bag(x: float) -> Mask:
    """A broad bag in the left hand, over the thigh and beside it."""
    thing = NOTHING.copy()
    thing[134:164, round(x + 22) : round(x + 60)] = True
    return thing


def test_a_bag_that_always_hangs_before_a_leg_is_not_part_of_the_leg() -> None:
    shots = [carrying(x, bag(x), i % 2 == 0) for i, x in enumerate(PATH[::3])]
    row = learned(shots)
    for shot in shots:
        thing = bag(shot.x)
        labels = labeled(shot, row)
        assert share(labels == Label.CARRIED, thing) > 0.95
        assert share(labels == Label.SUBJECT, man_at(shot.x)[0] & ~thing) > 0.97


def test_the_hand_that_holds_an_object_is_the_subjects() -> None:
    shots = [carrying(x, bag(x), False) for x in PATH[::3]]
    row = learned(shots)
    for shot in shots:
        hand = disc(shot.x + 49, 126, 5) & ~bag(shot.x)
        assert share(labeled(shot, row) == Label.SUBJECT, hand) > 0.95


def test_a_cap_is_the_subjects_though_no_part_of_them_has_its_color() -> None:
    def capped(x: float) -> tuple[Shot, Mask]:
        shot = shot_at(x, wall())
        cap = disc(x, 14, 16) & ~shot.subject_mask
        picture = shot.picture.copy()
        picture[cap] = (40, 160, 60)
        return replace(shot, picture=picture, subject_mask=shot.subject_mask | cap), cap

    shots = [capped(x) for x in PATH[::3]]
    row = learned([shot for shot, _ in shots])
    for shot, cap in shots:
        assert share(labeled(shot, row) == Label.SUBJECT, cap) > 0.95


def test_what_was_in_the_hand_is_no_cap_when_it_is_held_before_the_face() -> None:
    row = learned([carrying(x, racket(x), False) for x in PATH[::3][:8]])
    lifted = disc(150, 30, 15)
    shot = carrying(150, lifted, True)
    assert share(labeled(shot, row) == Label.SUBJECT, lifted) < 0.1


def test_somebody_behind_the_subjects_head_is_no_cap() -> None:
    def passed(x: float, is_found: bool) -> tuple[Shot, Mask]:
        shot = shot_at(x, wall())
        passer_by = disc(x + 12, 22, 22) & ~shot.subject_mask
        picture = shot.picture.copy()
        picture[passer_by] = (40, 160, 60)
        return replace(shot, picture=picture, others_mask=passer_by & is_found), passer_by

    row = learned([passed(x, True)[0] for x in PATH[::3]])
    shot, passer_by = passed(130, False)
    assert share(labeled(shot, row) == Label.SUBJECT, passer_by) < 0.1
