"""A hand in the colors of what the other one holds is the subject's own; a stick, a box and a cup are not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.bare_hands import bare_hands, open_hands
from pipeline.scene.samples import Sample
from tests.support.scene_truth import SHAPE, Mask, shot_at, wall

SKIN = (214, 172, 140)
LEFT_HAND = (199, 126)
"""Of the man at 150, px."""


def seen(mask: Mask, rgb: tuple[int, int, int]) -> Sample:
    shot = shot_at(150.0, wall())
    picture = shot.picture.copy()
    picture[mask] = rgb
    return replace(shot, picture=picture).sample()


def drawn(*ends: tuple[int, int], width: int) -> Mask:
    canvas = np.zeros(SHAPE, np.uint8)
    return cv2.polylines(canvas, [np.array(ends, np.int32)], False, 1, width) > 0


HAND = cv2.ellipse(np.zeros(SHAPE, np.uint8), (LEFT_HAND, (10, 18), 0), 1, -1) > 0


def test_a_hand_in_the_sun_is_the_subjects_own() -> None:
    assert (bare_hands(HAND, seen(HAND, SKIN)) == HAND).all()


def test_a_wooden_stick_through_the_hand_is_none() -> None:
    stick = drawn((170, 90), (230, 165), width=2)
    assert not bare_hands(stick, seen(stick, SKIN)).any()


def test_of_a_hand_at_a_stick_only_the_hand_is_taken() -> None:
    stick = drawn((206, 60), (206, 200), width=2)
    both = HAND | stick
    found = bare_hands(both, seen(both, SKIN))
    assert found[HAND & ~stick].mean() > 0.9
    assert found[stick].mean() < 0.3


def test_a_box_in_the_color_of_skin_is_larger_than_a_hand() -> None:
    box = np.zeros(SHAPE, np.bool_)
    box[115:165, 175:225] = True
    assert not bare_hands(box, seen(box, SKIN)).any()


def test_a_blue_cup_in_the_hand_is_no_skin() -> None:
    assert not bare_hands(HAND, seen(HAND, (40, 80, 200))).any()


def test_a_racket_seen_edge_on_is_no_hand_though_its_colors_are_among_those_of_skin() -> None:
    shot = shot_at(150.0, wall())
    picture = shot.picture.copy()
    columns = np.arange(SHAPE[1])
    for part, rgb in (
        (columns % 3 == 0, (205, 90, 80)),
        (columns % 3 == 1, (214, 165, 120)),
        (columns % 3 == 2, (200, 190, 90)),
    ):
        picture[HAND & part] = rgb
    assert not bare_hands(HAND, replace(shot, picture=picture).sample()).any()


def test_the_shadowed_lines_of_a_palm_do_not_make_it_a_thing() -> None:
    shot = shot_at(150.0, wall())
    picture = shot.picture.copy()
    picture[HAND] = SKIN
    lines = HAND & (np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1])) % 13 < 7)
    picture[lines] = (120, 125, 130)
    assert 0.45 < 1 - lines.sum() / HAND.sum() < 0.5
    assert (bare_hands(HAND, replace(shot, picture=picture).sample()) == HAND).all()


FINGERS = (
    drawn((199, 126), (190, 136), width=3) | drawn((199, 126), (195, 140), width=3)
    | drawn((199, 126), (201, 141), width=3) | drawn((199, 126), (207, 138), width=3)
)  # fmt: skip
"""Of an open hand; each is no wider than a stick."""
NOWHERE = np.zeros(SHAPE, np.bool_)


def in_mask(mask: Mask, sample: Sample) -> Sample:
    return replace(sample, subject_mask=sample.subject_mask | mask)


def test_open_fingers_in_the_persons_mask_are_the_subjects_own() -> None:
    sample = in_mask(FINGERS, seen(FINGERS, SKIN))
    assert not bare_hands(FINGERS, sample)[FINGERS].all()
    assert open_hands(FINGERS, NOWHERE, sample)[FINGERS].mean() > 0.95


def test_a_stick_that_open_fingers_touch_is_not_taken_with_them() -> None:
    stick = drawn((150, 148), (255, 97), width=2)
    both = FINGERS | stick
    found = open_hands(both, NOWHERE, in_mask(both, seen(both, SKIN)))
    away = stick & (np.hypot(*(np.indices(SHAPE)[::-1] - np.reshape(LEFT_HAND, (2, 1, 1)))) > 8)
    assert found[FINGERS].mean() > 0.5
    assert found[away].mean() < 0.1


def test_the_end_of_a_stick_below_the_fist_is_no_finger() -> None:
    end = drawn((203, 132), (218, 147), width=2)
    assert not open_hands(end, NOWHERE, in_mask(end, seen(end, SKIN))).any()


def test_what_is_known_to_be_a_thing_or_lies_in_the_middle_of_one_is_no_hand() -> None:
    sample = in_mask(FINGERS, seen(FINGERS, SKIN))
    assert not open_hands(FINGERS, FINGERS, sample).any()
    # The brown sleeve of a paper cup.
    cup = cv2.ellipse(np.zeros(SHAPE, np.uint8), (LEFT_HAND, (22, 40), 0), 1, -1) > 0
    sleeve = cup & (np.abs(np.indices(SHAPE)[0] - LEFT_HAND[1]) <= 3)
    assert not open_hands(cup, NOWHERE, in_mask(cup, seen(sleeve, SKIN))).any()
