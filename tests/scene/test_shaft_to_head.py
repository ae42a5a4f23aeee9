"""Between a hand and the head of what it holds, a handle in anybody's color is found."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.scene.shaft_to_head import shafts_to_heads
from tests.support.scene_labels import NOTHING
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, Shot, disc, shot_at, wall

X = 150
HAND = (X + 49, 126)
HEAD = disc(X - 25, 70, 13)
TRUE_DEG = float(np.rad2deg(np.arctan2(126 - 70, 49 + 25)))
SKIN = (120, 80, 60)
"""That of the drawn man's hands and face."""
LEFT = 0


def with_sign(color: tuple[int, int, int], thickness: int = 4) -> Shot:
    """Return the man who holds a sign before his trunk by a handle of a color."""
    shot = shot_at(X, wall())
    picture = shot.picture.copy()
    handle = cv2.line(np.zeros(SHAPE, np.uint8), HAND, (X - 25, 70), 1, thickness) > 0
    picture[handle] = color
    picture[HEAD] = (240, 210, 60)
    return replace(shot, picture=picture)


@pytest.mark.parametrize(("color", "thickness"), [(SKIN, 4), (SKIN, 2), ((190, 190, 185), 5)])
def test_a_handle_in_the_color_of_skin_is_found_between_the_hand_and_the_sign(
    color: tuple[int, int, int], thickness: int
) -> None:
    (shaft,) = shafts_to_heads(HEAD, with_sign(color, thickness).sample())
    expected = cv2.cvtColor(np.full((1, 1, 3), color, np.uint8), cv2.COLOR_RGB2LAB)[0, 0]
    assert shaft.side == LEFT
    assert shaft.angle_deg == pytest.approx(TRUE_DEG, abs=4)
    assert shaft.lab == pytest.approx(expected, abs=8)
    assert shaft.width_bh < 0.035


@pytest.mark.parametrize("kept", [HEAD, NOTHING, disc(HAND[0], HAND[1], 9)])
def test_there_is_no_handle_on_plain_clothes_without_a_head_or_in_the_fist(kept: Mask) -> None:
    shot = shot_at(X, wall()) if kept is HEAD else with_sign(SKIN)
    assert shafts_to_heads(kept, shot.sample()) == []


def test_the_edge_of_a_jacket_is_no_handle() -> None:
    """It differs from one side only."""
    shot = with_sign(SKIN, 1)
    rows, columns = np.indices(SHAPE)
    below = (rows - 70) * (HAND[0] - X + 25) > (columns - X + 25) * (HAND[1] - 70)
    picture = np.where(below[..., None], np.uint8(30), np.uint8(110))
    picture = np.broadcast_to(picture, (*SHAPE, 3)).copy()
    picture[HEAD] = (240, 210, 60)
    assert shafts_to_heads(HEAD, replace(shot, picture=picture).sample()) == []


def test_a_gap_that_shows_the_background_is_no_handle() -> None:
    shot = with_sign((140, 150, 140), 5)
    gap = cv2.line(np.zeros(SHAPE, np.uint8), HAND, (X - 25, 70), 1, 5) > 0
    plate = shot.plate.copy()
    plate[gap] = (140, 150, 140)
    assert len(shafts_to_heads(HEAD, shot.sample())) == 1
    assert shafts_to_heads(HEAD, replace(shot, plate=plate).sample()) == []


def test_a_forearm_between_the_hand_and_a_thing_is_no_handle() -> None:
    """The forearm goes back from the hand to a bag on the elbow."""
    shot = shot_at(X, wall())
    bag = disc(X + 30, 80, 0.065 * HEIGHT_PX)
    picture = shot.picture.copy()
    cv2.line(picture, HAND, (X + 30, 80), (190, 190, 185), 4)
    picture[bag] = (240, 210, 60)
    assert shafts_to_heads(bag, replace(shot, picture=picture).sample()) == []
