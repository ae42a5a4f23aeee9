"""A logo before a still camera is told from the scene by what people who pass hide."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.survey.graphic import Seen
from pipeline.survey.passed_graphics import PassedGraphics

WH = (320, 180)
COUNT = 60
BOX = (110, 55, 220, 125)


def texture(seed: int, width: int = WH[0], height: int = WH[1]) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    return np.asarray(120 + 160 * cv2.GaussianBlur(noise, (0, 0), 2), np.float32)


def logo() -> NDArray[np.float32]:
    """(h, w): the coverage of letters within ``BOX``."""
    drawn = np.zeros(WH[::-1], np.uint8)
    cv2.putText(drawn, "@clip", (BOX[0] + 4, BOX[3] - 20), cv2.FONT_HERSHEY_DUPLEX, 1.2, 255, 6, cv2.LINE_AA)
    return drawn.astype(np.float32) / 255


def masks_found(opacity: float, shown: range = range(COUNT), moved_px: float = 0.0, reach_px: int = 0) -> list[Mask]:
    """Return what is found, (h, w) each, where somebody walks past. ``reach_px`` is how much too large masks are."""
    finder = PassedGraphics(WH)
    scene, clothes, letters = texture(1), texture(2, 60, 130), logo()
    for t in range(COUNT):
        picture = scene.copy()
        people = np.zeros(WH[::-1], np.bool_)
        left = 4 + 4 * t
        picture[40:170, left : left + 60] = clothes + 60
        people[40 - reach_px : 170, max(left - reach_px, 0) : left + 60 + reach_px] = True
        alpha = opacity * letters if t in shown else np.zeros_like(letters)
        mixed = np.clip(picture * (1 - alpha) + 250 * alpha, 0, 255).astype(np.uint8)
        world = np.eye(3)
        world[0, 2] = moved_px * t
        finder.push(Seen(t, mixed, people, world), is_new=t % 4 == 0)
    found = []
    for first, last, (x0, y0, x1, y1), mask in finder.cut():
        assert (first, last) == (0, COUNT - 1)
        whole = np.zeros(WH[::-1], np.bool_)
        whole[y0:y1, x0:x1] = mask
        found.append(whole)
    assert finder.cut() == [], "another shot begins anew"
    return found


def test_a_logo_that_somebody_walks_behind_is_found() -> None:
    (mask,) = masks_found(1.0)
    letters = logo() > 0.6
    assert np.mean(mask[letters]) > 0.95
    near = cv2.dilate(letters.view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.mean(near[mask]) > 0.9


@pytest.mark.parametrize("reach_px", [0, 4])
def test_the_scene_behind_somebody_is_no_graphic(reach_px: int) -> None:
    assert masks_found(0.0, reach_px=reach_px) == []


def test_what_is_shown_for_a_part_of_the_shot_is_left_to_others() -> None:
    assert masks_found(1.0, shown=range(25, 45)) == []


def test_nothing_is_learned_while_the_camera_moves() -> None:
    assert masks_found(1.0, moved_px=1.0) == []
