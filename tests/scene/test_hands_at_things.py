"""A hand below a box whose arm the box hides is the subject's; the corner of a box, a strap and a foot are none."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.hands_at_things import hands_at_things
from pipeline.scene.samples import Sample
from tests.support.scene_truth import SHAPE, Mask, shot_at, wall

CARDBOARD = (175, 135, 90)
SKIN = (168, 112, 84)
"""Lighter than the face."""
NOWHERE = np.zeros(SHAPE, np.bool_)
BOX = NOWHERE.copy()
BOX[85:133, 165:232] = True
HAND = (cv2.ellipse(np.zeros(SHAPE, np.uint8), ((199, 142), (12, 26), 0), 1, -1) > 0) & ~BOX


def seen(*painted: tuple[Mask, tuple[int, int, int]]) -> Sample:
    shot = shot_at(150.0, wall())
    picture = shot.picture.copy()
    for mask, rgb in painted:
        picture[mask] = rgb
    return replace(shot, picture=picture).sample()


def test_a_hand_below_a_box_is_found_and_the_box_is_not() -> None:
    found = hands_at_things(BOX | HAND, BOX, seen((BOX, CARDBOARD), (HAND, SKIN)))
    assert found[HAND].mean() > 0.95
    assert not found[BOX].any()


def test_its_joints_may_be_guesses() -> None:
    sample = seen((BOX, CARDBOARD), (HAND, SKIN))
    sample = replace(sample, body=replace(sample.body, hands=sample.body.hands[1:], hand_sides=np.array([1])))
    assert hands_at_things(BOX | HAND, BOX, sample)[HAND].mean() > 0.95


def test_what_sticks_out_of_the_box_in_its_color_is_the_box() -> None:
    corner = NOWHERE.copy()
    corner[133:145, 192:206] = True
    assert hands_at_things(BOX | corner, BOX, seen((BOX, CARDBOARD), (corner, SKIN))).any()
    assert not hands_at_things(BOX | corner, BOX, seen((BOX, SKIN), (corner, SKIN))).any()


def test_what_is_known_to_be_carried_is_no_hand() -> None:
    assert not hands_at_things(BOX | HAND, BOX | HAND, seen((BOX, CARDBOARD), (HAND, SKIN))).any()


def test_a_strap_is_too_narrow() -> None:
    strap = NOWHERE.copy()
    strap[133:175, 198:201] = True
    assert not hands_at_things(BOX | strap, BOX, seen((BOX, CARDBOARD), (strap, SKIN))).any()


def test_a_paw_at_the_feet_is_no_hand() -> None:
    body = NOWHERE.copy()
    body[180:206, 120:200] = True
    paw = NOWHERE.copy()
    paw[206:230, 164:174] = True
    assert not hands_at_things(body | paw, NOWHERE, seen((body, (95, 62, 38)), (paw, SKIN))).any()


def test_a_dark_handle_has_not_the_brightness_of_the_face() -> None:
    assert not hands_at_things(BOX | HAND, BOX, seen((BOX, CARDBOARD), (HAND, (48, 32, 24)))).any()
